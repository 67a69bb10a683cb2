package calls

import (
	"sync"

	"campanile.network/sip/media"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// event is something that a call's goroutine has to hear of.
type event struct {
	leg    *leg
	server *txn.Server // a request within the leg's dialog
	sent   *sent       // or word of a request of ours:
	answer *sip.Message
	err    error // of sent, with no answer: why there is none
	alarm  alarm
	kind   kind
	media  media.Event
}

// kind is what else an event may be.
type kind uint8

const (
	ofPeer    kind = iota // server, sent
	ofAlarm               // a time has come
	ofMedia               // the relay says something; see call.heard
	cancelled             // the caller gave up
	acked                 // the ACK of a 2xx has come: answer
	unacked               // and this one never did
	stopped               // the switch ends
)

// inboxRoom bounds what peers may have waiting. Final answers always have room:
// there is one for each request that was sent.
const inboxRoom = 32

// inbox holds what others have for a call until that takes it.
type inbox struct {
	mu     sync.Mutex
	events []event
	closed bool
	wake   chan struct{} // room for one
}

// put refuses what comes after the end and what peers send in crowds.
func (b *inbox) put(e event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	must := e.server == nil && (e.answer == nil || e.answer.IsRequest() || e.answer.Status >= 200)
	if b.closed || len(b.events) >= inboxRoom && !must {
		return false
	}
	b.events = append(b.events, e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

func (b *inbox) take() (e event, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) == 0 {
		return e, false
	}
	e = b.events[0]
	b.events = append(b.events[:0], b.events[1:]...)
	return e, true
}

// close gives what was never taken; nothing gets in any more.
func (b *inbox) close() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	rest := b.events
	b.events = nil
	return rest
}
