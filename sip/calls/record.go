package calls

import (
	"log/slog"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sip/media"
)

// Record is a call as it is written down. Numbers and IMSIs mask themselves
// wherever they are printed.
type Record struct {
	ID     string // random; it stands in the log, too
	Caller Side
	Called Side
	// Dialled is the number as it was understood; zero for an IMSI and emergencies.
	Dialled   id.MSISDN
	Emergency bool

	Start  time.Time
	Answer time.Time // zero: never
	End    time.Time // zero: not yet
	Why    string    // it ended
	Status int       // what the caller was told, of a call that was not answered
	Cause  Cause
	By     int // the side that ended it, 0 or 1; -1: the gateway

	Formats [2]string         // of speech, that the caller's and the called's side have agreed on: "GSM", "PCMU"
	Media   [2]media.LegStats // of the two sides, once the call has ended
}

// Side is one end of a call.
type Side struct {
	Access  Access
	IMSI    id.IMSI
	Number  id.MSISDN
	Station string
	Trunk   string
	// Stays are the cells where it was spoken, in order; of a phone in a cell.
	Stays []Spoken
}

// Spoken is how long a phone talked at a cell.
type Spoken struct {
	Cell  id.CGI
	Since time.Time
	Voice time.Duration // whole milliseconds
}

// Voice is how long the call was answered, in whole milliseconds.
func (r *Record) Voice() time.Duration {
	if r.Answer.IsZero() || r.End.IsZero() {
		return 0
	}
	return r.End.Sub(r.Answer).Truncate(time.Millisecond)
}

// side is how a party stands in the record.
func (p *Party) side() Side {
	s := Side{Access: p.Access, IMSI: p.IMSI, Number: p.Number, Station: p.Station}
	if p.Access == AccessGSM {
		s.Stays = []Spoken{{Cell: p.Cell}}
	}
	return s
}

// sides are where the two legs stand in the record.
func (c *call) side(i int) *Side {
	if i == 0 {
		return &c.record.Caller
	}
	return &c.record.Called
}

// write ends the record. An INVITE that the registry has answered, with a
// challenge as a rule, was no call yet. What a stranger has sent was none either:
// it is counted by how it ended, and neither written down nor logged, for
// strangers bring as many as they like.
func (c *call) write(e *ended, now time.Time) {
	r := &c.record
	if e.told || !c.known() {
		return
	}
	r.End, r.Why, r.Cause, r.By = now, e.why, e.cause, e.by
	if r.Answer.IsZero() {
		r.Status = e.status
	} else {
		c.w.mu.Lock()
		c.w.stats.seconds += uint64(r.Voice().Milliseconds())
		c.w.mu.Unlock()
	}
	c.w.o.Logger.Info("call ended", "call", r.ID, "why", r.Why, "cause", int(r.Cause), "status", r.Status,
		"caller", slog.AnyValue(r.Caller), "called", slog.AnyValue(r.Called), "voice", r.Voice(), "emergency", r.Emergency)
	for i, side := range [...]string{"caller", "called"} {
		if m := r.Media[i]; m.In.Packets == 0 && m.Dropped[media.Stranger] > 0 {
			c.w.o.Logger.Warn("nobody heard who spoke: what came was from another address than its signalling said", "call", r.ID, "side", side, "packets", m.Dropped[media.Stranger])
		}
	}
	c.show()
	c.w.o.Record(*r)
}

// known says whether the caller has been identified, or comes from where somebody
// is who is trusted.
func (c *call) known() bool {
	if c.legs[0].party.Access != 0 || c.w.trunkOf(c.invite.From) != nil {
		return true
	}
	_, trusted := c.w.o.Registry.Station(c.invite)
	return trusted
}

// LogValue says who it is, masked, and where.
func (s Side) LogValue() slog.Value {
	v := []slog.Attr{slog.String("access", s.Access.String())}
	if !s.Number.IsZero() {
		v = append(v, slog.String("number", s.Number.String()))
	}
	if !s.IMSI.IsZero() {
		v = append(v, slog.String("imsi", s.IMSI.String()))
	}
	for _, n := range []struct{ name, value string }{{"station", s.Station}, {"trunk", s.Trunk}} {
		if n.value != "" {
			v = append(v, slog.String(n.name, n.value))
		}
	}
	return slog.GroupValue(v...)
}

// countEvery is how much voice a process's death may leave uncounted.
const countEvery = time.Second

// settle counts what has been spoken until now at both ends.
func (c *call) settle(now time.Time) {
	for _, l := range c.legs {
		if l != nil {
			c.count(l, now)
		}
	}
}

// meter has a leg counted where its phone is now, but for an emergency call,
// which nobody pays for.
func (c *call) meter(l *leg) {
	if c.record.Emergency || l.party.IMSI.IsZero() {
		return
	}
	if s := c.w.o.Registry.Stay(l.party.IMSI); s != nil {
		l.meter = s.Call()
	}
}

// unmeter ends that.
func (l *leg) unmeter() {
	if l != nil && l.meter != nil {
		l.meter.End(0)
		l.meter = nil
	}
}

// count counts what a leg has spoken since it was counted last, in whole
// milliseconds: what is left over stays for the next time.
func (c *call) count(l *leg, now time.Time) {
	if l.counted.IsZero() {
		return
	}
	d := now.Sub(l.counted).Truncate(time.Millisecond)
	if d <= 0 {
		return
	}
	l.counted = l.counted.Add(d)
	if stays := c.side(l.side).Stays; len(stays) > 0 {
		stays[len(stays)-1].Voice += d
	}
	if l.meter != nil {
		l.meter.Add(d)
	}
}
