package sim_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

var (
	plmn   = must(id.ParsePLMN("00101"))
	tai    = id.TAI{PLMN: plmn, TAC: 7}
	gummei = id.GUMMEI{PLMN: plmn, Group: 1, Code: 2}
	imeisv = must(id.ParseIMEI("3534900698733153"))
	card   = sim.SIM{IMSI: must(id.ParseIMSI("001010000000001")), K: secret.Key128{1}, OPc: secret.Key128{2}}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is one eNB and the MME that the test plays.
type world struct {
	t      *testing.T
	enb    *sim.ENB
	mme    sctp.Association
	dialed chan sctp.Association
	home   *milenage.Cipher
	seq    uint64
	lastID s1ap.MMEUES1APID
	// gateway is the far end of S1-U.
	gateway netip.Addr
}

// play runs a script in virtual time, with S1 Setup done.
func play(t *testing.T, o sim.ENBOptions, script func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		serve(t, o, func(w *world) {
			w.setup()
			script(w)
		})
	})
}

// serve runs a script beside an eNB whose dialing the test answers.
func serve(t *testing.T, o sim.ENBOptions, script func(*world)) {
	t.Helper()
	if o.ID.PLMN.IsZero() {
		o.ID, o.TAI, o.Cell = id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: 0x19b}, tai, 0x19b01
	}
	o.Name = "test"
	enb, err := sim.NewENB(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, enb: enb, dialed: make(chan sctp.Association), home: milenage.New(card.K, card.OPc), gateway: netip.MustParseAddr("127.0.0.30")}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- enb.Serve(ctx, w.dial) }()
	defer func() {
		stop()
		if w.mme != nil {
			w.mme.Abort("end of test")
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	script(w)
}

// dial hands the other end to the test.
func (w *world) dial(ctx context.Context) (sctp.Association, error) {
	tower, core := sctp.Pipe(sctp.PipeOptions{})
	select {
	case w.dialed <- core:
		return tower, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// setup accepts the eNB's next association and its S1 Setup.
func (w *world) setup() *s1ap.S1SetupRequest {
	w.t.Helper()
	w.mme = <-w.dialed
	m := next[*s1ap.S1SetupRequest](w)
	g := s1ap.FromGUMMEI(gummei)
	w.send(&s1ap.S1SetupResponse{MMEname: "script", RelativeMMECapacity: 255, ServedGUMMEIs: s1ap.ServedGUMMEIs{{
		ServedPLMNs: s1ap.ServedPLMNs{s1ap.FromPLMN(plmn)}, ServedGroupIDs: s1ap.ServedGroupIDs{g.MMEGroupID}, ServedMMECs: s1ap.ServedMMECs{g.MMECode}}}})
	if err := w.enb.WaitReady(w.within(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) send(m s1ap.Message) {
	w.t.Helper()
	w.raw(must(s1ap.Append(nil, m)))
}

func (w *world) raw(b []byte) {
	w.t.Helper()
	if err := w.mme.Send(context.Background(), 0, 18, b); err != nil {
		w.t.Fatalf("MME: sending: %v", err)
	}
}

// next gives the eNB's next message, which must be a T.
func next[T s1ap.Message](w *world) T {
	w.t.Helper()
	in, err := w.mme.Recv(w.within(time.Minute))
	if err != nil {
		w.t.Fatalf("MME: waiting for %T: %v", *new(T), err)
	}
	if in.PPID != 18 {
		w.t.Errorf("PPID %d", in.PPID)
	}
	p, err := s1ap.Parse(in.Data)
	if err != nil {
		w.t.Fatalf("the eNB's message: %v", err)
	}
	v, ok := p.Message.(T)
	if !ok {
		w.t.Fatalf("the eNB sent %s %+v, want %T", p.Message.Header().Name, p.Message, v)
	}
	return v
}

// silent checks that the eNB says nothing for a while.
func (w *world) silent() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if in, err := w.mme.Recv(ctx); err == nil {
		p, _ := s1ap.Parse(in.Data)
		w.t.Fatalf("the eNB sent %s %+v", p.Message.Header().Name, p.Message)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		w.t.Fatalf("the association: %v", err)
	}
}

// phone is a phone with the test's card, switched off when the test ends.
func (w *world) phone(o sim.PhoneOptions) *sim.Phone {
	w.t.Helper()
	o.ENB, o.IMEISV = w.enb, imeisv
	if o.SIM.IMSI.IsZero() {
		o.SIM = card
	}
	p, err := sim.NewPhone(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// outcome is what a procedure of a phone came to.
type outcome struct {
	s   sim.Session
	err error
}

// attach begins an attach, which the script then answers.
func (w *world) attach(p *sim.Phone) chan outcome {
	done := make(chan outcome, 1)
	ctx := w.within(15 * time.Second)
	go func() {
		s, err := p.Attach(ctx)
		done <- outcome{s, err}
	}()
	return done
}

// do begins another procedure of a phone.
func do(f func() error) chan outcome {
	done := make(chan outcome, 1)
	go func() { done <- outcome{err: f()} }()
	return done
}

// wantState checks a state once nothing moves any more.
func (w *world) wantState(p *sim.Phone, want sim.State) {
	w.t.Helper()
	synctest.Wait()
	if got := p.State(); got != want {
		w.t.Errorf("phone is %v, want %v", got, want)
	}
}
