package smsc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is a centre on a disk in memory, and phones by one or two kinds of radio.
type world struct {
	t     *testing.T
	fs    vfs.FS
	o     smsc.Options
	c     *smsc.Centre
	end   context.CancelFunc
	ended chan struct{}
	gsm   *radio
	lte   *radio

	mu      sync.Mutex
	numbers map[id.MSISDN]id.IMSI
	broken  error // of the directory
}

func (w *world) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return id.IMSI{}, w.broken
	}
	if i, ok := w.numbers[n]; ok {
		return i, nil
	}
	return id.IMSI{}, smsc.ErrUnknown
}

func (w *world) Number(_ context.Context, i id.IMSI) (id.MSISDN, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, who := range w.numbers {
		if who == i {
			return n, w.broken
		}
	}
	return id.MSISDN{}, w.broken
}

// radio is a path whose phones do as the test says.
type radio struct {
	mu     sync.Mutex
	heard  map[id.IMSI]time.Time
	answer map[id.IMSI]func(smsc.Delivery) (sms.RP, error)
	sent   []smsc.Delivery // what was brought, also without an answer
	counts []smsc.Key
}

func newRadio() *radio {
	return &radio{heard: map[id.IMSI]time.Time{}, answer: map[id.IMSI]func(smsc.Delivery) (sms.RP, error){}}
}

func (r *radio) Registered(i id.IMSI) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.heard[i]
	return at, ok
}

func (r *radio) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	r.mu.Lock()
	_, there := r.heard[d.IMSI]
	f := r.answer[d.IMSI]
	if there {
		r.sent = append(r.sent, d)
	}
	r.mu.Unlock()
	switch {
	case !there:
		return nil, smsc.ErrNotRegistered
	case f != nil:
		return f(d)
	}
	return &sms.RPAck{Direction: sms.Uplink, Reference: d.Data.Reference}, nil
}

func (r *radio) Delivered(d smsc.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = append(r.counts, d.Key)
}

// on registers a phone.
func (r *radio) on(p smsc.Sender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard[p.IMSI] = time.Now()
}

// does sets what a phone answers.
func (r *radio) does(p smsc.Sender, f func(smsc.Delivery) (sms.RP, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer[p.IMSI] = f
}

// to gives what was brought to a phone since the last call.
func (r *radio) to(p smsc.Sender) (all []smsc.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = slices.DeleteFunc(r.sent, func(d smsc.Delivery) bool {
		if d.IMSI != p.IMSI {
			return false
		}
		all = append(all, d)
		return true
	})
	return all
}

func (r *radio) counted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.counts)
}

// play runs a test in virtual time.
func play(t *testing.T, o smsc.Options, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: vfs.NewMem(), gsm: newRadio(), lte: newRadio(), numbers: map[id.MSISDN]id.IMSI{}}
		w.o = o
		w.o.Dir, w.o.Key, w.o.FS, w.o.Address, w.o.Directory = "sms.db", [32]byte{7}, w.fs, must(sms.NewAddress("+882990000")), w
		w.o.Paths = []smsc.NamedPath{{Name: "gsm", Path: w.gsm}, {Name: "lte", Path: w.lte}}
		w.start()
		f(w)
		w.stop()
	})
}

func (w *world) start() {
	w.t.Helper()
	c, err := smsc.New(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.c, w.end, w.ended = c, cancel, make(chan struct{})
	go func() {
		defer close(w.ended)
		if err := c.Serve(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	synctest.Wait()
}

func (w *world) stop() {
	w.end()
	<-w.ended
}

func (w *world) restart() { w.stop(); w.start() }

// phone is a subscriber, registered by radio r if that is not nil.
func (w *world) phone(n string, r *radio) smsc.Sender {
	p := smsc.Sender{IMSI: must(id.ParseIMSI("0010100000" + n)), MSISDN: must(id.ParseMSISDN("8829900" + n))}
	w.mu.Lock()
	w.numbers[p.MSISDN] = p.IMSI
	w.mu.Unlock()
	if r != nil {
		r.on(p)
	}
	return p
}

// submit is an SMS-SUBMIT; the functions change it.
func submit(to smsc.Sender, text string, with ...func(*sms.Submit)) *sms.Submit {
	part := must(sms.Split(text, sms.SplitOptions{}))[0]
	s := &sms.Submit{Destination: sms.FromMSISDN(to.MSISDN), DCS: part.DCS, User: part.User}
	for _, f := range with {
		f(s)
	}
	return s
}

func ref(n uint8) func(*sms.Submit)          { return func(s *sms.Submit) { s.Reference = n } }
func reported(s *sms.Submit)                 { s.StatusReport = true }
func repeated(s *sms.Submit)                 { s.RejectDuplicates = true }
func pid(p sms.PID) func(*sms.Submit)        { return func(s *sms.Submit) { s.PID = p } }
func valid(v sms.Validity) func(*sms.Submit) { return func(s *sms.Submit) { s.Validity = v } }

// submits sends a TPDU from a phone.
func (w *world) submits(from smsc.Sender, t sms.TPDU, reference uint8) (sms.RP, error) {
	return w.c.Submit(context.Background(), from, &sms.RPData{Reference: reference, Destination: w.o.Address, User: must(sms.Append(nil, t))})
}

// takes is submits of what has to be taken; it gives the time stamp.
func (w *world) takes(from smsc.Sender, t sms.TPDU, reference uint8) sms.Timestamp {
	w.t.Helper()
	rp, err := w.submits(from, t, reference)
	ack, ok := rp.(*sms.RPAck)
	if err != nil || !ok {
		w.t.Fatalf("%v, %v", rp, err)
	}
	synctest.Wait()
	return must(ack.TPDU()).(*sms.SubmitReport).Timestamp
}

// refuses is submits of what must not be taken.
func (w *world) refuses(from smsc.Sender, t sms.TPDU, cause sms.RPCause, f sms.FailureCause) {
	w.t.Helper()
	rp, err := w.submits(from, t, 1)
	e, ok := rp.(*sms.RPError)
	if err != nil || !ok || e.Cause != cause {
		w.t.Errorf("%v, %v; want %v", rp, err, cause)
		return
	}
	if r := must(e.TPDU()).(*sms.SubmitReport); r.Failure.V != f {
		w.t.Errorf("%v, want %v", r.Failure.V, f)
	}
}

// texts gives the texts a phone got by a radio since the last call.
func texts(r *radio, p smsc.Sender) (all []string) {
	for _, d := range r.to(p) {
		if _, text, ok := smsc.TextOf(d); ok {
			all = append(all, text)
		}
	}
	return all
}

func (w *world) got(r *radio, p smsc.Sender, want ...string) {
	w.t.Helper()
	if got := texts(r, p); !slices.Equal(got, want) {
		w.t.Errorf("the phone got %q, want %q", got, want)
	}
}

// reports gives the statuses a phone was told.
func reports(r *radio, p smsc.Sender) (all []*sms.StatusReport) {
	for _, d := range r.to(p) {
		if s, ok := must(d.Data.TPDU()).(*sms.StatusReport); ok {
			all = append(all, s)
		}
	}
	return all
}

// passes lets time pass.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func fails(err error) func(smsc.Delivery) (sms.RP, error) {
	return func(smsc.Delivery) (sms.RP, error) { return nil, err }
}

func says(c sms.RPCause) func(smsc.Delivery) (sms.RP, error) {
	return func(d smsc.Delivery) (sms.RP, error) {
		return &sms.RPError{Direction: sms.Uplink, Reference: d.Data.Reference, Cause: c}, nil
	}
}

var errNobodyKnows = errors.New("the connection was cut")

// hidden checks that a log has neither texts nor numbers.
func hidden(t *testing.T, log string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(log, s) {
			t.Errorf("the log has %q:\n%s", s, log)
		}
	}
}
