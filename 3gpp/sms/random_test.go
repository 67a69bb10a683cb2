package sms

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/gsm7"
)

// A kind is a message as somebody sends it: its type, direction and, for a
// report, whether it is of a failure.
type kind struct {
	name   string
	clause string // the specification's table
	dir    Direction
	random func(*gen) Message
	parse  func([]byte) (Message, error)
}

// kinds are all messages of all layers.
func kinds() []kind {
	cp := func(b []byte) (Message, error) { return lift(ParseCP(b)) }
	rp := func(d Direction) func([]byte) (Message, error) {
		return func(b []byte) (Message, error) { return lift(ParseRP(d, b)) }
	}
	tp := func(d Direction, failed bool) func([]byte) (Message, error) {
		return func(b []byte) (Message, error) { return lift(ParseReport(d, b, failed)) }
	}
	return []kind{
		{"CP-DATA", "TS 24.011 §7.2.1", Uplink, (*gen).cpData, cp},
		{"CP-ACK", "TS 24.011 §7.2.2", Uplink, func(g *gen) Message { return &CPAck{TI: g.ti()} }, cp},
		{"CP-ERROR", "TS 24.011 §7.2.3", Uplink, func(g *gen) Message { return &CPError{TI: g.ti(), Cause: CPCause(g.octet())} }, cp},
		{"RP-DATA, network to MS", "TS 24.011 §7.3.1.1", Downlink, func(g *gen) Message { return g.rpData(Downlink) }, rp(Downlink)},
		{"RP-DATA, MS to network", "TS 24.011 §7.3.1.2", Uplink, func(g *gen) Message { return g.rpData(Uplink) }, rp(Uplink)},
		{"RP-SMMA", "TS 24.011 §7.3.2", Uplink, func(g *gen) Message { return &RPSMMA{Reference: g.octet()} }, rp(Uplink)},
		{"RP-ACK, network to MS", "TS 24.011 §7.3.3", Downlink, func(g *gen) Message { return g.rpAck(Downlink) }, rp(Downlink)},
		{"RP-ACK, MS to network", "TS 24.011 §7.3.3", Uplink, func(g *gen) Message { return g.rpAck(Uplink) }, rp(Uplink)},
		{"RP-ERROR, network to MS", "TS 24.011 §7.3.4", Downlink, func(g *gen) Message { return g.rpError(Downlink) }, rp(Downlink)},
		{"RP-ERROR, MS to network", "TS 24.011 §7.3.4", Uplink, func(g *gen) Message { return g.rpError(Uplink) }, rp(Uplink)},
		{"SMS-DELIVER", "TS 23.040 §9.2.2.1", Downlink, (*gen).deliver, tp(Downlink, false)},
		{"SMS-DELIVER-REPORT for RP-ERROR", "TS 23.040 §9.2.2.1a", Uplink, func(g *gen) Message { return g.deliverReport(true) }, tp(Uplink, true)},
		{"SMS-DELIVER-REPORT for RP-ACK", "TS 23.040 §9.2.2.1a", Uplink, func(g *gen) Message { return g.deliverReport(false) }, tp(Uplink, false)},
		{"SMS-SUBMIT", "TS 23.040 §9.2.2.2", Uplink, (*gen).submit, tp(Uplink, false)},
		{"SMS-SUBMIT-REPORT for RP-ERROR", "TS 23.040 §9.2.2.2a", Downlink, func(g *gen) Message { return g.submitReport(true) }, tp(Downlink, true)},
		{"SMS-SUBMIT-REPORT for RP-ACK", "TS 23.040 §9.2.2.2a", Downlink, func(g *gen) Message { return g.submitReport(false) }, tp(Downlink, false)},
		{"SMS-STATUS-REPORT", "TS 23.040 §9.2.2.3", Downlink, (*gen).statusReport, tp(Downlink, false)},
		{"SMS-COMMAND", "TS 23.040 §9.2.2.4", Uplink, (*gen).command, tp(Uplink, false)},
	}
}

// lift keeps a nil of a narrower interface nil.
func lift[M Message](m M, err error) (Message, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// A gen makes random valid values.
type gen struct{ *rand.Rand }

func newGen(seed uint64) *gen { return &gen{rand.New(rand.NewPCG(seed, 23040))} }

func (g *gen) octet() uint8 { return uint8(g.Uint32()) }

func (g *gen) bool() bool { return g.IntN(2) == 0 }

func (g *gen) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = g.octet()
	}
	return b
}

func (g *gen) ti() TI { return TI{uint8(g.IntN(7)), g.bool()} }

func (g *gen) digits(n int) string {
	var s strings.Builder
	for range n {
		s.WriteByte(digitChars[g.IntN(len(digitChars))])
	}
	return s.String()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// number is an address of digits.
func (g *gen) number() Address {
	t := TypeOfNumber(g.IntN(8))
	if t == TypeAlphanumeric {
		t = TypeInternational
	}
	plan, n := NumberingPlan(g.IntN(16)), 1+g.IntN(maxDigits)
	if t == TypeInternational && plan == PlanISDN {
		return must(NewAddressOf(t, plan, g.text("0123456789", min(n+3, 15))))
	}
	return must(NewAddressOf(t, plan, g.digits(n)))
}

// address is a number or a name.
func (g *gen) address() Address {
	if g.IntN(4) > 0 {
		return g.number()
	}
	return must(NewName(g.text("abcdefghijklmnopqrstuvwxyz0123456789 .-ÄÖñüàΔ", 1+g.IntN(11))))
}

func (g *gen) text(of string, n int) string {
	runes := []rune(of)
	s := make([]rune, n)
	for i := range s {
		s[i] = runes[g.IntN(len(runes))]
	}
	return string(s)
}

func (g *gen) time() time.Time {
	zone := time.FixedZone("", (g.IntN(159)-79)*900)
	return time.Unix(946771200+g.Int64N(69*365*86400), 0).In(zone)
}

func (g *gen) timestamp() Timestamp { return NewTimestamp(g.time()) }

func (g *gen) validity() Validity {
	switch g.IntN(4) {
	case 0:
		return Validity{}
	case 1:
		return Validity{ValidityRelative, [7]byte{g.octet()}}
	case 2:
		return ValidUntil(g.time())
	}
	return ValidExactly(time.Duration(g.IntN(1<<g.IntN(24)))*time.Second, g.bool())
}

// dcs is any data coding scheme, the usual ones more often.
func (g *gen) dcs() DCS {
	if g.bool() {
		return []DCS{DCS7Bit, DCS8Bit, DCSUCS2}[g.IntN(3)]
	}
	return DCS(g.octet())
}

const someText = "abc XYZ 019 @£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà"

func (g *gen) header(room int) UDH {
	var h UDH
	for g.IntN(3) > 0 {
		next := h
		switch g.IntN(9) {
		case 0, 1:
			total := uint8(1 + g.IntN(255))
			wide := g.bool()
			ref := uint16(g.Uint32())
			if !wide {
				ref &= 0xff
			}
			next = h.WithConcatenation(Concatenation{ref, wide, total, uint8(1 + g.IntN(int(total)))})
		case 2:
			next = h.WithPorts(Ports{uint16(g.Uint32()), uint16(g.Uint32()), true})
		case 3:
			next = h.WithPorts(Ports{uint16(g.octet()), uint16(g.octet()), false})
		case 4:
			next = h.WithCount(Count{Waiting([]uint8{0, 1, 2, 7}[g.IntN(4)]), g.bool(), uint8(g.IntN(4)), g.octet()})
		case 5:
			next = h.With(IEISMSCControl, g.octet())
		case 6:
			next = h.With(IEISource, uint8(1+g.IntN(3)))
		case 7:
			next = h.With(IEIFormatting, g.octet(), g.octet(), g.octet(), g.octet())
		case 8:
			next = h.With(IEI(0x70+g.IntN(0x30)), g.octets(g.IntN(12))...)
		}
		if len(next) > room {
			break
		}
		h = next
	}
	return h
}

// user is user data of that coding of up to limit octets.
func (g *gen) user(d DCS, limit int) UserData {
	var h UDH
	if g.IntN(3) == 0 {
		h = g.header(min(limit, 60))
	}
	room := limit - len(h) - 1
	switch {
	case d.septets():
		a := gsm7.Alphabet{}
		if g.IntN(4) == 0 {
			a = gsm7.Alphabet{Locking: gsm7.Language(g.IntN(14)), Single: gsm7.Language(g.IntN(14))}
		}
		room -= len(UDH{}.WithAlphabet(a)) + 1
		septets := g.octets(g.IntN(min(room*8/7, 240-len(h)*8/7)))
		for i := range septets {
			septets[i] &= 0x7f
		}
		if a == (gsm7.Alphabet{}) && g.IntN(2) == 0 {
			septets = must(a.Append(nil, g.text(someText, min(len(septets), g.IntN(160)))))
		}
		return must(packSeptets(h.WithAlphabet(a), septets))
	case d.Charset() == CharsetUCS2 && !d.Compressed():
		return must(NewUCS2(h, g.text("Καλημέρα Привет 你好 नमस्ते \U0001F514", g.IntN(room/4))))
	}
	return must(New8Bit(h, g.octets(g.IntN(room))))
}

func (g *gen) optional(limit int) Optional {
	var o Optional
	if g.bool() {
		o.PID = Some(PID(g.octet()))
	}
	if g.bool() {
		o.DCS = Some(g.dcs())
	}
	if g.bool() {
		o.User = Some(g.user(o.DCS.V, limit))
	}
	return o
}

func (g *gen) failure(there bool) Opt[FailureCause] {
	return Opt[FailureCause]{V: FailureCause(g.octet()|0x80) * FailureCause(map[bool]uint8{true: 1}[there]), OK: there}
}

func (g *gen) deliver() Message {
	d := g.dcs()
	return &Deliver{MoreMessages: g.bool(), LoopPrevention: g.bool(), StatusReport: g.bool(), ReplyPath: g.bool(), Originator: g.address(),
		PID: PID(g.octet()), DCS: d, Timestamp: g.timestamp(), User: g.user(d, MaxUser)}
}

func (g *gen) deliverReport(failed bool) Message {
	return &DeliverReport{Failure: g.failure(failed), Optional: g.optional(maxDeliverReport)}
}

func (g *gen) submit() Message {
	d := g.dcs()
	return &Submit{RejectDuplicates: g.bool(), StatusReport: g.bool(), ReplyPath: g.bool(), Reference: g.octet(), Destination: g.address(),
		PID: PID(g.octet()), DCS: d, Validity: g.validity(), User: g.user(d, MaxUser)}
}

func (g *gen) submitReport(failed bool) Message {
	return &SubmitReport{Failure: g.failure(failed), Timestamp: g.timestamp(), Optional: g.optional(maxSubmitReport)}
}

func (g *gen) statusReport() Message {
	return &StatusReport{MoreMessages: g.bool(), LoopPrevention: g.bool(), ForCommand: g.bool(), Reference: g.octet(), Recipient: g.address(),
		Timestamp: g.timestamp(), Discharge: g.timestamp(), Status: Status(g.octet()), Optional: g.optional(maxStatusReport)}
}

func (g *gen) command() Message {
	return &Command{StatusReport: g.bool(), Reference: g.octet(), PID: PID(g.octet()), Type: CommandType(g.octet()), Number: g.octet(),
		Destination: g.number(), Data: g.user(DCS8Bit, maxCommandData)}
}

func (g *gen) rpData(d Direction) Message {
	m := &RPData{Direction: d, Reference: g.octet()}
	if centre := g.number(); d == Downlink {
		m.Originator = centre
		m.User = must(Append(nil, g.one(g.deliver, g.statusReport)))
	} else {
		m.Destination = centre
		m.User = must(Append(nil, g.one(g.submit, g.command)))
	}
	return m
}

func (g *gen) one(of ...func() Message) Message { return of[g.IntN(len(of))]() }

// report is a report that goes in direction d.
func (g *gen) report(d Direction, failed bool) []byte {
	switch {
	case g.IntN(3) == 0:
		return nil
	case d == Uplink:
		return must(Append(nil, g.deliverReport(failed)))
	}
	return must(Append(nil, g.submitReport(failed)))
}

func (g *gen) rpAck(d Direction) Message {
	return &RPAck{Direction: d, Reference: g.octet(), User: g.report(d, false)}
}

func (g *gen) rpError(d Direction) Message {
	m := &RPError{Direction: d, Reference: g.octet(), Cause: RPCause(g.octet() & 0x7f), User: g.report(d, true)}
	if g.IntN(4) == 0 {
		m.Diagnostic = g.octets(1)
	}
	return m
}

func (g *gen) cpData() Message {
	d := Direction(g.bool())
	m := g.one(func() Message { return g.rpData(d) }, func() Message { return g.rpAck(d) }, func() Message { return g.rpError(d) })
	return &CPData{TI: g.ti(), User: must(Append(nil, m))}
}

// TestRandomInstances: what is appended parses to the same value and is
// appended to the same octets; cut anywhere it names a field; with octets
// behind it they are kept.
func TestRandomInstances(t *testing.T) {
	for _, k := range kinds() {
		roundTrips(t, k)
	}
}

// roundTrips tells how many random instances of k went there and back.
func roundTrips(t *testing.T, k kind) int {
	t.Helper()
	g := newGen(uint64(len(k.name)) * 1000)
	for range instances {
		m := k.random(g)
		b, err := Append([]byte("before"), m)
		if err != nil {
			t.Fatalf("%s: %v\n%v", k.name, err, m)
		}
		b = b[len("before"):]
		back, err := k.parse(b)
		if err != nil {
			t.Fatalf("%s %x: %v", k.name, b, err)
		}
		if !reflect.DeepEqual(m, back) {
			t.Fatalf("%s %x:\n got %+v\nwant %+v", k.name, b, back, m)
		}
		same(t, k, b)
		same(t, k, append(bytes.Clone(b), 0x99, 0))
		spare := bytes.Clone(b)
		spare[0] ^= byte(g.IntN(32)) << 3
		same(t, k, spare)
		cut(t, k, b)
	}
	return instances
}

const instances = 250

// same: what parses is appended to the same octets.
func same(t *testing.T, k kind, b []byte) {
	t.Helper()
	m, err := k.parse(b)
	if err != nil {
		return
	}
	if out, err := Append(nil, m); err != nil || !bytes.Equal(out, b) {
		t.Fatalf("%s: %v\n got %x\nwant %x", k.name, err, out, b)
	}
	_ = m.String()
}

// cut: a message cut short is an error that tells where, or one without its
// optional part.
func cut(t *testing.T, k kind, b []byte) {
	t.Helper()
	for n := range b {
		_, err := k.parse(b[:n])
		if err == nil {
			same(t, k, b[:n])
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s cut to %d octets: error of type %T", k.name, n, err)
		}
		header := e.Element == "" && n < 2
		if !header && (e.Element == "" || e.Offset > n || e.CP == 0 && e.RP == 0) {
			t.Fatalf("%s cut to %d octets: %+v", k.name, n, e)
		}
	}
}
