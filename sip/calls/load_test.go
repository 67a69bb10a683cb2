package calls

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"campanile.network/internal/loopback"
	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// What calls cost (INVITE, 180, 200, ACK, BYE, 200, between two SIPp):
//
//	CALLS=rate,seconds go test -run TestLoad -v -count=1 ./sip/calls
//
// prints the processor's time that the gateway took for each, with the ports of
// real speech.
func TestLoad(t *testing.T) {
	rate, seconds, ok := strings.Cut(os.Getenv("CALLS"), ",")
	if !ok {
		t.Skip("CALLS=rate,seconds is not set")
	}
	length, err := strconv.Atoi(seconds)
	if err != nil {
		t.Fatal(err)
	}
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		t.Fatal(err)
	}
	at, a, b, sw, e := loadGateway(t)
	dir := t.TempDir()
	calls := strconv.Itoa(perSecond * length)
	run := func(scenario string, from netip.AddrPort, more ...string) *exec.Cmd {
		text, err := os.ReadFile(filepath.Join("testdata", "sipp", scenario+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, scenario+".xml")
		filled := strings.NewReplacer("@CALLED@", "2102", `milliseconds="300"`, `milliseconds="0"`).Replace(string(text))
		if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("sipp", append([]string{"-sf", file, "-m", calls, "-i", from.Addr().String(), "-p", strconv.Itoa(int(from.Port())),
			"-nostdin", "-timeout", strconv.Itoa(length+30) + "s", at.String()}, more...)...)
		out, err := os.Create(filepath.Join(dir, scenario+".out"))
		if err != nil {
			t.Fatal(err)
		}
		c.Stdout, c.Stderr, c.Dir = out, out, dir
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	before, begun := processor(), time.Now()
	called, caller := run("called", b), run("caller", a, "-r", rate, "-l", "3000")
	errCaller := caller.Wait()
	took := time.Since(begun)
	_ = called.Process.Kill() // what it has seen, the caller has
	_ = called.Wait()
	s := sw.Stats()
	t.Logf("%d calls begun, %d answered in %v (SIPp: %v), %v of processor each; ended %v; %d goroutines, txn %+v", s.Begun, s.Answered, took.Round(time.Millisecond), errCaller,
		(processor()-before)/time.Duration(max(s.Begun, 1)), s.Ended, runtime.NumGoroutine(), e.Stats())
}

// loadGateway serves calls between two stations, a and b.
func loadGateway(t *testing.T) (at, a, b netip.AddrPort, sw *Switch, e *txn.Endpoint) {
	t.Helper()
	at = netip.AddrPortFrom(loopback.Addr(t, 5060), 5060)
	a, b = netip.AddrPortFrom(loopback.Addr(t, 5062), 5062), netip.AddrPortFrom(loopback.Addr(t, 5062), 5062)
	book := newBook()
	for i, x := range []netip.AddrPort{a, b} {
		n := imsi(t, i+1)
		book.stations[x.Addr()] = Party{Access: AccessGSM, Station: x.String()}
		book.parties[n] = []Party{{Access: AccessGSM, IMSI: n, Station: x.String(), URI: sip.URI{Scheme: "sip", User: "IMSI" + n.Digits(), Host: x.Addr().String(), Port: int(x.Port())},
			Target: txn.To(txn.Flow{Transport: txn.UDP, Local: at, Remote: x})}}
		book.numbers[number(t, "210"+strconv.Itoa(i+1))] = n
	}
	e, err := txn.Listen(txn.Options{UDP: []netip.AddrPort{at}, Admission: txn.Admission{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	relay, err := media.New(media.Options{Address: at.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	sw, err = New(Options{Endpoint: e, Registry: book, Media: Relay(relay), Realm: "campanile.example", Policy: Policy{MaxCalls: 4000, PerSubscriber: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = sw.Serve(ctx) })
	serving.Go(func() { _ = relay.Serve(ctx) })
	serving.Go(func() { _ = e.Serve(ctx, sw.Handle) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return at, a, b, sw, e
}

// processor is the time that this process has had of it.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
