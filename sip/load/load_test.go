// Package load has only tests: the SIP gateway under load, beside Kamailio and
// sipgo. `make bench-sip` runs it; docs/sip-load.md has what it said.
package load

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The server has core 0 and sipp has core 1.
const (
	serverCore, sippCore = "0", "1"
	users                = 10000
	firstUser            = 10000 // 0010110000 and this make an IMSI
	seconds              = 4     // a step of the offered rate
)

// rates are offered one after the other; what a server does cleanly is the
// highest at which fewer than one in a hundred fails or is sent again.
var rates = map[string][]int{
	"register": {2000, 4000, 6000, 8000, 10000, 12000, 14000, 16000, 20000, 24000},
	"caller":   {250, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000},
	"message":  {500, 1000, 2000, 3000, 4000, 6000, 8000, 10000},
}

// competitor is a server under load.
type competitor struct {
	name   string
	does   []string
	start  func(t *testing.T, dir, what string) (*exec.Cmd, netip.AddrPort)
	answer string // to a MESSAGE
}

func competitors() []competitor {
	all := []string{"register", "caller", "message"}
	return []competitor{
		{"kamailio", all, kamailio, "200"},
		{"gateway", all, ours("gateway"), "202"},
		{"txn alone", all, ours("plain"), "200"},
		{"sipgo", []string{"register"}, ours("sipgo"), "200"},
	}
}

// TestLoad compares, and prints; it fails only when nothing could be measured.
func TestLoad(t *testing.T) {
	if os.Getenv("BENCH_SIP") == "" {
		t.Skip("a benchmark: make bench-sip")
	}
	for _, name := range []string{"sipp", "taskset"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	first := make(map[string]result)
	t.Logf("%-10s %-9s %9s %9s %12s %10s %9s", "server", "what", "clean/s", "us CPU", "at twice /s", "failed", "ratio")
	for _, c := range competitors() {
		if only := os.Getenv("BENCH_SIP_ONLY"); only != "" && !strings.Contains(only, c.name) {
			continue
		}
		if c.name == "kamailio" {
			if _, err := exec.LookPath(c.name); err != nil {
				t.Log("kamailio is not installed")
				continue
			}
		}
		for _, what := range c.does {
			if len(offered(what)) == 0 {
				continue
			}
			r := measure(t, c, what)
			if _, ok := first[what]; !ok {
				first[what] = r
			}
			t.Logf("%-10s %-9s %9d %9.1f %12.0f %9.1f%% %8.2fx", c.name, what, r.clean, r.cpu, r.twice, r.failed, float64(r.clean)/float64(max(first[what].clean, 1)))
		}
	}
}

// result is what a server does of one kind.
type result struct {
	clean  int     // a second
	cpu    float64 // microseconds of the server's processor for each, at that rate
	twice  float64 // done a second when twice as many are offered
	failed float64 // percent of these
}

// measure raises the rate until the server is no more clean, and then offers
// twice what it has done.
func measure(t *testing.T, c competitor, what string) (r result) {
	for _, rate := range offered(what) {
		s := c.run(t, what, rate)
		if s.bad()*100 > s.created {
			if r.clean > 0 {
				break
			}
			continue
		}
		r.clean, r.cpu = rate, s.cpu
	}
	if r.clean > 0 {
		s := c.run(t, what, 2*r.clean)
		r.twice, r.failed = float64(s.inTime)/seconds, 100*float64(s.created-s.ok)/float64(max(s.created, 1))
	}
	return r
}

// offered are the rates, or those of BENCH_SIP_RATES (register=8000,12000).
func offered(what string) (list []int) {
	for set := range strings.FieldsSeq(os.Getenv("BENCH_SIP_RATES")) {
		if name, values, ok := strings.Cut(set, "="); ok && name == what {
			for v := range strings.SplitSeq(values, ",") {
				if n, err := strconv.Atoi(v); err == nil {
					list = append(list, n)
				}
			}
			return list
		}
	}
	return rates[what]
}

// sample is one run of sipp.
type sample struct {
	created, ok, failed, retransmissions int
	inTime                               int     // done before the last was offered and a second more
	cpu                                  float64 // microseconds for each that was done
}

func (s sample) bad() int { return s.created - s.ok + s.retransmissions }

// run has a new server do one kind of work at one rate.
func (c competitor) run(t *testing.T, what string, rate int) (s sample) {
	t.Helper()
	dir := t.TempDir()
	server, at := c.start(t, dir, what)
	defer stop(server)
	if what != "register" {
		prepare(t, c, at, what)
		called := map[string]string{"caller": "callee", "message": "texted"}[what]
		end := exec.Command("taskset", "-c", sippCore, "sipp", "-sf", scenario(t, c, dir, called), "-i", "127.0.0.1", "-p", "16100", "-nostdin", "-buff_size", "4000000")
		end.Dir = dir
		end.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := end.Start(); err != nil {
			t.Fatal(err)
		}
		defer stop(end)
	}
	before := spent(server.Process.Pid)
	stats := filepath.Join(dir, "stats.csv")
	n := rate * seconds
	cmd := exec.Command("taskset", "-c", sippCore, "sipp", "-sf", scenario(t, c, dir, what), "-inf", c.list(t, dir, what), "-r", strconv.Itoa(rate), "-m", strconv.Itoa(n),
		"-l", "15000", "-i", "127.0.0.1", "-p", "16000", "-nostdin", "-auth_uri", "load.test", "-trace_stat", "-stf", stats, "-fd", "1", "-timeout", strconv.Itoa(seconds+8), "-buff_size", "4000000")
	cmd.Dir = dir
	if os.Getenv("BENCH_SIP_VERBOSE") != "" {
		cmd.Args = append(cmd.Args, "-trace_err", "-error_file", filepath.Join(dir, "errors"))
		defer func() {
			if b, err := os.ReadFile(filepath.Join(dir, "errors")); err == nil {
				t.Logf("%s", b[:min(len(b), 1500)])
			}
		}()
	}
	cmd.Args = append(cmd.Args, at.String())
	_ = cmd.Run() // it ends with an error when any call has failed
	spending := spent(server.Process.Pid) - before
	b, err := os.ReadFile(stats)
	if err != nil {
		t.Fatalf("sipp has measured nothing: %v", err)
	}
	rows := strings.Split(strings.TrimSpace(string(b)), "\n")
	head := strings.Split(rows[0], ";")
	field := func(row, name string) int {
		for i, v := range strings.Split(row, ";") {
			if i < len(head) && head[i] == name {
				n, _ := strconv.Atoi(v)
				return n
			}
		}
		return 0
	}
	last := rows[len(rows)-1]
	s = sample{created: field(last, "TotalCallCreated"), ok: field(last, "SuccessfulCall(C)"), failed: field(last, "FailedCall(C)"), retransmissions: field(last, "Retransmissions(C)")}
	s.inTime = field(rows[min(len(rows)-1, seconds+1)], "SuccessfulCall(C)")
	s.cpu = float64(spending.Microseconds()) / float64(max(s.ok, 1))
	if os.Getenv("BENCH_SIP_VERBOSE") != "" {
		t.Logf("%s %s at %d/s: %+v", c.name, what, rate, s)
	}
	return s
}

// scenario copies one for a server.
func scenario(t *testing.T, c competitor, dir, name string) string {
	b, err := os.ReadFile(filepath.Join("testdata", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name+".xml")
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte("ANSWER"), []byte(c.answer)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// list writes users, passwords and whom they call.
func (c competitor) list(t *testing.T, dir, what string) string {
	var b bytes.Buffer
	b.WriteString("SEQUENTIAL\n")
	for i := range users {
		n, to := firstUser+i, "2101"
		if c.name == "gateway" && what == "message" { // its centre brings a phone one message at a time
			to = fmt.Sprint("3", n)
		}
		fmt.Fprintf(&b, "0010110000%d;[authentication username=0010110000%d password=secret%d];%s\n", n, n, n, to)
	}
	path := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kamailio starts Kamailio with one process that receives.
func kamailio(t *testing.T, dir, _ string) (*exec.Cmd, netip.AddrPort) {
	at := netip.MustParseAddrPort("127.0.0.1:15060")
	b, err := os.ReadFile("testdata/kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte("PORT"), []byte("15060")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("taskset", "-c", serverCore, "kamailio", "-f", path, "-DD", "-E", "-m", "512", "-M", "32", "-w", dir, "-P", filepath.Join(dir, "pid"))
	return started(t, cmd, at), at
}

// ours starts this test's program as a server.
func ours(kind string) func(*testing.T, string, string) (*exec.Cmd, netip.AddrPort) {
	return func(t *testing.T, _, what string) (*exec.Cmd, netip.AddrPort) {
		at := netip.MustParseAddrPort("127.0.0.1:15070")
		cmd := exec.Command("taskset", "-c", serverCore, os.Args[0])
		cmd.Env = append(os.Environ(), "LOAD_SERVER="+kind, "LOAD_ADDRESS="+at.String(), "GOMAXPROCS=1")
		if what != "register" { // phones of a cell call without a password, as Kamailio's users do here
			cmd.Env = append(cmd.Env, "LOAD_STATION=1")
		}
		return started(t, cmd, at), at
	}
}

// started starts a server and waits until it answers OPTIONS with anything.
func started(t *testing.T, cmd *exec.Cmd, at netip.AddrPort) *exec.Cmd {
	t.Helper()
	free, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("a server of an earlier run is still there: %v", err)
	}
	_ = free.Close()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, "127.0.0.1:15999")
	defer p.conn.Close()
	for range 100 {
		if p.ask(at, "OPTIONS", "nobody", 1, "", 200*time.Millisecond) != nil {
			return cmd
		}
	}
	stop(cmd)
	t.Fatalf("%v does not answer", cmd.Args)
	return nil
}

// stop ends a server and what it has started.
func stop(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}

// spent is the processor time of a process and its children.
func spent(pid int) (total time.Duration) {
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		i := bytes.LastIndexByte(b, ')')
		f := strings.Fields(string(b[i+1:])) // state, parent, ... user and system time in ticks of 10 ms
		if own := filepath.Base(filepath.Dir(name)) == strconv.Itoa(pid); len(f) < 13 || !own && f[1] != strconv.Itoa(pid) {
			continue
		}
		for _, v := range f[11:13] {
			n, _ := strconv.Atoi(v)
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}
