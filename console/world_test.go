package console

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// world is a small network that lives by its own clock: one tower, two phones,
// traffic in waves, a voucher every megabyte. It fills a State as the real
// roles would.
type world struct {
	mu      sync.Mutex
	now     time.Time
	second  int
	state   State
	changed chan struct{}
}

// key is a public key that looks like one.
func key(seed byte) (k [32]byte) {
	for i := range k {
		k[i] = seed*byte(2*i+1) ^ byte(i*i)
	}
	return k
}

func imsi(t testing.TB, s string) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func amount(t testing.TB, s string) proof.Amount {
	t.Helper()
	a, err := proof.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newWorld(t testing.TB) *world {
	start := time.Now().UTC().Add(-(points + 2) * time.Second)
	w := &world{now: start, changed: make(chan struct{}, 1)}
	price := amount(t, "500000000000000000")
	balance, spent := amount(t, "25000000000000000000"), amount(t, "974000000000000000000")
	w.state = State{
		Network: Network{Name: "Monte Verde", PLMN: "001/01", Operator: key(91), Law: "Virtual radio: nothing is transmitted.",
			S1AP: []string{"MME, agent towards the MME: SCTP over udp (mme.sctp says so)"},
			Pool: []PoolMember{{Up: true, Text: "MME code 2 at 192.0.2.5:7102 is there since 12:00:00; copies of 40 phones"}}},
		Chain: Chain{ID: "campanile-5f1c03ae", Height: 1204, Time: start, Running: true, Validators: 1},
		Towers: []Tower{{
			Key: key(167), Name: "San Rocco", ENB: "001/01-macro-0x19b", Cells: []string{"0019b01"}, OnAir: true, Since: start, Linked: true,
			Radio:  &Radio{State: "running", Since: start, Restarts: 2, LastError: "signal: killed", Users: 2, UL: 543_613, DL: 18_098_064},
			Told:   &Told{State: "running", Since: start, Restarts: 2, At: start},
			Phones: 2, PricePerGB: price, PricePerMinute: amount(t, "10000000000000000"), PricePerMessage: amount(t, "1000000000000000"),
			Tally:   Tally{Window: 4_000_000, VoiceMs: 754_250, Messages: 12},
			Channel: &Channel{ID: 1, State: "open", Reserve: amount(t, "1000000000000000000")},
		}},
		Phones: []Phone{
			{IMSI: imsi(t, "001010000000001"), State: "connected", Since: start.Add(4 * time.Second), Address: netip.MustParseAddr("10.45.0.2"), APN: "internet",
				Security: "128-EEA2 128-EIA2", Tower: "San Rocco", Cell: "0019b01", Ticket: "5b0e77c21fd94a3e8c60a1b2c3d4e5f6", TicketUntil: start.Add(6 * time.Hour), Ref: "p1",
				Bearers: []Bearer{{EBI: 5, QCI: 9, Active: true, Settled: true}}},
			{IMSI: imsi(t, "001010000000027"), State: "connected", Since: start.Add(9 * time.Second), Address: netip.MustParseAddr("10.45.0.3"), APN: "internet",
				Security: "128-EEA2 128-EIA2", Tower: "San Rocco", Cell: "0019b01", Bearers: []Bearer{{EBI: 5, QCI: 9, Active: true, Settled: true}}},
			{IMSI: imsi(t, "001010000000039"), State: "idle", Since: start.Add(20 * time.Second), Address: netip.MustParseAddr("10.45.0.4"), APN: "internet",
				Security: "128-EEA2 128-EIA2", Tower: "San Rocco", Cell: "0019b01", Ref: "p3", Heard: start.Add(20 * time.Second), UpdateDue: start.Add(54 * time.Minute), Bearers: []Bearer{{EBI: 5, QCI: 9, Settled: true, Octets: Octets{48_211, 391_640}}}},
		},
		Accounts: []Account{
			{Name: "Tower owner", Address: "camp1q9d7n3k5x2v8m4t6w0z7y5r3e1u9p2s4a6f8gh", Balance: &balance, Claims: true},
			{Name: "Operator", Address: "camp1w3e5r7t9y2u4i6o8p0a1s3d5f7g9h2j4k6l8zx", Balance: &spent},
		},
		Events: []Event{
			{start, "chain", "ledger campanile-5f1c03ae, block 1 204"},
			{start, "cell", "cell up: San Rocco, 001/01-macro-0x19b"},
			{start.Add(4 * time.Second), "phone", "00101········01 attach 43 ms, 10.45.0.2"},
			{start.Add(9 * time.Second), "phone", "00101········27 attach 39 ms, 10.45.0.3"},
			{start.Add(11 * time.Second), "phone", "00101········39 attach 41 ms, 10.45.0.4"},
		},
	}
	return w
}

func wave(s, period, from float64) float64 {
	return max(0, math.Sin(2*math.Pi*s/period+from)+0.2*math.Sin(s/2.1)+0.12*math.Sin(s/0.9+from))
}

// pass lets a second go by.
func (w *world) pass(t testing.TB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	w.second++
	s := float64(w.second)
	w.state.Chain.Height++
	w.state.Chain.Time = w.now
	tower := &w.state.Towers[0]
	for i, load := range []Octets{
		{UL: uint64(40_000*wave(s, 47, 1) + 3000), DL: uint64(310_000*wave(s, 61, 0) + 9000)},
		{UL: uint64(95_000 * wave(s, 90, 4)), DL: uint64(120_000*wave(s, 33, 2) + 2000)},
	} {
		b := &w.state.Phones[i].Bearers[0]
		b.UL, b.DL = b.UL+load.UL, b.DL+load.DL
		b.ULPackets, b.DLPackets = b.UL/240+1, b.DL/1180+1
		tower.Tally.Gateway.UL += load.UL
		tower.Tally.Gateway.DL += load.DL
	}
	w.state.Carried = tower.Tally.Gateway
	tower.Tally.Tower = Octets{tower.Tally.Gateway.UL, tower.Tally.Gateway.DL}
	tower.Tally.Counted = tower.Tally.Gateway.UL + tower.Tally.Gateway.DL
	tower.Tally.Lag = tower.Tally.Counted - tower.Tally.Billed
	if tower.Tally.Lag > 1_000_000 {
		w.voucher(t)
	}
}

func (w *world) voucher(t testing.TB) {
	tower := &w.state.Towers[0]
	a := &tower.Tally
	a.Billed, a.Lag, a.Seq = a.Counted, 0, a.Seq+1
	a.Seen = a.Seq
	var err error
	if a.Amount, err = tower.PricePerGB.MulDiv(a.Counted, 1_000_000_000); err != nil {
		t.Error(err)
	}
	w.say("voucher", fmt.Sprintf("voucher %d: %.1f MB, 0.%04d BELL", a.Seq, float64(a.Counted)/1e6, a.Counted/200_000))
	if a.Seq%4 == 0 {
		w.say("money", fmt.Sprintf("paid up to voucher %d in block %d", a.Seq, w.state.Chain.Height))
		tower.Channel.Paid, tower.Channel.Promised = a.Amount, a.Amount
		w.state.Accounts[0].Claimable = a.Amount
	}
}

func (w *world) say(kind, text string) {
	w.state.Events = append(w.state.Events, Event{w.now, kind, text})
}

// change alters the state and rings.
func (w *world) change(f func(*State)) {
	w.mu.Lock()
	f(&w.state)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// look is the Options.State of this world.
func (w *world) look() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Towers = append([]Tower(nil), s.Towers...)
	for i := range s.Towers {
		if c := s.Towers[i].Channel; c != nil {
			copied := *c
			s.Towers[i].Channel = &copied
		}
	}
	s.Phones = append([]Phone(nil), s.Phones...)
	for i := range s.Phones {
		s.Phones[i].Bearers = append([]Bearer(nil), s.Phones[i].Bearers...)
	}
	s.Accounts, s.Events = append([]Account(nil), s.Accounts...), append([]Event(nil), s.Events...)
	return s
}
