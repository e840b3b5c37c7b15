package launch

import (
	"bytes"
	"crypto/x509"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"external-issuer.io/e2e/control-plane/manifests"
)

// TestMain lets the test binary be its own component, as the real one is: it
// ends on SIGTERM, unless it was told to be deaf.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains(Components, os.Args[1]) {
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		os.Stdout.WriteString("listening\n")
		if slices.Contains(os.Args, "--deaf") {
			time.Sleep(time.Minute)
		}
		<-terminated
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func stateDirForTest(t *testing.T) stateDir {
	t.Helper()
	dir, lock, err := openStateDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	return dir
}

// startForTest gives a component that handles signals already.
func startForTest(t *testing.T, spawner *spawner, dir stateDir, name string, arguments ...string) *process {
	t.Helper()
	p, err := spawner.start(dir, name, arguments)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	for deadline := time.Now().Add(10 * time.Second); lastLines(dir.log(name), 1) != "listening"; {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not start", name)
		}
	}
	return p
}

func TestEveryEmbeddedManifestHasAPlaceInTheAPI(t *testing.T) {
	for name, manifest := range map[string][]byte{"cert-manager": manifests.CertManager, "admission": manifests.Admission} {
		found := documents(manifest)
		if len(found) != 1+bytes.Count(manifest, []byte("\n---\n")) {
			t.Errorf("%s: %d documents", name, len(found))
		}
		for _, document := range found {
			if path, err := objectPath(document); err != nil {
				t.Errorf("%s: %s", name, err)
			} else if strings.Contains(path, "//") {
				t.Errorf("%s: %s", name, path)
			}
		}
	}
}

func TestObjectPathsAreTheAPIServers(t *testing.T) {
	for document, want := range map[string]string{
		"{apiVersion: v1, kind: Namespace, metadata: {name: a}}":                                       "/api/v1/namespaces/a",
		"{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: b}}":                    "/api/v1/namespaces/b/serviceaccounts/a",
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: 'a:b'}}":       "/apis/rbac.authorization.k8s.io/v1/clusterroles/a:b",
		"{apiVersion: v1, kind: Unheard, metadata: {name: a}}":                                         "",
		"{apiVersion: v1, kind: Namespace}":                                                            "",
		"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b}}": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b",
	} {
		path, err := objectPath([]byte(document))
		if path != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", document, path, err)
		}
	}
}

func TestDocumentsOfOnlyCommentsAreDropped(t *testing.T) {
	found := documents([]byte("# first\n---\na: 1\n---\n# nothing\n---\n\nb: |\n  text\n   --- not a separator\n"))
	want := []string{"a: 1", "b: |\n  text\n   --- not a separator\n"}
	if len(found) != 2 || strings.TrimSpace(string(found[0])) != want[0] || string(found[1]) != want[1] {
		t.Errorf("%q", found)
	}
}

func TestPortsStayWhileTheyAreFreeAndMoveTogetherWhenOneIsTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports.json")
	first, err := choosePorts(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range first.all() {
		if *port < firstPort || *port > lastPort {
			t.Errorf("port %d is outside the range", *port)
		}
	}
	if again, err := choosePorts(file); err != nil || again != first {
		t.Errorf("%v became %v, %v", first, again, err)
	}

	taken, err := net.Listen("tcp4", loopback(first.APIServer))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if moved, err := choosePorts(file); err != nil || moved.APIServer == first.APIServer || moved.EtcdClient == first.EtcdClient {
		t.Errorf("%v became %v, %v", first, moved, err)
	}
}

func TestAuthoritiesSurviveASecondStartAndDoNotVouchForEachOther(t *testing.T) {
	dir, now := stateDirForTest(t), time.Now()
	if err := writeCertificates(dir, now); err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(dir.pki(clusterCA + ".crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeCertificates(dir, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(dir.pki(clusterCA + ".crt")); err != nil || !bytes.Equal(authority, again) {
		t.Errorf("the authority changed: %v", err)
	}

	verify := func(name, authority string, usage x509.ExtKeyUsage) error {
		roots := x509.NewCertPool()
		root, err := readCertificate(dir.pki(authority + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(root)
		certificate, err := readCertificate(dir.pki(name + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	if err := verify(apiServerServing, clusterCA, x509.ExtKeyUsageServerAuth); err != nil {
		t.Error(err)
	}
	if err := verify(apiServerEtcdClient, etcdCA, x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
	if err := verify(adminClient, etcdCA, x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("etcd would let the cluster's administrator in")
	}
}

func TestAnAuthorityAboutToExpireIsReplaced(t *testing.T) {
	dir, now := stateDirForTest(t), time.Now()
	if err := writeCertificates(dir, now.Add(-authorityLifetime+certificateLifetime/2)); err != nil {
		t.Fatal(err)
	}
	if err := writeCertificates(dir, now); err != nil {
		t.Fatal(err)
	}
	certificate, err := readCertificate(dir.pki(clusterCA + ".crt"))
	if err != nil || certificate.NotAfter.Before(now.Add(2*certificateLifetime)) {
		t.Errorf("%v, %v", certificate.NotAfter, err)
	}
}

func TestAStateDirectoryInUseIsRefusedWithItsHoldersPid(t *testing.T) {
	dir := stateDirForTest(t)
	_, _, err := openStateDir(dir.path())
	if err == nil || !strings.Contains(err.Error(), "in use by the control plane with pid ") {
		t.Errorf("%v", err)
	}
}

func TestAStaleStateDirectoryIsMendedAndForeignProcessesAreLeftAlone(t *testing.T) {
	dir := stateDirForTest(t)
	left := startForTest(t, newSpawner(), dir, Etcd, "--data-dir="+dir.path("etcd"))
	// The pid of a program that is not a component of this directory: ours.
	foreign := []byte("1\n")
	for file, content := range map[string][]byte{dir.pidFile(CertManager): foreign, dir.facts(): nil, dir.path(controlSocket): nil} {
		if err := writeFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if err := dir.clearAfterCrash(); err != nil {
		t.Fatal(err)
	}
	<-left.ended
	if left.state != "signal: killed" {
		t.Errorf("the component that was left: %s", left.state)
	}
	rest, err := filepath.Glob(dir.path("*"))
	if err != nil || len(rest) != 4 {
		t.Errorf("%v, %v", rest, err)
	}
}

func TestComponentsStopInTheOppositeOrderOfTheirStart(t *testing.T) {
	dir, spawner := stateDirForTest(t), newSpawner()
	running := &supervisor{processes: map[string]*process{}, changed: func() {}}
	ended := make(chan string, len(Components))
	for _, name := range Components {
		p := startForTest(t, spawner, dir, name)
		running.put(p)
		go func() {
			<-p.ended
			ended <- p.name + ": " + p.state
		}()
	}

	running.stopAll(nil)

	for _, want := range []string{CertManager, ControllerManager, APIServer, Etcd} {
		if got := <-ended; got != want+": exit status 0" {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if pids := running.pids(); len(pids) != 0 {
		t.Errorf("still running: %v", pids)
	}
}

func TestAComponentDeafToSIGTERMIsKilledAfterTheBound(t *testing.T) {
	p := startForTest(t, newSpawner(), stateDirForTest(t), Etcd, "--deaf")
	p.stop(50 * time.Millisecond)
	if p.state != "signal: killed" {
		t.Errorf("%s", p.state)
	}
}

func TestFurtherFlagsGoToTheirComponentAndComeLast(t *testing.T) {
	options, err := parseOptions([]string{"--state-dir", "/x", "--arg", "etcd=--log-level=warn", "--arg", "kube-apiserver=--v=4"})
	if err != nil {
		t.Fatal(err)
	}
	if flags := arguments(Etcd, "/x", ports{}, options); flags[len(flags)-1] != "--log-level=warn" {
		t.Errorf("%q", flags)
	}
	if flags := arguments(APIServer, "/x", ports{}, options); flags[len(flags)-1] != "--v=4" {
		t.Errorf("%q", flags)
	}
	for _, wrong := range [][]string{{}, {"--state-dir", "/x", "here"}, {"--state-dir", "/x", "--arg", "kubelet=--v=1"}, {"--state-dir", "/x", "--arg", "etcd"}} {
		if _, err := parseOptions(wrong); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

func TestOnlyTheEndOfALogIsShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(strings.Repeat("old\n", 10000)+"last but one\nlast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := lastLines(file, 2); text != "last but one\nlast" {
		t.Errorf("%q", text)
	}
}
