package calls

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// leg is one dialog of a call (RFC 3261 §12) and the speech that goes with it.
// It is its call's goroutine's, until that has ended; then it is the callback's
// that still waits for an answer.
type leg struct {
	call  *call
	side  int // 0: who calls, 1: who is called
	party Party
	trunk *trunk // it is one of a trunk

	callID, tag, peerTag string
	local, remote        sip.Address // From and To of our requests, with tags
	target               sip.URI     // the peer's Contact
	route                []sip.Address
	way                  txn.Target
	headers              []sip.Header // of its first INVITE
	seq, peerSeq         uint32
	established          bool // the INVITE has been answered 2xx
	gone                 bool // the peer has said BYE, or knows nothing of the dialog

	updates  bool // the peer allows UPDATE
	offers   bool // the peer takes re-INVITEs
	timer    sessionTimer
	inviting *sent       // our INVITE that has no final answer
	serving  *txn.Server // the peer's INVITE whose ACK has not come

	ends atomic.Int32 // of the call, and the ACK that BYE waits for
	last *ended       // why, when BYE waits

	speech  speech
	counted time.Time // until when its voice is counted; zero: not yet
	meter   Meter     // that it is counted by; nil: nobody pays for it
}

// sent is a request of ours that is under way.
type sent struct {
	leg     *leg
	request *sip.Message
	client  *txn.Client
	tried   bool // credentials have been shown

	won       bool // it has been answered first
	abandoned bool // nobody waits for the answer any more
}

// newTag is unguessable: who has it may speak within the dialog.
func newTag() string { return rand.Text() }

// request begins a request within the dialog.
func (l *leg) request(method sip.Method) *sip.Message {
	l.seq++
	m := sip.NewRequest(method, l.target)
	m.From, m.To, m.CallID, m.CSeq.Seq, m.Route = l.local, l.remote, l.callID, l.seq, l.route
	if method == sip.MethodInvite || method == sip.MethodUpdate {
		m.Contact = []sip.Address{l.contact()}
		m.Set("Allow", allowed)
		m.Set("Supported", "timer")
	}
	return m
}

// contact is where the peer reaches us.
func (l *leg) contact() sip.Address {
	host, port := l.call.w.o.Endpoint.SentBy(l.way)
	u := sip.URI{Scheme: "sip", User: "calls", Host: host, Port: port}
	if t := l.transport(); t != txn.UDP {
		u.Params.Set("transport", strings.ToLower(t))
	}
	return sip.Address{URI: u}
}

func (l *leg) transport() string {
	if l.way.Flow != (txn.Flow{}) {
		return l.way.Flow.Transport
	}
	return l.way.Transport
}

// send sends a request; what becomes of it comes as events of its call.
func (l *leg) send(m *sip.Message) *sent {
	t := &sent{leg: l, request: m}
	t.start(l.way)
	return t
}

func (t *sent) start(to ...txn.Target) {
	if t.request.Method == sip.MethodInvite {
		t.leg.inviting = t
	}
	t.client = t.leg.call.w.o.Endpoint.RequestFunc(context.Background(), t.request, t.hear, to...)
}

// hear is called for each answer, and with none at the end.
func (t *sent) hear(c *txn.Client, m *sip.Message, err error) {
	if m == nil && err == nil {
		return
	}
	if !t.leg.call.inbox.put(event{leg: t.leg, sent: t, answer: m, err: err}) {
		t.late(c, m)
	}
}

// late takes an answer that nobody waits for: a 2xx to an INVITE is acknowledged,
// and one that was given up is hung up (RFC 3261 §9.1); with the last word of a
// dialog that is forgotten.
func (t *sent) late(c *txn.Client, m *sip.Message) {
	if m != nil && m.Status < 200 {
		return
	}
	l := t.leg
	if t.request.Method == sip.MethodInvite && m != nil && m.Status < 300 {
		first := !l.established
		if first {
			l.adopt(m)
			l.established = true
		}
		l.acknowledge(c, m, nil)
		if first {
			l.bye(CauseNormal, "the caller is gone")
		}
		return
	}
	if t.request.Method == sip.MethodBye && !t.again(m) || !l.established {
		l.call.w.forget(l)
	}
}

// again shows a provider who we are where it asks for that within the dialog.
func (t *sent) again(r *sip.Message) bool {
	trunk := t.leg.trunk
	if r == nil || r.Status != 401 && r.Status != 407 || trunk == nil || t.tried {
		return false
	}
	h := trunk.credentials(r, t.request)
	if h == nil {
		return false
	}
	m := t.request.Clone()
	t.leg.seq++
	m.CSeq.Seq = t.leg.seq
	m.Via = nil
	m.Add(h.Name, h.Value)
	again := &sent{leg: t.leg, request: m, tried: true}
	again.start(t.leg.way)
	return true
}

// acknowledge sends the ACK of a 2xx, again whenever that comes again.
func (l *leg) acknowledge(c *txn.Client, answer *sip.Message, body []byte) {
	a := sip.NewRequest(sip.MethodAck, l.target)
	a.From, a.To, a.CallID, a.Route = l.local, l.remote, l.callID, l.route
	a.CSeq.Seq = answer.CSeq.Seq
	if body != nil {
		a.ContentType, a.Body = sdpType, body
	}
	if err := c.Ack(a, l.way); err != nil {
		l.call.w.count(&l.call.w.stats.unsent)
	}
}

// bye ends the dialog.
func (l *leg) bye(c Cause, text string) {
	m := l.request(sip.MethodBye)
	m.Add("Reason", c.reason()+textParam(text))
	l.gone = true
	l.send(m)
}

// byeAfterACK ends a dialog whose peer has not yet acknowledged an answer: not
// before he has, or never will (RFC 3261 §15). The call ends without waiting:
// whoever comes second of its end and the ACK sends BYE.
func (l *leg) byeAfterACK(e *ended) {
	l.last = e
	if l.ends.Add(1) == 2 {
		l.bye(e.cause, e.why)
	}
}

// lastACK is that ACK, or that there will be none.
func (l *leg) lastACK() {
	if l.ends.Add(1) == 2 {
		l.bye(l.last.cause, l.last.why)
	}
}

// adopt takes from a message of the peer what a dialog has of it (RFC 3261
// §12.1): its tag, the way to it, the route. A target is refreshed by any INVITE
// or UPDATE and their 2xx (§12.2), a route never.
func (l *leg) adopt(m *sip.Message) {
	if len(m.Contact) == 1 && (m.Contact[0].URI.Scheme == "sip" || m.Contact[0].URI.Scheme == "sips") {
		l.target = m.Contact[0].URI
	} else if m.IsRequest() && m.Method == sip.MethodInvite && len(m.Contact) == 0 && l.target.Host == "" {
		l.target = m.From.URI // see former
	}
	if !m.IsRequest() && !l.established {
		l.peerTag = m.To.Tag()
		l.remote = m.To
		l.route = slices.Clone(m.RecordRoute)
		slices.Reverse(l.route)
	}
	for _, v := range m.List("Allow") {
		l.updates = l.updates || v == string(sip.MethodUpdate)
	}
}

// respond begins an answer within the dialog.
func (l *leg) respond(m *sip.Message, status int) *sip.Message {
	r := m.Response(status, "")
	if r.To.Tag() == "" {
		r.To.Params.Set("tag", l.tag)
	}
	if status < 300 && (m.Method == sip.MethodInvite || m.Method == sip.MethodUpdate) {
		r.Contact = []sip.Address{l.contact()}
		r.Set("Allow", allowed)
	}
	return r
}

// textParam is the text of a Reason, quoted.
func textParam(s string) string {
	if s == "" {
		return ""
	}
	return `;text="` + strings.NewReplacer(`"`, "'", `\`, "/").Replace(s) + `"`
}

// allowed are the methods that a call takes.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
