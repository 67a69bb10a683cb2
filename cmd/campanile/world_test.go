package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is campanile itself when it is asked to be, so that roles run
// as the processes they are.
func TestMain(m *testing.M) {
	switch os.Getenv("CAMPANILE_TEST_AS") {
	case "campanile":
		main()
	case "phone":
		os.Exit(livingPhone(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
	case "web":
		fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], webServer()))
		os.Exit(1)
	}
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p.Value.String() == p.DefValue {
		p.Value.Set("4") // worlds wait most of the time
	}
	os.Exit(m.Run())
}

// webServer is the internet: something to fetch and somewhere to send.
func webServer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Write(page(n))
	})
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		io.WriteString(w, host)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	return mux
}

func page(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// world is network namespaces joined by veth, and the processes in them. Each
// test has its own, and they run beside each other: most of it is waiting.
type world struct {
	t    *testing.T
	dir  string
	tag  string
	self string
}

// process is one that runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	ready chan struct{} // closed at its line "ready"
	done  chan error
	log   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	must := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	if os.Geteuid() != 0 {
		must("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		must("ip (Debian: iproute2) is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), tag: fmt.Sprintf("rl%d-%s-", os.Getpid(), t.Name()), self: self}
	dropStale()
	if out, err := exec.Command("ip", "netns", "add", w.ns("tower")).CombinedOutput(); err != nil {
		must(fmt.Sprintf("no network namespaces here: %s", out))
	}
	t.Cleanup(func() {
		for _, n := range namespaces() {
			if strings.HasPrefix(n, w.tag) {
				exec.Command("ip", "netns", "del", n).Run()
			}
		}
	})
	return w
}

// namespaces are the names there are.
func namespaces() (names []string) {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 {
			names = append(names, f[0])
		}
	}
	return names
}

// dropStale ends what a test has left behind that was killed from outside.
func dropStale() {
	mine := regexp.MustCompile(`^rl(\d+)\D`)
	for _, n := range namespaces() {
		m := mine.FindStringSubmatch(n)
		if m == nil {
			continue
		}
		pid, err := strconv.Atoi(m[1])
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		out, _ := exec.Command("ip", "netns", "pids", n).Output()
		for _, p := range strings.Fields(string(out)) {
			if pid, err := strconv.Atoi(p); err == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		exec.Command("ip", "netns", "del", n).Run()
	}
}

func (w *world) ns(name string) string { return w.tag + name }

// ip runs a command of iproute2; @name is a namespace.
func (w *world) ip(line string) {
	w.t.Helper()
	args := strings.Fields(regexp.MustCompile(`@(\w+)`).ReplaceAllString(line, w.tag+"$1"))
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %v: %v %s", args, err, out)
	}
}

func (w *world) command(ns, as string, args ...string) *exec.Cmd {
	c := exec.Command("ip", append([]string{"netns", "exec", w.ns(ns), w.self}, args...)...)
	c.Env = append(os.Environ(), "CAMPANILE_TEST_AS="+as)
	return c
}

// run runs a verb of campanile to its end.
func (w *world) run(ns string, args ...string) string {
	w.t.Helper()
	out, err := w.try(ns, args...)
	if err != nil {
		w.t.Fatalf("campanile %v: %v", args, err)
	}
	return out
}

func (w *world) try(ns string, args ...string) (string, error) {
	var out, errs bytes.Buffer
	c := w.command(ns, "campanile", args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), err
}

// start starts a role; it has ended when the test ends.
func (w *world) start(ns, role string) *process {
	w.t.Helper()
	return w.startIn(ns, role, role)
}

// startIn starts a role in a home of another name.
func (w *world) startIn(ns, role, home string) *process {
	w.t.Helper()
	return w.startAs(home, func(args ...string) *exec.Cmd { return w.command(ns, "campanile", args...) }, role, home)
}

// startAs starts a role by a command that is made of its arguments.
func (w *world) startAs(name string, command func(args ...string) *exec.Cmd, role, home string) *process {
	w.t.Helper()
	c := command(role, "--home", w.home(home))
	p := &process{name: name, cmd: c, ready: make(chan struct{}), done: make(chan error, 1), log: filepath.Join(w.dir, name+".log")}
	pipe, err := c.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		ready := false
		for s := bufio.NewScanner(pipe); s.Scan(); {
			fmt.Fprintln(file, s.Text())
			if !ready && strings.Contains(s.Text(), "ready: ") {
				ready = true
				close(p.ready)
			}
		}
		file.Close()
		p.done <- c.Wait()
	}()
	w.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if b, _ := os.ReadFile(p.log); w.t.Failed() {
			w.t.Logf("%s:\n%s", name, b[max(0, len(b)-3000):])
		}
	})
	return p
}

func (w *world) home(role string) string { return filepath.Join(w.dir, role) }

// up waits until a role says that it is ready.
func (w *world) up(p *process) {
	w.t.Helper()
	select {
	case <-p.ready:
	case err := <-p.done:
		p.done <- err
		w.t.Fatalf("%s ended: %v", p.name, err)
	case <-time.After(40 * time.Second):
		w.t.Fatalf("%s is not ready", p.name)
	}
}

// edit changes a home's configuration.
func (w *world) edit(role string, pairs ...string) {
	w.t.Helper()
	f := filepath.Join(w.home(role), "campanile.toml")
	b, err := os.ReadFile(f)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(b, []byte(pairs[i])) {
			w.t.Fatalf("%s has no %q:\n%s", f, pairs[i], b)
		}
	}
	if err := os.WriteFile(f, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
