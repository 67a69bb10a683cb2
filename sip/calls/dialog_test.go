package calls

import (
	"fmt"
	"strings"
	"testing/synctest"

	"campanile.network/wire/sip"
)

// dialog is a peer's side of a call.
type dialog struct {
	p           *peer
	local       sip.Address
	remote      sip.Address
	target      sip.URI
	callID      string
	seq         uint32
	invite      *sip.Message // that it began with
	established bool
}

// calls begins a call with an INVITE, which body describes.
func (p *peer) calls(user, body string, change ...func(*sip.Message)) *dialog {
	p.r.t.Helper()
	p.seq++
	d := &dialog{p: p, callID: fmt.Sprintf("%s-%d@%s", p.name, p.seq, p.at.Addr()), seq: 1}
	from := p.name
	for _, all := range p.r.book.parties {
		for _, x := range all {
			if x.Access == AccessGSM && x.Target.Flow.Remote == p.at {
				from = "IMSI" + x.IMSI.Digits()
			}
		}
	}
	d.target = sip.URI{Scheme: "sip", User: user, Host: p.r.at.Addr().String()}
	d.local = sip.Address{URI: sip.URI{Scheme: "sip", User: from, Host: p.at.Addr().String()}}
	d.local.Params.Set("tag", fmt.Sprintf("t%d%s", p.seq, p.name))
	d.remote = sip.Address{URI: d.target}
	d.invite = d.request("INVITE", body)
	for _, f := range change {
		f(d.invite)
	}
	p.say(d.invite)
	return d
}

// request makes a request of the dialog.
func (d *dialog) request(method sip.Method, body string) *sip.Message {
	m := sip.NewRequest(method, d.target)
	if method != sip.MethodAck && method != sip.MethodCancel {
		d.seq++
	}
	m.From, m.To, m.CallID, m.CSeq.Seq = d.local, d.remote, d.callID, d.seq
	v := sip.Via{Transport: "UDP", Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}
	d.p.r.script.branches++
	v.Params.Set("branch", fmt.Sprintf("z9hG4bK%s%d", d.p.name, d.p.r.script.branches))
	m.Via = []sip.Via{v}
	m.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: d.local.URI.User, Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}}}
	if body != "" {
		m.ContentType, m.Body = "application/sdp", []byte(body)
	}
	return m
}

// send sends a request of the dialog.
func (d *dialog) send(method sip.Method, body string) *sip.Message {
	d.p.r.t.Helper()
	m := d.request(method, body)
	d.p.say(m)
	return m
}

// answered takes the 2xx to the dialog's INVITE and acknowledges it.
func (d *dialog) answered() *sip.Message {
	d.p.r.t.Helper()
	m := d.p.hear("200")
	d.takes(m)
	d.ack(m, "")
	return m
}

// takes establishes the dialog by a 2xx.
func (d *dialog) takes(m *sip.Message) {
	d.remote, d.established = m.To, true
	if len(m.Contact) == 1 {
		d.target = m.Contact[0].URI
	}
}

func (d *dialog) ack(to *sip.Message, body string) {
	d.p.r.t.Helper()
	m := d.request("ACK", body)
	m.CSeq.Seq = to.CSeq.Seq
	m.Contact = nil
	d.p.say(m)
}

// refused takes a final refusal of the INVITE that was sent last and acknowledges it.
func (d *dialog) refused(status int) *sip.Message {
	d.p.r.t.Helper()
	m := d.p.hear(fmt.Sprint(status))
	d.ackRefusal(m)
	synctest.Wait()
	return m
}

// ackRefusal acknowledges a final refusal of the INVITE that was sent last.
func (d *dialog) ackRefusal(m *sip.Message) {
	d.p.r.t.Helper()
	a := sip.NewRequest("ACK", d.invite.URI)
	a.Via, a.From, a.To, a.CallID, a.CSeq.Seq = d.invite.Via[:1], d.invite.From, m.To, m.CallID, m.CSeq.Seq
	d.p.say(a)
}

// invites sends an INVITE within the dialog.
func (d *dialog) invites(body string) {
	d.p.r.t.Helper()
	d.invite = d.send("INVITE", body)
}

// cancel takes the INVITE back.
func (d *dialog) cancel() {
	d.p.r.t.Helper()
	m := sip.NewRequest("CANCEL", d.invite.URI)
	m.Via, m.From, m.To, m.CallID, m.CSeq.Seq = d.invite.Via[:1], d.invite.From, d.invite.To, d.invite.CallID, d.invite.CSeq.Seq
	d.p.say(m)
	synctest.Wait() // the answers to CANCEL and INVITE may come in either order
	for range len(d.p.in) {
		if x := <-d.p.in; x.CSeq.Method == "INVITE" {
			d.p.in <- x
		} else if x.Status != 200 {
			d.p.r.t.Fatalf("CANCEL is answered:\n%s", text(x))
		}
	}
}

// rung is the dialog that an INVITE would begin at who is called.
func (p *peer) rung() *dialog {
	p.r.t.Helper()
	m := p.hear("INVITE")
	p.seq++
	d := &dialog{p: p, callID: m.CallID, local: m.To, remote: m.From, invite: m, seq: 100}
	d.local.Params.Set("tag", fmt.Sprintf("t%d%s", p.seq, p.name))
	if len(m.Contact) == 1 {
		d.target = m.Contact[0].URI
	}
	return d
}

// says answers a request of the switch.
func (d *dialog) says(to *sip.Message, status int, body string, change ...func(*sip.Message)) {
	d.p.r.t.Helper()
	r := to.Response(status, "")
	if status > 100 {
		r.To = d.local
		if to.Method != "INVITE" || to.To.Tag() != "" {
			r.To = to.To
		}
	}
	if status < 300 {
		r.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: d.p.name, Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}}}
	}
	if body != "" {
		r.ContentType, r.Body = "application/sdp", []byte(body)
	}
	for _, f := range change {
		f(r)
	}
	d.p.say(r)
}

// talks brings two peers into a call: the caller's dialog and the called one's.
func (r *rig) talks(a *peer, user string, b *peer, offer, answer string) (*dialog, *dialog) {
	r.t.Helper()
	da := a.calls(user, offer)
	db := b.rung()
	db.says(db.invite, 180, "")
	a.hear("180")
	db.says(db.invite, 200, answer)
	da.answered()
	b.hear("ACK")
	synctest.Wait()
	return da, db
}

// hangsUp ends a call from one side.
func (d *dialog) hangsUp(other *dialog) {
	d.p.r.t.Helper()
	d.send("BYE", "")
	d.p.hear("200")
	other.says(other.p.hear("BYE"), 200, "")
	synctest.Wait()
}

// audio is a description.
func audio(host string, port int, formats ...string) string {
	var list, maps strings.Builder
	for _, f := range formats {
		pt, name, _ := strings.Cut(f, " ")
		list.WriteString(" " + pt)
		if name != "" {
			maps.WriteString("a=rtpmap:" + pt + " " + name + "\r\n")
		}
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP%s\r\n%s", host, host, port, list.String(), maps.String())
}

// What phones and apps usually describe.
var (
	gsmSDP = func(p *peer) string { return audio(p.at.Addr().String(), 4000, "3 GSM/8000") }
	appSDP = func(p *peer) string {
		return audio(p.at.Addr().String(), 5000, "0 PCMU/8000", "8 PCMA/8000", "101 telephone-event/8000")
	}
)
