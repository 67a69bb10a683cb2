package calls

import (
	"errors"
	"time"

	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
)

// reofferPatience is how long the other side may take to say which formats it
// would rather have: who has asked waits meanwhile.
const reofferPatience = 8 * time.Second

// reoffer asks the other side to speak formats that a leg's new offer has.
func (c *call) reoffer(l, other *leg, body []byte) error {
	offer, err := sdp.Parse(body)
	if err != nil {
		return errDescription
	}
	before := other.speech.line
	other.speech.line.Codecs = codecs(media.Offer(c.speechOf(l, offer), c.w.allows))
	t := c.offer(other)
	c.alarmIn(alarmReoffer, reofferPatience)
	defer c.alarmIn(alarmReoffer, 0)
	for {
		e := c.next()
		switch {
		case e.kind == ofAlarm && e.alarm == alarmReoffer:
			t.abandoned = true
			t.client.Cancel()
			return media.ErrFormats
		case e.sent != t:
			if err := c.interrupt(e); err != nil {
				return err
			}
		case e.answer != nil && e.answer.Status < 200:
		default:
			if err := c.reoffered(t, e.answer); err != nil {
				other.speech.line = before
				return err
			}
			return nil
		}
	}
}

// offer sends a re-INVITE with our line as it stands.
func (c *call) offer(l *leg) *sent {
	m := l.request(sip.MethodInvite)
	l.timer.again(m)
	m.ContentType, m.Body = sdpType, l.describe()
	return l.send(m)
}

var errRefused = errors.New("the other side keeps its formats")

// reoffered takes the answer to a re-INVITE with an offer.
func (c *call) reoffered(t *sent, answer *sip.Message) error {
	l := t.leg
	l.inviting = nil
	if answer == nil || answer.Status >= 300 {
		return errRefused
	}
	l.adopt(answer)
	l.acknowledge(t.client, answer, nil)
	l.timer.agreed(answer)
	c.timers(l)
	return c.accept(l, answer.Body)
}

// hold tells a side that the other one listens no more, or again. Who takes no
// re-INVITE, such as a phone in a cell, hears silence instead.
func (c *call) hold(l *leg, held bool) {
	want := sdp.SendRecv
	if held {
		want = sdp.SendOnly // of us: the peer is asked to be still
	}
	if !l.offers || l.inviting != nil || l.serving != nil || l.speech.line.Direction == want {
		return
	}
	l.speech.line.Direction = want
	c.offer(l)
}
