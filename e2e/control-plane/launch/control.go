package launch

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// controlSocket takes one JSON command per connection and gives one JSON answer.
const controlSocket = "control.sock"

// commandTimeout bounds a command; the longest is a start.
const commandTimeout = 90 * time.Second

var signals = map[string]syscall.Signal{
	"KILL": syscall.SIGKILL,
	"TERM": syscall.SIGTERM,
	"STOP": syscall.SIGSTOP,
	"CONT": syscall.SIGCONT,
}

type command struct {
	Do        string `json:"do"`
	Component string `json:"component,omitempty"`
	Signal    string `json:"signal,omitempty"`
}

type answer struct {
	Error string `json:"error,omitempty"`
	Facts *Facts `json:"facts,omitempty"`
}

// Control is the commands kill, stop, start, restart and status: the caller's
// side. It prints the facts as they are afterwards.
func Control(do string, arguments []string) int {
	flags := flag.NewFlagSet("control-plane "+do, flag.ContinueOnError)
	dir := flags.String("state-dir", "", "the directory that `up` was given (required)")
	signal := flags.String("signal", "KILL", "for kill: KILL, TERM, STOP (freeze) or CONT (go on)")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	wanted := 1
	if do == "status" {
		wanted = 0
	}
	if *dir == "" || flags.NArg() != wanted {
		fmt.Fprintf(os.Stderr, "usage: control-plane %s --state-dir DIR%s\n", do, []string{"", " COMPONENT"}[wanted])
		return 2
	}

	reply, err := ask(*dir, command{Do: do, Component: flags.Arg(0), Signal: *signal})
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "control-plane %s: %s\n", do, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(reply.Facts); err != nil {
		return 1
	}
	return 0
}

func ask(dir string, question command) (answer, error) {
	var reply answer
	err := throughSocket(dir, func(path string) error {
		connection, err := net.DialTimeout("unix", path, 5*time.Second)
		if err != nil {
			return fmt.Errorf("no control plane is up in %s: %w", dir, err)
		}
		defer connection.Close()
		connection.SetDeadline(time.Now().Add(commandTimeout + 5*time.Second))
		if err := json.NewEncoder(connection).Encode(question); err != nil {
			return err
		}
		if err := json.NewDecoder(connection).Decode(&reply); err != nil {
			return fmt.Errorf("the launcher did not answer: %w", err)
		}
		return nil
	})
	return reply, err
}

// throughSocket gives the socket a path that is short however deep the state
// directory lies: a socket's path may have 107 bytes.
func throughSocket(dir string, use func(path string) error) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return use(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlSocket))
}

// takeCommands opens the socket and serves it until the process ends.
func (l *launcher) takeCommands() error {
	return throughSocket(l.dir.path(), func(path string) error {
		listener, err := net.Listen("unix", path)
		if err != nil {
			return fmt.Errorf("listening for commands: %w", err)
		}
		// The path is void once the folder is closed; shutDown removes the file.
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go l.answer(connection)
			}
		}()
		return nil
	})
}

func (l *launcher) answer(connection net.Conn) {
	defer connection.Close()
	var question command
	if err := json.NewDecoder(connection).Decode(&question); err != nil {
		return
	}
	reply := answer{}
	if err := l.obey(question); err != nil {
		reply.Error = err.Error()
	} else {
		facts := l.facts()
		reply.Facts = &facts
	}
	json.NewEncoder(connection).Encode(reply)
}

func (l *launcher) obey(question command) error {
	if question.Do == "status" {
		return nil
	}
	if !slices.Contains(Components, question.Component) {
		return errNoSuchComponent
	}
	l.commands.Lock()
	defer l.commands.Unlock()
	if l.stopping.Err() != nil {
		return errors.New("the control plane is stopping")
	}
	ctx, cancel := context.WithTimeoutCause(l.stopping, commandTimeout, fmt.Errorf("not within %s", commandTimeout))
	defer cancel()

	p := l.running.running(question.Component)
	if p == nil && (question.Do == "kill" || question.Do == "stop") {
		return fmt.Errorf("%s is not running", question.Component)
	}
	if p != nil && question.Do == "start" {
		return fmt.Errorf("%s is running already (pid %d)", question.Component, p.pid)
	}
	switch question.Do {
	case "kill":
		signal, known := signals[question.Signal]
		if !known {
			return errors.New("the signal is one of KILL, TERM, STOP, CONT")
		}
		if signal == syscall.SIGKILL {
			p.kill()
		} else {
			p.signal(signal)
		}
		return nil
	case "stop":
		p.stop(stopBounds[p.name])
		return nil
	case "start":
		return l.start(ctx, question.Component)
	case "restart":
		if p != nil {
			p.stop(stopBounds[p.name])
		}
		return l.start(ctx, question.Component)
	default:
		return fmt.Errorf("there is no command %q", question.Do)
	}
}
