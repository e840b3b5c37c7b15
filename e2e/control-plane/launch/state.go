package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stateDir is everything that one control plane keeps on disk.
type stateDir string

func (dir stateDir) path(parts ...string) string {
	return filepath.Join(append([]string{string(dir)}, parts...)...)
}

func (dir stateDir) adminKubeconfig() string    { return dir.path("kubeconfig") }
func (dir stateDir) facts() string              { return dir.path("control-plane.json") }
func (dir stateDir) auditLog() string           { return dir.path("audit.log") }
func (dir stateDir) auditPolicy() string        { return dir.path("components", "audit-policy.yaml") }
func (dir stateDir) log(name string) string     { return dir.path("logs", name+".log") }
func (dir stateDir) pidFile(name string) string { return dir.path("components", name+".pid") }
func (dir stateDir) kubeconfig(name string) string {
	return dir.path("components", name+".kubeconfig")
}
func (dir stateDir) pki(name string) string { return dir.path("pki", name) }

// openStateDir makes the directory and takes it for this process. The lock is
// the kernel's, so a launcher that crashed does not hold it; what such a one
// left running is ended here.
func openStateDir(path string) (stateDir, *os.File, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	dir := stateDir(absolute)
	for _, folder := range []string{dir.path(), dir.path("logs"), dir.path("components"), dir.path("pki")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", nil, err
		}
	}

	lock, err := os.OpenFile(dir.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(dir.path("lock"))
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return "", nil, fmt.Errorf("%s is in use by the control plane with pid %s: give another --state-dir, or end that one with: kill %[2]s", dir, strings.TrimSpace(string(holder)))
		}
		return "", nil, fmt.Errorf("locking %s: %w", dir.path("lock"), err)
	}
	if err := lock.Truncate(0); err != nil {
		return "", nil, err
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return "", nil, err
	}

	if err := dir.clearAfterCrash(); err != nil {
		return "", nil, err
	}
	return dir, lock, nil
}

// clearAfterCrash ends components of an earlier launcher that are still alive
// (the kernel ends them with it, but that takes a moment) and removes what
// describes a control plane that is no more.
func (dir stateDir) clearAfterCrash() error {
	for _, name := range Components {
		pid, err := readPid(dir.pidFile(name))
		if err != nil {
			continue
		}
		if dir.owns(pid, name) {
			say("%s (pid %d) is left from an earlier run: ending it", name, pid)
			if err := endLeftover(pid); err != nil {
				return fmt.Errorf("ending %s with pid %d, left from an earlier run: %w", name, pid, err)
			}
		}
		os.Remove(dir.pidFile(name))
	}
	for _, stale := range []string{dir.facts(), dir.path(controlSocket)} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// owns tells whether a pid, which may have been given to another program since
// it was written down, is that component of this state directory.
func (dir stateDir) owns(pid int, name string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	arguments := strings.Split(string(line), "\x00")
	return len(arguments) > 2 && arguments[1] == name && strings.Contains(string(line), string(dir)+"/")
}

func endLeftover(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !running(pid) {
			return nil
		}
	}
	return errors.New("still there five seconds after SIGKILL")
}

// running is false for a zombie too: nothing of it runs any more.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, found := strings.Cut(string(stat), ") ")
	return found && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func readPid(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// writeJSON replaces the file in one step, so that no reader sees half of it.
func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(file, append(text, '\n'), 0o600)
}

func writeFile(file string, content []byte, mode fs.FileMode) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}
