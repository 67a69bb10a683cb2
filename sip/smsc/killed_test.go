package smsc_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

const (
	killedPhones = 200
	kills        = 20
)

// Ten thousand messages between phones, while the centre's process is killed twenty
// times: each that was taken comes to its phone, and once. A phone by "sip" knows a
// repetition by its Key alone, as a BTS does by the Call-ID made of it; one by "nas"
// by originator, time stamp and contents alone. CAMPANILE_TEST_SMSC_MESSAGES is how
// many messages there are.
func TestKilledTwentyTimes(t *testing.T) {
	total, err := strconv.Atoi(cmp.Or(os.Getenv("CAMPANILE_TEST_SMSC_MESSAGES"), "10000"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &town{t: t, dir: t.TempDir() + "/sms.db", total: total, rand: rand.New(rand.NewPCG(seed, 1)), all: make(chan struct{}), drained: make(chan struct{}), submits: map[int]chan frame{},
		want: map[string]int{}}
	for i := range killedPhones {
		w.phones = append(w.phones, &handset{n: i + 1, off: i%10 == 9, got: map[string]int{}})
	}
	w.plan()
	w.start()
	var senders sync.WaitGroup
	for i, p := range w.phones {
		senders.Go(func() { w.write(ctx, p, total/killedPhones+b2i(i < total%killedPhones), seed) })
	}
	senders.Wait()
	select {
	case <-w.all:
	case <-ctx.Done():
	}
	w.end(ctx)
	w.judge()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// town has the phones, and the process of the centre.
type town struct {
	t     *testing.T
	dir   string
	total int
	rand  *rand.Rand // under mu

	mu      sync.Mutex
	phones  []*handset
	cmd     *exec.Cmd
	to      *wire
	in      io.Closer
	died    chan struct{} // closed when the process at hand is gone and another one is there
	submits map[int]chan frame
	last    int
	want    map[string]int // recipient and text of what was taken
	taken   int
	arrived int
	events  int
	kills   []kill // that are to come
	killed  int
	ending  bool
	all     chan struct{}
	drained chan struct{}
	threads sync.WaitGroup
}

// kill is when the process dies: at which event of the phones, and whether what the
// event is about is passed on before.
type kill struct {
	event  int
	before bool
}

// plan draws the kills. Every message is four events at least: submitted, taken,
// brought, answered.
func (w *town) plan() {
	for i := range kills {
		span := 4 * w.total / (kills + 1)
		w.kills = append(w.kills, kill{event: (i+1)*span + w.rand.IntN(span) - span/2, before: w.rand.IntN(2) == 0})
	}
}

// event counts, and kills if it is time. It says whether the event still gets
// through.
func (w *town) event() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events++
	if len(w.kills) == 0 || w.events < w.kills[0].event || w.ending {
		return true
	}
	k := w.kills[0]
	w.kills = w.kills[1:]
	w.killed++
	if k.before {
		w.cmd.Process.Kill()
		return false
	}
	defer w.cmd.Process.Kill()
	return true
}

// start runs the process, and again when it was killed.
func (w *town) start() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), centreEnv+"="+w.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.cmd, w.in, w.to, w.died = cmd, in, &wire{enc: json.NewEncoder(in)}, make(chan struct{})
	to, died := w.to, w.died
	w.mu.Unlock()
	w.threads.Go(func() {
		for d := json.NewDecoder(out); ; {
			var f frame
			if d.Decode(&f) != nil {
				break
			}
			switch {
			case f.Submitted != 0:
				w.mu.Lock()
				ch := w.submits[f.Submitted]
				w.mu.Unlock()
				if ch != nil {
					ch <- f
				}
			case f.Deliver != 0:
				w.brought(to, f)
			case f.Drain:
				close(w.drained)
			}
		}
		defer close(died) // when there is another one
		err := cmd.Wait()
		w.mu.Lock()
		ending := w.ending
		w.mu.Unlock()
		switch {
		case !ending && (err == nil || err.Error() != "signal: killed"):
			w.t.Errorf("the centre ended by itself: %v", err)
		case ending && err != nil:
			w.t.Errorf("the centre ended: %v", err)
		}
		if !ending {
			w.start()
		}
	})
}

// end lets the last process finish what it has, and ends it.
func (w *town) end(ctx context.Context) {
	w.mu.Lock()
	w.ending = true
	in, to := w.in, w.to
	w.mu.Unlock()
	to.send(frame{Drain: true})
	select {
	case <-w.drained:
	case <-ctx.Done():
	}
	in.Close()
	w.threads.Wait()
}

// write has a phone submit messages, one after the other; what is not answered
// because the centre died is repeated, as lower layers do or with TP-RD.
func (w *town) write(ctx context.Context, p *handset, n int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, uint64(p.n)+2))
	for i := range n {
		to := w.phones[(p.n+[]int{1, 8, 31}[r.IntN(3)])%len(w.phones)]
		text := fmt.Sprintf("message %d of %d", i, p.n)
		if r.IntN(4) == 0 {
			text = "ok" // as others before it
		}
		s := submit(phoneNumber(to.n), text, ref(uint8(i)))
		s.Destination = sms.FromMSISDN(phoneNumber(to.n).MSISDN)
		w.mu.Lock()
		w.want[fmt.Sprint(to.n, " ", p.n, " ", text)]++
		w.mu.Unlock()
		if !w.submit(ctx, p, s, uint8(i), r) {
			return
		}
	}
}

func (w *town) submit(ctx context.Context, p *handset, s *sms.Submit, reference uint8, r *rand.Rand) bool {
	began := time.Now()
	for try := 0; ; try++ {
		if try > 0 && (r.IntN(2) == 0 || time.Since(began) > time.Minute) {
			s.RejectDuplicates = true
			reference += 100
		}
		ch := make(chan frame, 1)
		w.mu.Lock()
		w.last++
		n, to, died := w.last, w.to, w.died
		w.submits[n] = ch
		w.mu.Unlock()
		if w.event() {
			to.send(frame{Submit: n, Phone: p.n, RP: must(sms.Append(nil, &sms.RPData{Reference: reference, Destination: s.Destination, User: must(sms.Append(nil, s))}))})
		}
		var f frame
		select {
		case f = <-ch:
		case <-died:
		case <-ctx.Done():
			return false
		}
		w.mu.Lock()
		delete(w.submits, n)
		w.mu.Unlock()
		if f.Submitted == 0 || !w.event() { // the answer was lost
			continue
		}
		if f.Err != "" {
			continue // it is dying
		}
		switch rp := must(sms.ParseRP(sms.Downlink, f.RP)).(type) {
		case *sms.RPAck:
		case *sms.RPError:
			report, _ := must(rp.TPDU()).(*sms.SubmitReport)
			if rp.Cause.Temporary() {
				continue
			}
			if try == 0 || report == nil || report.Failure.V != sms.FailureDuplicate {
				w.t.Errorf("refused: %v", rp)
			}
		}
		w.noteTaken()
		return true
	}
}

// noteTaken counts; at half time the phones that are off come.
func (w *town) noteTaken() {
	w.mu.Lock()
	w.taken++
	half := w.taken == w.total/2
	w.mu.Unlock()
	if !half {
		return
	}
	for _, p := range w.phones {
		w.mu.Lock()
		was := p.off
		p.off = false
		to := w.to
		w.mu.Unlock()
		if was {
			to.send(frame{Ready: true, Phone: p.n})
		}
	}
}

// handset is a phone. What it has got it knows by one of two rules.
type handset struct {
	n        int
	off      bool
	keys     []smsc.Key // of the last messages, by "sip"
	seen     []string   // originator, time stamp and contents of the last messages, by "nas"
	repeated int
	got      map[string]int
}

// brought is a message that came to a phone.
func (w *town) brought(to *wire, f frame) {
	p := w.phones[f.Phone-1]
	w.mu.Lock()
	off := p.off
	w.mu.Unlock()
	a := frame{Answer: f.Deliver, Phone: f.Phone}
	if off {
		a.Err = notThere
		to.send(a)
		return
	}
	if !w.event() { // it died while the message was on its way
		return
	}
	rp := must(sms.ParseRP(sms.Downlink, f.RP)).(*sms.RPData)
	a.RP = must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: rp.Reference}))
	w.mu.Lock()
	p.takes(w, f, rp)
	w.mu.Unlock()
	if w.event() {
		to.send(a)
	}
}

// remembers is how many messages back a phone knows a repetition.
const remembers = 8

func (p *handset) takes(w *town, f frame, rp *sms.RPData) {
	d := must(rp.TPDU()).(*sms.Deliver)
	again := false
	if f.Path == "sip" {
		again = slices.Contains(p.keys, f.Key)
		p.keys = append(p.keys, f.Key)
		p.keys = p.keys[max(0, len(p.keys)-remembers):]
	} else {
		what := fmt.Sprint(d.Originator.Number(), d.Timestamp, d.PID, d.DCS, d.User)
		again = slices.Contains(p.seen, what)
		p.seen = append(p.seen, what)
		p.seen = p.seen[max(0, len(p.seen)-remembers):]
	}
	if again {
		p.repeated++
		return
	}
	p.got[fmt.Sprint(numberOf(d.Originator.Digits(), "88299"), " ", must(d.User.Text(d.DCS)))]++
	w.arrived++
	if w.arrived == w.total {
		close(w.all)
	}
}

// judge compares what was taken with what came.
func (w *town) judge() {
	t := w.t
	lost, doubled, repeated := 0, 0, map[int]int{}
	for _, p := range w.phones {
		repeated[p.n%2] += p.repeated
		for text, n := range p.got {
			key := fmt.Sprint(p.n, " ", text)
			if more := n - w.want[key]; more > 0 {
				doubled += more
				t.Logf("%d times too often: %s", more, key)
			}
			w.want[key] -= n
		}
	}
	for key, n := range w.want {
		if n > 0 {
			lost += n
			t.Logf("%d times lost: %s", n, key)
		}
	}
	t.Logf("%d messages, %d taken, %d came, %d kills; the centre repeated %d by sip and %d by nas, which the phones knew", w.total, w.taken, w.arrived, w.killed, repeated[0], repeated[1])
	if lost != 0 || doubled != 0 || w.taken != w.total {
		t.Errorf("%d lost, %d doubled", lost, doubled)
	}
	if w.killed != kills {
		t.Errorf("%d kills, want %d", w.killed, kills)
	}
	if w.total >= 10_000 && repeated[0]+repeated[1] == 0 {
		t.Error("nothing was repeated: the kills were at no bad moment")
	}
	c, err := smsc.New(smsc.Options{Dir: w.dir, Key: [32]byte{3}, Address: must(sms.NewAddress("+882990000")), Directory: allNumbers{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s := c.Stats(); s.Waiting != 0 || s.Lost != 0 {
		t.Errorf("left behind: %+v", s)
	}
}
