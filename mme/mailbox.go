package mme

import (
	"sync"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/mme/s11"
)

// inbound is one thing that reaches a phone's goroutine: an S1AP message, or
// word from another goroutine, with the leg it concerns.
type inbound struct {
	leg *leg
	msg any // an S1AP message, or one of the types below

	// Of a NAS message, once c.open has dealt with its protection:
	raw   []byte      // the NAS PDU as it came
	plain []byte      // without protection
	nas   eps.Message // decoded
	sec   protection
	count nassec.Count // if verified
}

// newLeg says that a verified message came by another S1 connection.
type newLeg struct{ msg any }

// legGone says that the S1 connection ended without the phone's doing.
type legGone struct{ why string }

// evicted says that the phone has attached anew elsewhere: end, and leave the
// session to the new owner.
type evicted struct{}

// dataWaiting says that the gateway holds downlink data.
type dataWaiting struct{}

// detachOrder says that a phone is to be detached.
type detachOrder struct {
	u *ue
	NetworkDetach
}

// sessionLost says that the gateway has lost the phone's session.
type sessionLost struct{ session *s11.Session }

// mailbox is a bounded queue with one reader. What the MME itself says is let
// in beyond the bound: there is little of it and it must not be lost.
type mailbox struct {
	mu     sync.Mutex
	queue  []inbound
	limit  int
	data   bool // a dataWaiting is in queue
	closed bool
	wake   chan struct{} // holds one token while there is something to take
}

func newMailbox(limit int) *mailbox {
	return &mailbox{limit: limit, wake: make(chan struct{}, 1)}
}

type putResult int

const (
	putOK putResult = iota
	putFull
	putClosed
)

func (b *mailbox) put(in inbound, always bool) putResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, data := in.msg.(dataWaiting)
	switch {
	case b.closed:
		return putClosed
	case data && b.data: // once is enough, however often a gateway says it
		return putOK
	case !always && len(b.queue) >= b.limit:
		return putFull
	}
	b.queue = append(b.queue, in)
	b.data = b.data || data
	b.signal()
	return putOK
}

func (b *mailbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take gives the oldest item. A reader that got one should try again before it
// waits on wake.
func (b *mailbox) take() (inbound, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return inbound{}, false
	}
	in := b.queue[0]
	b.queue[0] = inbound{}
	b.queue = b.queue[1:]
	if _, data := in.msg.(dataWaiting); data {
		b.data = false
	}
	if len(b.queue) > 0 {
		b.signal()
	} else {
		b.queue = nil
	}
	return in, true
}

// close refuses further items and gives those that nobody has taken.
func (b *mailbox) close() []inbound {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	rest := b.queue
	b.queue = nil
	return rest
}
