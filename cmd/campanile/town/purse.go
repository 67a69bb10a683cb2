package town

import (
	"context"
	"errors"
	"math"

	"campanile.network/3gpp/id"
	"campanile.network/sip/selfcare"
	"campanile.network/wire/proof"
)

// purse says what is left of a subscriber's ticket, as the meter of this process has it.
type purse struct{ t *Town }

// errNoTicket says that a subscriber is registered nowhere under a ticket.
var errNoTicket = errors.New("the subscriber has no ticket now")

// Balance implements selfcare.Account: of the registration in a GSM cell or an app, where
// there is one, and else of the LTE phone.
func (p purse) Balance(_ context.Context, imsi id.IMSI) (selfcare.Balance, error) {
	ticket, ok := p.ticket(imsi)
	if !ok {
		return selfcare.Balance{}, errNoTicket
	}
	left, ok := p.t.meter.Left(ticket)
	if !ok { // nothing has been used of it
		left = p.t.ticketCap()
	}
	whole := func(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
	return selfcare.Balance{Octets: whole(left.Bytes), Seconds: whole(left.VoiceMs / 1000), Messages: whole(left.Messages)}, nil
}

func (p purse) ticket(imsi id.IMSI) (proof.TicketID, bool) {
	if g := p.t.ways.sip.Load(); g != nil {
		for _, b := range g.Bindings(imsi) {
			if tk, err := proof.PeekTicket(p.t.chainID, b.Ticket); err == nil {
				return tk.ID, true
			}
		}
	}
	if m := p.t.ways.mme.Load(); m != nil {
		if u, ok := m.Phone(imsi); ok && u.Ticket != (proof.TicketID{}) {
			return u.Ticket, true
		}
	}
	return proof.TicketID{}, false
}

// ticketCap is what one of this home's tickets stands for.
func (t *Town) ticketCap() proof.Carried {
	return proof.Carried{Bytes: t.cfg.HSS.TicketOctets, VoiceMs: t.cfg.HSS.TicketMinutes * proof.Minute, Messages: t.cfg.HSS.TicketMessages}
}
