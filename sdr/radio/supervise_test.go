package radio_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"campanile.network/sdr/radio"
)

// rig is a supervisor of a pretended srsenb.
type rig struct {
	*radio.Supervisor
	t       *testing.T
	dir     string
	changed chan struct{}
	end     func()

	mu     sync.Mutex
	events []string
}

func run(t *testing.T, how string, change func(*radio.Options)) *rig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := filepath.Abs("testdata/srsenb-23.04-report.json")
	if err != nil {
		t.Fatal(err)
	}
	c := virtual()
	c.Program, c.Environment = self, []string{behaviour + "=" + how, "CAMPANILE_FAKE_REPORT=" + golden}
	r := &rig{t: t, dir: t.TempDir(), changed: make(chan struct{}, 1)}
	o := radio.Options{Plan: plan(t, c), Dir: r.dir, MinPause: time.Millisecond, MaxPause: 4 * time.Millisecond, Stop: 10 * time.Second,
		Changed: func() {
			select {
			case r.changed <- struct{}{}:
			default:
			}
		},
		Event: func(kind, text string) {
			r.mu.Lock()
			r.events = append(r.events, kind+": "+text)
			r.mu.Unlock()
			r.Changed()
		}}
	if change != nil {
		change(&o)
	}
	if r.Supervisor, err = radio.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if h := r.Health(); h.State != radio.Stopped || h.Users != 0 {
			t.Errorf("after the end: %+v", h)
		}
	})
	t.Cleanup(r.end)
	return r
}

// until waits for something to be so; whatever can make it so wakes it.
func (r *rig) until(what string, ok func(radio.Health) bool) radio.Health {
	r.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		h := r.Health()
		if ok(h) {
			return h
		}
		select {
		case <-r.changed:
		case <-time.After(10 * time.Millisecond): // figures change without a word
		case <-limit:
			r.t.Fatalf("waited in vain: %s: %+v %v", what, h, r.told())
		}
	}
}

func (r *rig) told() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.events, "\n")
}

func (r *rig) runs() int {
	b, _ := os.ReadFile(filepath.Join(r.dir, "runs"))
	return len(b)
}

// A good day: on the air, phones are counted, and at the end it stops when
// asked, with its keyboard open all the time.
func TestOnTheAir(t *testing.T) {
	r := run(t, "good", nil)
	h := r.until("on the air, with a phone", func(h radio.Health) bool { return h.State == radio.Running && h.Users == 1 })
	if h.Version != "23.04.0 (Release)" || h.Restarts != 0 || h.LastError != "" || len(h.Phones) != 1 || h.MetricsAt.IsZero() {
		t.Errorf("%+v", h)
	}
	r.end()
	if r.runs() != 1 || !strings.Contains(r.told(), "cell: virtual radio: band 7, downlink 2680 MHz, uplink 2560 MHz, 5 MHz wide") {
		t.Errorf("%d runs: %s", r.runs(), r.told())
	}
}

// What was killed comes back, and says so.
func TestKilled(t *testing.T) {
	r := run(t, "good", nil)
	for n := range 3 {
		r.until("on the air", func(h radio.Health) bool { return h.State == radio.Running && h.Restarts == n })
		pid := pidOf(t, r.dir)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	h := r.until("on the air again", func(h radio.Health) bool { return h.State == radio.Running && h.Restarts == 3 })
	if h.LastError != "signal: killed" || strings.Count(r.told(), "the radio has died: signal: killed") != 3 {
		t.Errorf("%+v\n%s", h, r.told())
	}
}

// pidOf finds the program by the configuration it was started with.
func pidOf(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), filepath.Join(dir, radio.MainFile)) {
			var pid int
			fmt.Sscanf(f, "/proc/%d/", &pid)
			return pid
		}
	}
	t.Fatal("no program runs")
	return 0
}

// Without its kit it is tried again and again, ever more slowly, and after some
// times it is called failing; with the kit plugged in, it is well.
func TestNoDevice(t *testing.T) {
	r := run(t, "no device", nil)
	h := r.until("failing", func(h radio.Health) bool { return h.State == radio.Failing })
	if h.LastError != "exit status 255: RF: Error opening RF device" {
		t.Errorf("%q", h.LastError)
	}
	r.end()
	told := r.told()
	for i, pause := range []string{"1ms", "2ms", "4ms", "4ms", "4ms"} {
		if line := strings.Split(told, "\n")[i]; line != "trouble: the radio has died: exit status 255: RF: Error opening RF device; again in "+pause {
			t.Errorf("%s", line)
		}
	}
	r = run(t, "no device once", nil)
	r.until("on the air", func(h radio.Health) bool { return h.State == radio.Running && h.Restarts == 1 })
}

// It crashes on the air; what it said of the kit before is kept until it runs
// again.
func TestCrash(t *testing.T) {
	r := run(t, "dies", func(o *radio.Options) { o.MinPause = time.Hour })
	h := r.until("dead", func(h radio.Health) bool { return h.State == radio.Restarting })
	if h.LastError != "exit status 134" || h.RF != (radio.RF{Overflows: 1, Underflows: 2, Late: 3}) || h.Users != 0 {
		t.Errorf("%+v", h)
	}
	if !strings.Contains(r.told(), "trouble: samples come too late for the radio (RF status: O=1, U=2, L=3)") {
		t.Error(r.told())
	}
}

// One that reports nothing any more hangs, and one that does not listen is
// ended all the same.
func TestHangs(t *testing.T) {
	r := run(t, "deaf", func(o *radio.Options) { o.Silence, o.Stop = 50*time.Millisecond, 50*time.Millisecond })
	h := r.until("started again", func(h radio.Health) bool { return h.Restarts == 1 })
	if !strings.Contains(h.LastError, "it hangs: it has reported nothing for 50ms") {
		t.Errorf("%+v", h)
	}
	r.end()
}

// A kit that is tuned to another frequency than the plan says is off at once,
// and stays off.
func TestTunedElsewhere(t *testing.T) {
	r := run(t, "elsewhere", nil)
	h := r.until("failing", func(h radio.Health) bool { return h.State == radio.Failing })
	if h.LastError != "another frequency than was asked for: 2670 MHz and 2560 MHz, not 2680 MHz and 2560 MHz" {
		t.Errorf("%q", h.LastError)
	}
	r.end()
	if r.runs() != 1 || !strings.Contains(r.told(), "the radio is off and stays off") {
		t.Errorf("%d runs: %s", r.runs(), r.told())
	}
}

// While the core is away the radio stays; a virtual one, whose clock stands, is
// started again.
func TestCoreLost(t *testing.T) {
	r := run(t, "core lost", func(o *radio.Options) { o.Ready = 300 * time.Millisecond; o.MinPause = time.Hour })
	h := r.until("no core", func(h radio.Health) bool { return h.State == radio.NoCore })
	if !strings.HasPrefix(h.LastError, "SCTP Association Shutdown") {
		t.Errorf("%+v", h)
	}
	h = r.until("started again", func(h radio.Health) bool { return h.State == radio.Restarting })
	if h.LastError != "the core has not answered for 300ms" {
		t.Errorf("%+v", h)
	}
}

func TestNoProgram(t *testing.T) {
	c := virtual()
	c.Program = "/nowhere/srsenb"
	_, err := radio.New(radio.Options{Plan: plan(t, c), Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "radio.program: ") || !strings.Contains(err.Error(), "install srsRAN 4G") {
		t.Error(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Program, c.Environment = self, []string{behaviour + "=version"}
	if v, err := plan(t, c).Version(t.Context()); err != nil || v != "23.4.0" {
		t.Error(v, err)
	}
	c.Program = "/bin/true"
	if _, err := plan(t, c).Version(t.Context()); err == nil || !strings.Contains(err.Error(), "is no srsenb") {
		t.Error(err)
	}
}
