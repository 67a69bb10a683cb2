package town

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"campanile.network/billing/meter"
	"campanile.network/billing/settle"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// bank is the chain, or the way to it, for what a tower brings.
type bank interface {
	settle.Chain
	// Report shows what a tower says about its radio, signed.
	Report(ctx context.Context, statement []byte) error
}

// radioHealth is how the radio does that this process supervises.
func (t *Town) radioHealth() (link.Radio, bool) {
	s := t.radio.Load()
	if s == nil {
		return link.Radio{}, false
	}
	h := s.Health()
	return link.Radio{State: string(h.State), Since: h.Since, Restarts: uint32(h.Restarts), LastError: h.LastError,
		Users: uint32(h.Users), UL: h.UL, DL: h.DL, Errors: h.RF.Sum() + h.Errors}, true
}

// startHerald has the ledger told how the radio does that this process
// supervises.
func (t *Town) startHerald() {
	h := &herald{key: t.keys.tower, chainID: t.chainID, radio: t.radioHealth, model: t.model, post: t.cash.Report, log: t.role("tower")}
	t.serve("herald", h.serve)
}

// herald says on the ledger how a tower's radio does: soon after that has
// changed, otherwise every hour, and never more often than the ledger takes it.
// A ledger that is away gets the newest word when it is back; what was true
// between is not told.
type herald struct {
	key     proof.SigningKey
	chainID string
	radio   func() (link.Radio, bool)
	model   *ledger.Model
	post    func(ctx context.Context, statement []byte) error
	log     *slog.Logger

	said    proof.Health // what the ledger took last, which model may not show yet
	heard   time.Time
	trouble string // why the last try failed, or nothing was tried
}

// How often a herald speaks.
const (
	heraldLooks = time.Second
	heraldEvery = time.Hour
	heraldRetry = 10 * time.Second
	heraldWaits = 30 * time.Second // for a block to have it
)

func (h *herald) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := heraldLooks
		if s, ok := h.next(); ok && !h.say(ctx, s) {
			pause = heraldRetry
		}
		rest(ctx, pause)
	}
	return nil
}

// next is what is to be said now. Whether it is time goes by the newest block's:
// a chain that makes none would not take it.
func (h *herald) next() (proof.Health, bool) {
	r, ok := h.radio()
	state, known := proof.ParseRadioState(r.State)
	if !ok || !known {
		return proof.Health{}, false
	}
	key := proof.TowerKey(h.key.Public())
	s := proof.Health{ChainID: h.chainID, Tower: key, State: state, Since: r.Since.Truncate(time.Millisecond), Restarts: r.Restarts, At: time.Now().Truncate(time.Millisecond)}
	if s.Since.After(s.At) {
		s.Since = s.At // the clock was set back
	}
	t, ok := h.model.Tower(key)
	if !ok {
		return s, false
	}
	last, heard := t.Health.Statement()
	if h.said.At.After(last.At) {
		last, heard = h.said, h.heard
	}
	_, _, now := h.model.Head()
	same := s.State == last.State && s.Restarts == last.Restarts && s.Since.Equal(last.Since)
	if last.State != 0 && (same && now.Sub(heard) < heraldEvery || now.Before(s.Due(last, heard))) {
		return s, false
	}
	if err := s.After(last, heard, now); err != nil {
		h.fails("either it makes no blocks or this machine's clock is wrong", err)
		return s, false
	}
	return s, true
}

func (h *herald) say(ctx context.Context, s proof.Health) bool {
	b, err := s.Sign(h.key)
	if err == nil {
		bounded, done := context.WithTimeout(ctx, heraldWaits)
		defer done()
		err = h.post(bounded, b)
	}
	if err != nil {
		if ctx.Err() == nil {
			h.fails("trying again", err)
		}
		return false
	}
	h.trouble, h.said = "", s
	_, _, h.heard = h.model.Head()
	h.log.Info("told the ledger how the radio does", "state", s.State)
	return true
}

// fails logs a trouble once.
func (h *herald) fails(remedy string, err error) {
	if h.trouble != remedy {
		h.log.Warn("cannot tell the ledger how the radio does: "+remedy, logs.Error, peertls.InWords(err))
	}
	h.trouble = remedy
}

// told gives what a tower has said on the ledger, nil for nothing. When it did
// is by the tower's clock, but never later than the block that has it.
func told(h ledger.Health) *pb.TowerHealth {
	if h.State == 0 {
		return nil
	}
	said := h.Said
	if h.Heard.Before(said) {
		said = h.Heard
	}
	return &pb.TowerHealth{State: h.State.String(), SinceUnixMs: h.Since.UnixMilli(), Restarts: h.Restarts, SaidUnixMs: said.UnixMilli()}
}

// newest is what a tower has said last of its radio: over its link, or on the
// ledger where that is newer.
func newest(v meter.TowerView, h ledger.Health) *pb.TowerHealth {
	t := told(h)
	if v.Radio == nil || t != nil && t.SaidUnixMs > v.RadioAt.UnixMilli() {
		return t
	}
	return &pb.TowerHealth{State: v.Radio.State, SinceUnixMs: v.Radio.Since.UnixMilli(), Restarts: v.Radio.Restarts, SaidUnixMs: v.RadioAt.UnixMilli()}
}

// sayRadio puts how the radio does that is supervised here into words.
func sayRadio(r link.Radio) string {
	s := r.State + " since " + r.Since.Format(time.DateTime)
	if r.Restarts > 0 {
		s += fmt.Sprintf(", %d restarts", r.Restarts)
	}
	if r.LastError != "" {
		s += "; its last trouble: " + r.LastError
	}
	return s
}

// SayTold puts what a tower has said of its radio into words.
func SayTold(h *pb.TowerHealth) string {
	if h == nil {
		return "nothing"
	}
	return h.State + " since " + time.UnixMilli(h.SinceUnixMs).Format(time.DateTime) + ", said " + time.Since(time.UnixMilli(h.SaidUnixMs)).Round(time.Second).String() + " ago"
}
