// Package selftest brings up the built control plane and proves what README.md
// promises of it. It compiles in a second and needs kubectl:
//
//	go test ./selftest -control-plane "$(./build.sh)"
package selftest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

var binary = flag.String("control-plane", "", "path of the built binary; without it these tests are skipped")

// patience is for a machine that compiles something else meanwhile.
const patience = time.Minute

type facts struct {
	Kubeconfig  string
	StateDir    string
	Audit       string
	LauncherPid int
	Pids        map[string]int
	Version     string
}

// controlPlane is one that is up. Its launcher ends with the test.
type controlPlane struct {
	*testing.T
	facts
	launcher *exec.Cmd
}

func up(t *testing.T, flags ...string) *controlPlane {
	t.Helper()
	if *binary == "" {
		t.Skip("needs -control-plane PATH")
	}
	return upIn(t, t.TempDir(), flags...)
}

func upIn(t *testing.T, dir string, flags ...string) *controlPlane {
	t.Helper()
	cp := &controlPlane{T: t, launcher: exec.Command(*binary, append([]string{"up", "--state-dir", dir, "--exit-on-stdin-close"}, flags...)...)}
	cp.launcher.Stderr = os.Stderr
	stdout, err := cp.launcher.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cp.launcher.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cp.launcher.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cp.launcher.Process.Signal(syscall.SIGTERM)
		cp.launcher.Wait()
	})
	if err := json.NewDecoder(stdout).Decode(&cp.facts); err != nil {
		t.Fatalf("up did not print its facts: %s", err)
	}
	return cp
}

// kubectl gives standard output and error together.
func (cp *controlPlane) kubectl(input string, arguments ...string) (string, error) {
	command := exec.Command("kubectl", arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (cp *controlPlane) must(input string, arguments ...string) string {
	cp.Helper()
	output, err := cp.kubectl(input, arguments...)
	if err != nil {
		cp.Fatalf("kubectl %s: %s\n%s", strings.Join(arguments, " "), err, output)
	}
	return output
}

func (cp *controlPlane) refused(because string, arguments ...string) {
	cp.Helper()
	output, err := cp.kubectl("", arguments...)
	if err == nil || !strings.Contains(output, because) {
		cp.Errorf("kubectl %s was not refused because %q: %v\n%s", strings.Join(arguments, " "), because, err, output)
	}
}

func (cp *controlPlane) eventually(what string, check func() (bool, string)) {
	cp.Helper()
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		ok, now := check()
		if ok {
			return
		}
		last = now
	}
	cp.Fatalf("not within %s: %s; last seen: %s", patience, what, last)
}

// control runs `control-plane DO --state-dir DIR …` and takes up the new facts.
func (cp *controlPlane) control(do string, arguments ...string) {
	cp.Helper()
	output, err := exec.Command(*binary, append([]string{do, "--state-dir", cp.StateDir}, arguments...)...).Output()
	if err != nil {
		cp.Fatalf("%s %v: %s", do, arguments, err)
	}
	cp.facts = facts{}
	if err := json.Unmarshal(output, &cp.facts); err != nil {
		cp.Fatal(err)
	}
}

// components are the pids of this control plane's processes that run.
func (cp *controlPlane) components() []string {
	lines, _ := exec.Command("ps", "-eo", "pid=,stat=,args=").Output()
	var found []string
	for line := range strings.Lines(string(lines)) {
		fields := strings.Fields(line)
		if strings.Contains(line, cp.StateDir+"/") && !strings.HasPrefix(fields[1], "Z") {
			found = append(found, strings.Join(fields[:3], " "))
		}
	}
	return found
}

func certificate(name, issuer, kind, group string) string {
	return fmt.Sprintf(`
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: %s, namespace: demo}
spec: {dnsNames: [%[1]s.example], secretName: %[1]s, issuerRef: {name: %s, kind: %s, group: %s}}
---`, name, issuer, kind, group)
}

const namespaceAndIssuer = `
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self, namespace: demo}
spec: {selfSigned: {}}
---`

func approvers(signers ...string) string {
	return fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: approve-for-selftest}
rules: [{apiGroups: [cert-manager.io], resources: [signers], verbs: [approve], resourceNames: ["%s"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: approve-for-selftest}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: approve-for-selftest}
subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
`, strings.Join(signers, `", "`))
}

func (cp *controlPlane) issued(name string) {
	cp.Helper()
	cp.must("", "-n", "demo", "wait", "--for=condition=Ready", "certificate/"+name, "--timeout="+patience.String())
	if keys := cp.must("", "-n", "demo", "get", "secret", name, "-o", "jsonpath={.data}"); !strings.Contains(keys, "tls.crt") {
		cp.Errorf("secret %s holds %s", name, keys)
	}
}

func (cp *controlPlane) approved(request string) bool {
	output, _ := cp.kubectl("", "-n", "demo", "get", "certificaterequest", request, "-o", `jsonpath={.status.conditions[?(@.type=="Approved")].status}`)
	return output == "True"
}

func TestCertificatesAreIssuedAndApprovalNeedsPermission(t *testing.T) {
	cp := up(t)
	if version := cp.must("", "version"); !strings.Contains(version, "Server Version: "+cp.Version) {
		t.Errorf("%s", version)
	}
	cp.must(namespaceAndIssuer+certificate("plain", "self", "Issuer", "cert-manager.io"), "apply", "-f", "-")
	cp.issued("plain")
	if who := cp.must("", "-n", "demo", "get", "certificaterequest", "plain-1", "-o", "jsonpath={.spec.username}"); who != "system:serviceaccount:cert-manager:cert-manager" {
		t.Errorf("the request says it is from %q", who)
	}

	// The role comes first: after a refusal, cert-manager waits before it tries again.
	cp.must(approvers("externalissuers.external-issuer.io/*", "externalclusterissuers.external-issuer.io/one", "otherissuers.external-issuer.io/demo.one"), "apply", "-f", "-")
	const group = "external-issuer.io"
	cp.must(certificate("any", "two", "ExternalIssuer", group)+
		certificate("one", "one", "ExternalClusterIssuer", group)+
		certificate("named", "one", "OtherIssuer", group)+
		certificate("wrong-name", "two", "ExternalClusterIssuer", group)+
		certificate("wrong-kind", "one", "YetAnother", group), "apply", "-f", "-")
	for _, request := range []string{"any-1", "one-1", "named-1"} {
		cp.eventually(request+" is approved", func() (bool, string) { return cp.approved(request), "" })
	}
	cp.eventually("cert-manager was refused both approvals", func() (bool, string) {
		log, _ := os.ReadFile(cp.StateDir + "/logs/cert-manager.log")
		return bytes.Contains(log, []byte("externalclusterissuers.external-issuer.io/two")) &&
			bytes.Contains(log, []byte("yetanothers.external-issuer.io/demo.one")), "no such refusal in its log"
	})
	if cp.approved("wrong-name-1") || cp.approved("wrong-kind-1") {
		t.Error("approved without permission")
	}

	request := []string{"-n", "demo", "patch", "certificaterequest", "plain-1", "--type=merge", "-p"}
	status := append([]string{"--subresource=status"}, request...)
	cp.refused("cannot change spec", append(request, `{"spec":{"isCA":true}}`)...)
	cp.refused("cannot change cert-manager annotation", append(request, `{"metadata":{"annotations":{"cert-manager.io/certificate-name":"other"}}}`)...)
	cp.refused("may not be modified once set", append(status, `{"status":{"conditions":[]}}`)...)
	cp.must("", append(request, `{"metadata":{"annotations":{"external-issuer.io/handle":"7"}}}`)...)

	// Everything else that tests lean on.
	cp.must("", "create", "serviceaccount", "worker", "-n", "demo")
	if token := cp.must("", "create", "token", "worker", "-n", "demo"); strings.Count(token, ".") != 2 {
		t.Errorf("token: %q", token)
	}
	cp.refused("forbidden", "get", "secrets", "-n", "demo", "--as=system:serviceaccount:demo:worker")
	cp.must("", "delete", "namespace", "demo", "--timeout="+patience.String())
	if log, err := os.ReadFile(cp.Audit); err != nil || !bytes.Contains(log, []byte(`"resource":"certificaterequests"`)) {
		t.Errorf("the audit log has no CertificateRequest: %v", err)
	}
}

func TestAnyComponentMayBeKilledAndStartedAgain(t *testing.T) {
	cp := up(t)
	cp.must(namespaceAndIssuer, "apply", "-f", "-")
	for index, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "cert-manager"} {
		if err := syscall.Kill(cp.Pids[component], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		cp.eventually("the launcher sees that "+component+" ended", func() (bool, string) {
			cp.control("status")
			return cp.Pids[component] == 0, fmt.Sprint(cp.Pids)
		})
		if component == "kube-apiserver" {
			cp.refused("refused", "get", "namespaces")
		}
		cp.control("start", component)
		if cp.Pids[component] == 0 {
			t.Errorf("%s was started, and then: %v", component, cp.Pids)
		}
		cp.eventually("the API server answers after "+component+" was away", func() (bool, string) {
			output, err := cp.kubectl("", "get", "--raw=/readyz")
			return err == nil, output
		})
		name := fmt.Sprintf("after-%d", index)
		cp.must(certificate(name, "self", "Issuer", "cert-manager.io"), "apply", "-f", "-")
		cp.issued(name)
	}
	before := cp.Pids["kube-apiserver"]
	cp.control("restart", "kube-apiserver")
	if cp.Pids["kube-apiserver"] == before {
		t.Error("the API server was not restarted")
	}
}

func TestNothingIsLeftBehindAndTheStateIsThereTheNextTime(t *testing.T) {
	if *binary == "" {
		t.Skip("needs -control-plane PATH")
	}
	dir := t.TempDir()
	cp := upIn(t, dir)
	cp.must("", "create", "namespace", "kept")
	output, err := exec.Command(*binary, "up", "--state-dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(output), fmt.Sprintf("in use by the control plane with pid %d", cp.LauncherPid)) {
		t.Errorf("a second one: %v, %s", err, output)
	}

	syscall.Kill(cp.LauncherPid, syscall.SIGKILL)
	cp.launcher.Wait()
	cp.eventually("its components end with a launcher that is killed", func() (bool, string) {
		left := cp.components()
		return len(left) == 0, strings.Join(left, "; ")
	})

	cp = upIn(t, dir)
	cp.must("", "get", "namespace", "kept")
	began := time.Now()
	cp.launcher.Process.Signal(syscall.SIGTERM)
	if err := cp.launcher.Wait(); err != nil {
		t.Errorf("SIGTERM: %s", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if left := cp.components(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
