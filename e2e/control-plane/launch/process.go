package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one component's process, from its start to its end.
type process struct {
	name  string
	pid   int
	ended chan struct{} // closed once the process is reaped
	state string        // how it ended; read it after `ended`
	// intended is set before the launcher ends the process itself.
	intended atomic.Bool
}

// spawner starts processes that the kernel kills when this one ends, however
// it ends. Linux ties that to the *thread* that forked, so all forks happen on
// one thread that lives as long as the process.
type spawner struct {
	starts chan func()
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked
		for start := range s.starts {
			start()
		}
	}()
	return s
}

func (s *spawner) start(dir stateDir, name string, arguments []string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(dir.log(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	command := exec.Command(self, append([]string{name}, arguments...)...)
	// Seen by ps, and in the User-Agent that goes to the audit log.
	command.Args[0] = name
	command.Stdout, command.Stderr = log, log
	command.Dir = dir.path()
	command.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A Ctrl-C at the terminal goes to the launcher alone, which then
		// stops the components in their order.
		Setpgid: true,
	}

	failed := make(chan error)
	s.starts <- func() { failed <- command.Start() }
	if err := <-failed; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}

	p := &process{name: name, pid: command.Process.Pid, ended: make(chan struct{})}
	if err := writeFile(dir.pidFile(name), []byte(strconv.Itoa(p.pid)+"\n"), 0o600); err != nil {
		command.Process.Kill()
		return nil, err
	}
	go func() {
		command.Wait()
		p.state = command.ProcessState.String()
		os.Remove(dir.pidFile(name))
		close(p.ended)
	}()
	return p, nil
}

// stop asks the process to end, and after the bound makes it.
func (p *process) stop(bound time.Duration) {
	p.intended.Store(true)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return
	case <-time.After(bound):
		say("%s did not end within %s of SIGTERM: killing it", p.name, bound)
		p.kill()
	}
}

func (p *process) kill() {
	p.intended.Store(true)
	p.signal(syscall.SIGKILL)
	<-p.ended
}

func (p *process) signal(signal syscall.Signal) {
	if p.over() {
		return
	}
	syscall.Kill(p.pid, signal)
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// supervisor holds the processes that should be running. It restarts none by
// itself: a component that a test killed stays dead until the test says so.
type supervisor struct {
	mutex     sync.Mutex
	processes map[string]*process
	changed   func() // called after every start and end
}

func (s *supervisor) put(p *process) {
	s.mutex.Lock()
	s.processes[p.name] = p
	s.mutex.Unlock()
	s.changed()
	go func() {
		<-p.ended
		s.changed()
	}()
}

// running gives the component's process, or nil if there is none alive.
func (s *supervisor) running(name string) *process {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if p := s.processes[name]; p != nil && !p.over() {
		return p
	}
	return nil
}

func (s *supervisor) pids() map[string]int {
	pids := map[string]int{}
	for _, name := range Components {
		if p := s.running(name); p != nil {
			pids[name] = p.pid
		}
	}
	return pids
}

// stopAll ends what runs, in the opposite order of the start, until `hurry` is
// closed, then at once.
func (s *supervisor) stopAll(hurry <-chan struct{}) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
		case <-hurry:
			for _, name := range Components {
				if p := s.running(name); p != nil {
					p.signal(syscall.SIGKILL)
				}
			}
		}
	}()
	for index := len(Components) - 1; index >= 0; index-- {
		if p := s.running(Components[index]); p != nil {
			p.stop(stopBounds[p.name])
		}
	}
}

// stopBounds is the patience with each component's own shutdown. The API
// server finishes what it was asked before it goes.
var stopBounds = map[string]time.Duration{
	CertManager:       5 * time.Second,
	ControllerManager: 5 * time.Second,
	APIServer:         15 * time.Second,
	Etcd:              5 * time.Second,
}

// lastLines is the end of a component's log, for the message that says it failed.
func lastLines(file string, count int) string {
	const enough = 16 << 10
	log, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer log.Close()
	if size, err := log.Seek(0, io.SeekEnd); err == nil && size > enough {
		log.Seek(-enough, io.SeekEnd)
	} else {
		log.Seek(0, io.SeekStart)
	}
	text, _ := io.ReadAll(log)
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

var errNoSuchComponent = errors.New("no such component: give etcd, kube-apiserver, kube-controller-manager or cert-manager")
