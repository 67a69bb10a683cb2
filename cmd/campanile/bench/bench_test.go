package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

// A fleet against the MME that is measured: everything succeeds, each counts what
// the other counts, and what is asked of the MME beyond phones it does.
func TestFleet(t *testing.T) {
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Listen: netip.MustParseAddr("127.20.7.1"), PLMN: plmn, K: secret.Key128{1}, OPc: secret.Key128{2},
		Store: filepath.Join(t.TempDir(), "mme.db"), Profile: filepath.Join(t.TempDir(), "cpu")}
	orders, in := io.Pipe()
	answers, out := io.Pipe()
	ran := make(chan error, 1)
	go func() {
		err := Run(t.Context(), orders, out, o)
		out.CloseWithError(err)
		ran <- err
	}()
	read := bufio.NewReader(answers)
	if line, err := read.ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	report := func() (r Report) {
		fmt.Fprintln(in, "report")
		line, err := read.ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &r) != nil {
			t.Fatalf("%q, %v", line, err)
		}
		return r
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	enb, done := tower(t, ctx, plmn, o.Listen)
	first, err := id.ParseIMSI("001010000000001")
	if err != nil {
		t.Fatal(err)
	}
	f, err := sim.NewFleet(sim.FleetOptions{ENBs: []*sim.ENB{enb}, First: first, K: o.K, OPc: o.OPc, Phones: 30, AtOnce: 8,
		Page: func(who id.IMSI) error { _, err := fmt.Fprintln(in, "page "+who.Digits()); return err }})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "profile")
	r, err := f.Attach(ctx, 0)
	if err != nil || r.Procedures["attach"].OK != 30 || r.Procedures["release"].OK != 30 || len(r.Causes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	fmt.Fprintln(in, "profile")
	before := report()
	if before.Registered != 30 || before.ENBs != 1 || before.Procedures["attach ok"] != 30 || before.Records == 0 || before.CPU == 0 || before.RSS == 0 || before.Heap == 0 {
		t.Errorf("%+v", before)
	}
	r, err = f.Mix(ctx, 100, 2*time.Second, map[string]int{"attach": 1, "service": 1, "tau": 1, "page": 1, "detach": 1})
	after := report()
	if err != nil || len(r.Causes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, want := range map[string]int{"attach ok": r.Procedures["attach"].OK, "detach ok": r.Procedures["detach"].OK, "paging ok": r.Procedures["page"].OK,
		"tracking area update ok": r.Procedures["tau"].OK, "service request ok": r.Procedures["service"].OK + r.Procedures["page"].OK} {
		if n := after.Procedures[name] - before.Procedures[name]; want == 0 || int(n) != want {
			t.Errorf("%s: %d there, %d here", name, n, want)
		}
	}
	if _, err := f.Mix(ctx, 1, time.Second, map[string]int{"sing": 1}); err == nil {
		t.Error("a procedure that nobody knows")
	}
	f.Close()
	stop()
	<-done
	in.Close()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if s, err := os.Stat(o.Profile); err != nil || s.Size() == 0 {
		t.Error("no profile", err)
	}
}

// tower is an eNB over SCTP in UDP.
func tower(t *testing.T, ctx context.Context, plmn id.PLMN, mme netip.Addr) (*sim.ENB, chan struct{}) {
	e, err := sim.NewENB(sim.ENBOptions{ID: id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: 1}, TAI: id.TAI{PLMN: plmn, TAC: 7}, Cell: 0x101})
	if err != nil {
		t.Fatal(err)
	}
	ep, _, err := sctp.Open(sctp.OpenOptions{Transport: sctp.TransportUDP, Local: []netip.Addr{mme.Next()}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer ep.Close()
		e.Serve(ctx, func(ctx context.Context) (sctp.Association, error) {
			return ep.Dial(ctx, netip.AddrPortFrom(mme, s1apPort), sctp.DialOptions{})
		})
	}()
	if err := e.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return e, done
}

// An order that is none ends the MME with an error.
func TestOrders(t *testing.T) {
	in, orders := io.Pipe()
	go fmt.Fprintln(orders, "sing")
	plmn, _ := id.ParsePLMN("00101")
	if err := Run(t.Context(), in, io.Discard, Options{Listen: netip.MustParseAddr("127.20.7.9"), PLMN: plmn}); err == nil {
		t.Error("it sings")
	}
}
