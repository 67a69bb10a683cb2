package hss

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// idHead is the first half of a subscriber's id, enough to find it.
type idHead [8]byte

// blank ends what is in a ticket's id: an id that somebody else drew opens to
// it once in 2^24.
const blank = 3

// ticketIDs draws ids of tickets: one block of AES, under a key for each serving
// operator, with the half of a subscriber's id, five random octets and a blank in
// it. So the home knows again whom it gave a ticket for and keeps no list, an
// operator who asks about another's tickets asks about nothing, and nobody else
// sees more than a random number.
type ticketIDs struct{ key secret.Key256 }

func (t ticketIDs) block(serving proof.OperatorKey) cipher.Block {
	k := hmac.New(sha256.New, t.key[:])
	k.Write([]byte("campanile ticket id"))
	k.Write(serving[:])
	b, err := aes.NewCipher(k.Sum(nil))
	if err != nil {
		panic(err) // only for a key of another length
	}
	return b
}

func (t ticketIDs) draw(s id.SubscriberID, serving proof.OperatorKey) (out proof.TicketID) {
	var b [aes.BlockSize]byte
	copy(b[:], s[:8])
	rand.Read(b[8 : len(b)-blank])
	t.block(serving).Encrypt(out[:], b[:])
	return out
}

// whose says for whom a ticket was given; false when it is none for this operator.
func whose(b cipher.Block, t proof.TicketID) (idHead, bool) {
	var p [aes.BlockSize]byte
	b.Decrypt(p[:], t[:])
	return idHead(p[:8]), [blank]byte(p[len(p)-blank:]) == [blank]byte{}
}

// Void implements home.Voider, for the tickets of this node.
func (h *HSS) Void(_ context.Context, r home.VoidRequest) (list []home.Voided, err error) {
	if len(r.Tickets) > home.MaxVoid {
		return nil, refusal(home.RateLimited, "%d tickets, at most %d", len(r.Tickets), home.MaxVoid)
	}
	if _, ok := h.o.Registry.OperatorByKey(r.Serving); !ok {
		return nil, refusal(home.NotAuthorised, "operator %s is not registered", r.Serving.Short())
	}
	if _, height, _ := h.o.Registry.Head(); height < r.Height {
		return nil, refusal(home.Unavailable, "the ledger is at block %d here, at %d there", height, r.Height)
	}
	b := h.ids.block(r.Serving)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range r.Tickets {
		head, ok := whose(b, t)
		if !ok {
			continue
		}
		if code := h.standing(head); code != 0 {
			list = append(list, home.Voided{Ticket: t, Code: code})
		}
	}
	return list, nil
}

// standing is why a subscriber is not to be served any more, or 0. Whom this
// node has given a ticket for and does not hold, it has erased.
func (h *HSS) standing(head idHead) home.Code {
	s := h.byHead[head]
	if s == nil {
		return home.UnknownSubscriber
	}
	switch r, ok := h.o.Registry.Subscriber(s.id); {
	case !ok || r.State == ledger.Erased:
		return home.UnknownSubscriber
	case r.State != ledger.Active:
		s.lent = [home.App + 1]lent{} // who lets him in again gives new ones
		return home.Barred
	}
	return 0
}
