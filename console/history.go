package console

import (
	"time"

	"campanile.network/3gpp/id"
)

// Rates of the last two minutes are kept in memory: points of a second each.
const (
	points     = 120
	everyPoint = time.Second
)

// Rates is a row of octets per second, oldest first, one number a second; the
// last one is now.
type Rates struct {
	UL []uint64 `json:"ul"`
	DL []uint64 `json:"dl"`
}

// ring is the last points of one plot.
type ring struct {
	ul, dl [points]uint64
	n      int // points ever put
}

func (r *ring) put(o Octets) {
	r.ul[r.n%points], r.dl[r.n%points] = o.UL, o.DL
	r.n++
}

// rates copies what is there; a young ring gives fewer points.
func (r *ring) rates() Rates {
	out := Rates{UL: []uint64{}, DL: []uint64{}}
	if r == nil {
		return out
	}
	for i := max(0, r.n-points); i < r.n; i++ {
		out.UL, out.DL = append(out.UL, r.ul[i%points]), append(out.DL, r.dl[i%points])
	}
	return out
}

// phoneKey tells phones apart: by IMSI, and before it is known by address.
type phoneKey struct {
	imsi    id.IMSI
	address string
}

func keyOf(p *Phone) phoneKey {
	if p.IMSI != (id.IMSI{}) {
		return phoneKey{imsi: p.IMSI}
	}
	return phoneKey{address: p.Address.String()}
}

// track is what is remembered of one phone between two looks.
type track struct {
	id   uint64
	last map[uint8]Octets // by EBI
	ring ring
	seen uint64 // round
}

// history turns cumulative counts into rates. It belongs to one goroutine.
type history struct {
	total  ring
	phones map[phoneKey]*track
	nextID uint64
	round  uint64
	at     time.Time
}

func newHistory() *history { return &history{phones: map[phoneKey]*track{}} }

// id numbers a phone for the page, whose masked IMSI does not tell it from
// others.
func (h *history) id(p *Phone) uint64 {
	k := keyOf(p)
	t := h.phones[k]
	if t == nil {
		h.nextID++
		t = &track{id: h.nextID, last: map[uint8]Octets{}, seen: h.round}
		h.phones[k] = t
	}
	return t.id
}

// put takes a second's look at the phones.
func (h *history) put(now time.Time, phones []Phone) {
	dt := now.Sub(h.at)
	first := h.at.IsZero()
	h.at = now
	h.round++
	var sum Octets
	for i := range phones {
		p := &phones[i]
		h.id(p)
		t := h.phones[keyOf(p)]
		t.seen = h.round
		grown := perSecond(t.growth(p.Bearers), dt)
		if first {
			continue // counted before anybody looked
		}
		t.ring.put(grown)
		sum.UL, sum.DL = sum.UL+grown.UL, sum.DL+grown.DL
	}
	for k, t := range h.phones {
		if t.seen != h.round {
			delete(h.phones, k)
		}
	}
	if !first {
		h.total.put(sum)
	}
}

// growth is what bearers carried since the last look. A bearer that is new, or
// whose count has fallen, began at nothing; one that is away for a look goes on.
func (t *track) growth(bearers []Bearer) (grown Octets) {
	for _, b := range bearers {
		was := t.last[b.EBI]
		if b.UL < was.UL || b.DL < was.DL {
			was = Octets{}
		}
		grown.UL += b.UL - was.UL
		grown.DL += b.DL - was.DL
		t.last[b.EBI] = b.Octets
	}
	return grown
}

func perSecond(o Octets, dt time.Duration) Octets {
	if dt <= 0 {
		return Octets{}
	}
	f := float64(time.Second) / float64(dt)
	return Octets{uint64(float64(o.UL)*f + 0.5), uint64(float64(o.DL)*f + 0.5)}
}

// rates of one phone.
func (h *history) rates(p *Phone) Rates {
	if t := h.phones[keyOf(p)]; t != nil {
		return t.ring.rates()
	}
	return (*ring)(nil).rates()
}
