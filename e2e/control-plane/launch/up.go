// Package launch starts the components of a control plane as processes of
// their own, makes what is in them ready for tests, and stops them.
//
// Everything is on 127.0.0.1 and under one state directory:
//
//	kubeconfig            an administrator's
//	control-plane.json    what `up` printed, kept up to date
//	audit.log             who did what
//	logs/                 one file per component
//	pki/                  authorities, certificates and keys
//	components/           kubeconfigs, pids and ports of the components
//	etcd/                 the data
//	control.sock          takes the commands kill, stop, start, restart, status
//	lock                  held by the launcher while it lives
//
// The package knows no Kubernetes code, so that it compiles in seconds.
package launch

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"external-issuer.io/e2e/control-plane/manifests"
)

// Facts is what a test needs to know; `up` prints it and keeps it in
// control-plane.json.
type Facts struct {
	Kubeconfig string         `json:"kubeconfig"`
	APIServer  string         `json:"apiServer"`
	CAFile     string         `json:"caFile"`
	Audit      string         `json:"audit"`
	Logs       string         `json:"logs"`
	StateDir   string         `json:"stateDir"`
	Launcher   int            `json:"launcherPid"`
	Pids       map[string]int `json:"pids"`
	Versions
}

// launcher is one control plane, from the lock on its directory to its end.
type launcher struct {
	// lock is held for as long as the process lives. It is kept here because
	// Go closes a file that nothing refers to, and the lock would go with it.
	lock     *os.File
	options  Options
	versions Versions
	dir      stateDir
	ports    ports
	cluster  *cluster
	etcd     *http.Client
	spawner  *spawner
	running  *supervisor

	// commands is held by whoever starts or ends a component on purpose.
	commands sync.Mutex
	stopping context.Context
	// publish guards the facts file, and is false until there is one.
	publish   sync.Mutex
	published bool
}

// Up is the command `control-plane up`. It returns the exit code once every
// component has ended.
func Up(arguments []string, versions Versions) int {
	options, err := parseOptions(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "control-plane up:", err)
		return 2
	}

	ctx, hurry := untilSignalled(options.ExitOnStdinClose)
	began := time.Now()
	l, err := newLauncher(ctx, options, versions)
	if err != nil {
		fmt.Fprintln(os.Stderr, "control-plane up:", err)
		return 1
	}

	code := 0
	if err := l.bringUp(ctx); err != nil {
		code = 1
		if ctx.Err() == nil { // or else it was broken off, which shutDown says
			fmt.Fprintln(os.Stderr, "control-plane up:", err)
		}
	} else {
		say("ready after %s; stop it with Ctrl-C or: kill %d", time.Since(began).Round(100*time.Millisecond), os.Getpid())
		say("  export KUBECONFIG=%s", l.dir.adminKubeconfig())
		<-ctx.Done()
	}
	l.shutDown(hurry, context.Cause(ctx))
	return code
}

// untilSignalled gives a context that ends at the first signal, or at the end
// of standard input, and a channel that closes at the second signal.
func untilSignalled(stdin bool) (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(context.Background())
	hurry := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		cancel(fmt.Errorf("received %s", <-signals))
		<-signals
		close(hurry)
		signal.Stop(signals)
	}()
	// A reader of our output that goes away is no reason to end, and with it
	// everything else, in the middle of a test.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if stdin {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel(errors.New("standard input ended"))
		}()
	}
	return ctx, hurry
}

func newLauncher(ctx context.Context, options Options, versions Versions) (*launcher, error) {
	dir, lock, err := openStateDir(options.StateDir)
	if err != nil {
		return nil, err
	}
	l := &launcher{lock: lock, options: options, versions: versions, dir: dir, spawner: newSpawner(), stopping: ctx}
	l.running = &supervisor{processes: map[string]*process{}, changed: l.writeFacts}
	if l.ports, err = choosePorts(dir.path("components", "ports.json")); err != nil {
		return nil, err
	}
	if err := writeCertificates(dir, time.Now()); err != nil {
		return nil, err
	}
	if err := writeFile(dir.auditPolicy(), manifests.AuditPolicy, 0o600); err != nil {
		return nil, err
	}
	admin, err := httpsClient(dir, clusterCA, adminClient)
	if err != nil {
		return nil, err
	}
	l.cluster = &cluster{server: httpsURL(l.ports.APIServer), http: admin}
	l.etcd, err = httpsClient(dir, etcdCA, apiServerEtcdClient)
	return l, err
}

// bringUp goes from nothing to a cluster with cert-manager at work.
func (l *launcher) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.options.StartTimeout, fmt.Errorf("not ready within %s (--start-timeout)", l.options.StartTimeout))
	defer cancel()

	if err := l.writeComponentKubeconfigs(); err != nil {
		return err
	}
	for _, name := range []string{Etcd, APIServer} {
		if err := l.start(ctx, name); err != nil {
			return err
		}
	}
	if err := l.applyManifests(ctx); err != nil {
		return err
	}
	// It takes a while to be ready, and nothing below waits for it.
	controllerManager := make(chan error, 1)
	go func() { controllerManager <- l.start(ctx, ControllerManager) }()
	certManager := l.prepareCertManager(ctx)
	if err := errors.Join(<-controllerManager, certManager); err != nil {
		return err
	}
	if l.options.CertManager {
		if err := l.start(ctx, CertManager); err != nil {
			return err
		}
	}
	if err := l.takeCommands(); err != nil {
		return err
	}
	return l.announce()
}

func (l *launcher) writeComponentKubeconfigs() error {
	for file, certificate := range map[string]string{
		l.dir.adminKubeconfig():             adminClient,
		l.dir.kubeconfig(ControllerManager): controllerManagerClient,
	} {
		who, err := certificateUser(l.dir, certificate)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(l.dir, file, l.cluster.server, who); err != nil {
			return err
		}
	}
	return nil
}

// applyManifests applies cert-manager's types, permissions and the admission
// policies that stand in for its webhook, and waits until the types are served;
// the server takes up the rest meanwhile.
func (l *launcher) applyManifests(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(l.options.CRDs, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CustomResourceDefinitions in %s: build with build.sh, which puts cert-manager's there, or give --crds", l.options.CRDs)
	}
	say("applying %d CustomResourceDefinitions, cert-manager's permissions and admission policies", len(files))
	var definitions [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := l.cluster.apply(ctx, text); err != nil {
			return fmt.Errorf("applying %s: %w", filepath.Base(file), err)
		}
		definitions = append(definitions, documents(text)...)
	}
	for _, manifest := range [][]byte{manifests.CertManager, manifests.Admission} {
		if err := l.cluster.apply(ctx, manifest); err != nil {
			return err
		}
	}
	for _, definition := range definitions {
		if err := l.cluster.served(ctx, definition); err != nil {
			return err
		}
	}
	return nil
}

// prepareCertManager gives cert-manager its identity and sees that the
// admission policies hold it to its permissions.
func (l *launcher) prepareCertManager(ctx context.Context) error {
	who, err := l.cluster.serviceAccountUser(ctx)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(l.dir, l.dir.kubeconfig(CertManager), l.cluster.server, who); err != nil {
		return err
	}
	return l.cluster.policiesAtWork(ctx)
}

// start starts a component and waits until it is ready.
func (l *launcher) start(ctx context.Context, name string) error {
	began := time.Now()
	p, err := l.spawner.start(l.dir, name, arguments(name, l.dir, l.ports, l.options))
	if err != nil {
		return err
	}
	l.running.put(p)
	go l.reportEnd(p)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.ended:
			cancel(fmt.Errorf("it ended: %s; the last lines of %s:\n%s", p.state, l.dir.log(name), lastLines(l.dir.log(name), 5)))
		case <-ctx.Done():
		}
	}()
	if err := eventually(ctx, name+" is ready", func() error { return l.ready(ctx, name) }); err != nil {
		return err
	}
	say("%s is ready after %s (pid %d)", name, time.Since(began).Round(10*time.Millisecond), p.pid)
	return nil
}

func (l *launcher) ready(ctx context.Context, name string) error {
	checks := map[string]struct {
		client *http.Client
		url    string
	}{
		Etcd:              {l.etcd, httpsURL(l.ports.EtcdClient) + "/health"},
		APIServer:         {l.cluster.http, httpsURL(l.ports.APIServer) + "/readyz"},
		ControllerManager: {l.cluster.http, httpsURL(l.ports.ControllerManager) + "/healthz"},
		CertManager:       {http.DefaultClient, "http://" + loopback(l.ports.CertManager) + "/readyz"},
	}
	check := checks[name]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, check.url, nil)
	if err != nil {
		return err
	}
	response, err := check.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", check.url, response.Status, body)
	}
	return nil
}

func (l *launcher) reportEnd(p *process) {
	<-p.ended
	if p.intended.Load() {
		say("%s (pid %d) ended as asked: %s", p.name, p.pid, p.state)
		return
	}
	say("%s (pid %d) ended by itself or was killed: %s; start it with: control-plane start --state-dir %s %[1]s", p.name, p.pid, p.state, l.dir)
}

// announce prints the facts, from now on also kept in the file.
func (l *launcher) announce() error {
	l.publish.Lock()
	l.published = true
	l.publish.Unlock()
	l.writeFacts()
	return json.NewEncoder(os.Stdout).Encode(l.facts())
}

func (l *launcher) facts() Facts {
	facts := Facts{
		Kubeconfig: l.dir.adminKubeconfig(),
		APIServer:  l.cluster.server,
		CAFile:     l.dir.pki(clusterCA + ".crt"),
		Logs:       l.dir.path("logs"),
		StateDir:   l.dir.path(),
		Launcher:   os.Getpid(),
		Pids:       l.running.pids(),
		Versions:   l.versions,
	}
	if l.options.Audit {
		facts.Audit = l.dir.auditLog()
	}
	return facts
}

func (l *launcher) writeFacts() {
	l.publish.Lock()
	defer l.publish.Unlock()
	if !l.published {
		return
	}
	if err := writeJSON(l.dir.facts(), l.facts()); err != nil {
		say("writing %s: %s", l.dir.facts(), err)
	}
}

func (l *launcher) shutDown(hurry <-chan struct{}, why error) {
	if why != nil {
		say("%s: stopping", why)
	}
	began := time.Now()
	l.commands.Lock() // waits for a command in progress, lets no other begin
	l.running.stopAll(hurry)

	l.publish.Lock()
	defer l.publish.Unlock()
	l.published = false
	os.Remove(l.dir.facts())
	os.Remove(l.dir.path(controlSocket))
	say("stopped after %s", time.Since(began).Round(100*time.Millisecond))
}

func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "control-plane: "+format+"\n", values...)
}
