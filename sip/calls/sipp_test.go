package calls

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/internal/loopback"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// sippPair is what two SIPp play: a phone in a cell that calls, and one that is
// called; want is what the gateway's record then says.
type sippPair struct {
	name           string
	caller, called string // scenarios in testdata/sipp; called "": nobody
	number         string
	status         string // that is refused with
	want           string // Record.Why
	stranger       bool   // nobody has registered the caller
	rings          time.Duration
}

var sippPairs = []sippPair{
	{name: "call", caller: "caller", called: "called", want: "hung up"},
	{name: "hung up by who was called", caller: "caller-is-hung-up", called: "called-hangs-up", want: "hung up"},
	{name: "busy", caller: "caller-refused", called: "called-refuses", status: "486", want: "busy"},
	{name: "declined", caller: "caller-refused", called: "called-refuses", status: "603", want: "declined"},
	{name: "no such phone", caller: "caller-refused", called: "called-refuses", status: "404", want: "refused"},
	{name: "formats", caller: "caller-refused", called: "called-refuses", status: "488", want: "refused"},
	{name: "cancelled", caller: "caller-cancels", called: "called-is-cancelled", want: "cancelled"},
	{name: "no answer", caller: "caller-refused", called: "called-is-cancelled", status: "480", want: "no answer", rings: 3 * time.Second},
	{name: "hold, resume and a key", caller: "caller-holds", called: "called", want: "hung up"},
	{name: "nobody's number", caller: "caller-refused", number: "2999", status: "404", want: "number is nobody's"},
	{name: "no number", caller: "caller-refused", number: "alice", status: "484", want: "unreadable number"},
	{name: "stranger", caller: "caller-refused", status: "403", stranger: true},
	{name: "no way for emergencies", caller: "caller-refused", number: "112", status: "503", want: "no way for emergency calls"},
}

// The gateway as a black box between two SIPp.
func TestSIPp(t *testing.T) {
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is not installed: apt install sip-tester")
		}
		t.Skip("sipp is not installed: apt install sip-tester")
	}
	for _, p := range sippPairs {
		t.Run(p.name, p.play)
	}
}

func (p sippPair) play(t *testing.T) {
	at := netip.AddrPortFrom(loopback.Addr(t, 5060), 5060)
	a := netip.AddrPortFrom(loopback.Addr(t, 5062), 5062)
	b := netip.AddrPortFrom(loopback.Addr(t, 5062), 5062)
	book := newBook()
	book.stations[a.Addr()] = Party{Access: AccessGSM, Station: "a"}
	book.stations[b.Addr()] = Party{Access: AccessGSM, Station: "b"}
	for i, x := range []netip.AddrPort{a, b} {
		if i == 0 && p.stranger {
			continue
		}
		n := imsi(t, i+1)
		book.parties[n] = []Party{{Access: AccessGSM, IMSI: n, Number: number(t, "210"+strconv.Itoa(i+1)), Station: string(rune('a' + i)),
			URI:    sip.URI{Scheme: "sip", User: "IMSI" + n.Digits(), Host: x.Addr().String(), Port: int(x.Port())},
			Target: txn.To(txn.Flow{Transport: txn.UDP, Local: at, Remote: x})}}
		book.numbers[number(t, "210"+strconv.Itoa(i+1))] = n
	}
	ended := make(chan Record, 1)
	e, err := txn.Listen(txn.Options{UDP: []netip.AddrPort{at}})
	if err != nil {
		t.Fatal(err)
	}
	sw, err := New(Options{Endpoint: e, Registry: book, Media: &desk{next: 30000}, Realm: "campanile.example",
		Numbers: Numbers{Emergency: []string{"112"}}, Policy: Policy{NoAnswer: p.rings}, Record: func(r Record) { ended <- r }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { _ = sw.Serve(ctx) })
	serving.Go(func() { _ = e.Serve(ctx, sw.Handle) })
	defer serving.Wait()
	defer stop()
	var called <-chan error
	if p.called != "" {
		called = p.sipp(t, p.called, b, at)
		taken(t, b)
	}
	if err := <-p.sipp(t, p.caller, a, at); err != nil {
		t.Error(err)
	}
	if called != nil {
		if err := <-called; err != nil {
			t.Error(err)
		}
	}
	if p.want == "" {
		return
	}
	select {
	case r := <-ended:
		if r.Why != p.want {
			t.Errorf("the record says %q, want %q", r.Why, p.want)
		}
	case <-time.After(time.Minute):
		t.Error("the call does not end")
	}
}

// taken waits until somebody listens at an address, which the kernel tells: to
// try the port would be to take it from who wants it.
func taken(t *testing.T, at netip.AddrPort) {
	t.Helper()
	ip := at.Addr().As4()
	entry := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], at.Port())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		all, err := os.ReadFile("/proc/net/udp")
		if err != nil || strings.Contains(string(all), entry) {
			return
		}
		<-tick.C
	}
	t.Fatal("sipp does not listen")
}

// sipp plays a scenario once, from an address, and tells how it went.
func (p sippPair) sipp(t *testing.T, scenario string, from, to netip.AddrPort) <-chan error {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "sipp", scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, scenario+".xml")
	called := p.number
	if called == "" {
		called = "2102"
	}
	filled := strings.NewReplacer("@CALLED@", called, "@STATUS@", p.status).Replace(string(text))
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sipp", "-sf", file, "-m", "1", "-i", from.Addr().String(), "-p", strconv.Itoa(int(from.Port())),
		"-nostdin", "-timeout", "40s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors"), to.String())
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		out.Close()
		if err != nil {
			for _, f := range []string{"errors", "out"} {
				if b, e := os.ReadFile(filepath.Join(dir, f)); e == nil {
					t.Logf("%s: %s", scenario, b[max(0, len(b)-3000):])
				}
			}
		}
		done <- err
	}()
	return done
}
