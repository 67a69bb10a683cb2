// Package guest boots a second Linux kernel under a test, as an ordinary process (user-mode Linux), so that what needs a kernel module or leave to
// change the network is tested on machines that have neither: the guest loads SCTP from its own modules, its root is the host's file system,
// read-only, and its init is the test binary itself.
//
// It is for tests alone. It is no sandbox (the guest reads whatever the host's user may read) and no measure of a real kernel's speed: a system
// call costs microseconds in it.
package guest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// kernel is the program that is the guest kernel; apt's user-mode-linux puts it there.
const kernel = "/usr/bin/linux.uml"

// Options say what runs in a guest.
type Options struct {
	Command []string          // program and arguments, paths as on the host; it runs in the caller's directory
	Env     []string          // added to PATH, HOME and TMPDIR
	Modules []string          // kernel modules besides sctp and what its cookies are signed with
	Links   []Link            // network interfaces vec0, vec1, ... besides lo
	Sysctl  map[string]string // path below /proc/sys to value
}

// Link is one Ethernet interface of a guest.
type Link struct {
	Host *os.File     // datagram socket: one frame each; the guest has a copy of it
	Addr netip.Prefix // IPv4
}

// config is what the host tells the init.
type config struct {
	Command, Env, Modules []string
	Addrs                 []netip.Prefix
	Sysctl                map[string]string
	Dir                   string
}

const (
	envConfig = "CAMPANILE_GUEST_CONFIG" // on the kernel's command line: path of a config, on the host
	envInside = "CAMPANILE_GUEST"        // in the command's environment
	signUp    = "guest: up"
	signExit  = "guest: exit "
	signError = "guest: error: "
)

// ErrNoStart means that the guest kernel could not begin here, as when tracing other processes is forbidden.
var ErrNoStart = errors.New("guest: the kernel did not start")

// Available says what is missing, or nil.
func Available() error {
	if _, err := os.Stat(kernel); err != nil {
		return fmt.Errorf("guest: %w (apt-get install user-mode-linux)", err)
	}
	return nil
}

// Inside reports whether this process was started by a guest's init.
func Inside() bool { return os.Getenv(envInside) != "" }

// Machine is a running guest.
type Machine struct {
	// Lines is what the command prints, line by line, closed when the machine is off. It must be read.
	Lines <-chan string

	cmd  *exec.Cmd
	dir  string
	once sync.Once
	done chan struct{}
	err  error
}

// Start boots a guest and returns when its init is about to run the command.
func Start(ctx context.Context, o Options) (*Machine, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	m, err := start(ctx, o, dir)
	if err != nil {
		os.RemoveAll(dir)
	}
	return m, err
}

func start(ctx context.Context, o Options, dir string) (*Machine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := config{Dir: wd, Command: o.Command, Env: o.Env, Modules: append([]string{"sctp", "hmac"}, o.Modules...), Sysctl: o.Sysctl}
	args := []string{"mem=160M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "init=" + self, "con=null", "con0=null,fd:1", "ssl=null",
		"panic=-1", "uml_dir=" + dir, envConfig + "=" + filepath.Join(dir, "config")}
	cmd := exec.Command(kernel)
	for i, l := range o.Links {
		c.Addrs = append(c.Addrs, l.Addr)
		args = append(args, fmt.Sprintf("vec%d:transport=fd,fd=%d", i, 3+i))
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.Host)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), b, 0o600); err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "HOME=") }), "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, errors.Join(ErrNoStart, err)
	}
	lines := make(chan string, 1000)
	m := &Machine{Lines: lines, cmd: cmd, dir: dir, done: make(chan struct{})}
	up := make(chan error, 1)
	go m.watch(out, lines, up)
	select {
	case err = <-up:
	case <-ctx.Done():
		err = errors.Join(ErrNoStart, ctx.Err())
	}
	if err != nil {
		m.Kill()
		return nil, err
	}
	return m, nil
}

// watch reads the console until the machine is off.
func (m *Machine) watch(out io.ReadCloser, lines chan<- string, up chan<- error) {
	defer close(m.done)
	defer out.Close()
	var before []string
	begun, ended := false, false
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.TrimRight(s.Text(), "\r")
		switch {
		case !begun && line == signUp:
			begun = true
			up <- nil
		case !begun:
			before = append(before, line)
		case strings.HasPrefix(line, signExit):
			if ended = true; line != signExit+"0" {
				m.err = errors.New(line)
			}
		case !ended:
			lines <- line
		}
	}
	close(lines)
	_ = m.cmd.Wait() // its own exit code says nothing
	if !begun {
		up <- fmt.Errorf("%w; its console: %s", ErrNoStart, strings.Join(before, " | "))
	}
	if !ended && m.err == nil {
		m.err = errors.New("guest: switched off before its command ended")
	}
	os.RemoveAll(m.dir)
}

// Wait returns when the machine is off: nil if its command ended with 0.
func (m *Machine) Wait() error {
	<-m.done
	return m.err
}

// Kill switches the machine off as a power cut does, and waits for that.
func (m *Machine) Kill() {
	m.once.Do(func() { _ = syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL) })
	for range m.Lines {
	}
	<-m.done
}
