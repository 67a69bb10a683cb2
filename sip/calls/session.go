package calls

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"campanile.network/wire/sip"
)

// shortestSession is the least that a session timer may be (RFC 4028 §5).
const shortestSession = 90 * time.Second

// sessionTimer is a leg's session timer (RFC 4028): how long a call goes on of
// which nobody has heard, and who sees to it that somebody does.
type sessionTimer struct {
	interval time.Duration // 0: none
	ours     bool          // we refresh
	min      time.Duration // what the peer has asked for as the least
}

// asked takes what a caller's INVITE or UPDATE says of it (RFC 4028 §9): who
// leaves it to us refreshes himself.
func (t *sessionTimer) asked(m *sip.Message) error {
	*t = sessionTimer{min: shortestSession}
	v := m.Get("Session-Expires")
	if v == "" {
		v = m.Get("x")
	}
	if v == "" || !slices.ContainsFunc(m.List("Supported"), func(s string) bool { return strings.EqualFold(s, "timer") }) {
		return nil
	}
	interval, refresher, ok := sessionExpires(v)
	switch {
	case !ok:
		return refuse(400, "unreadable Session-Expires")
	case interval < shortestSession:
		return refuse(422, "session timer is too short")
	}
	t.interval, t.ours = interval, refresher == "uas"
	return nil
}

// agree writes into a 2xx what was agreed.
func (t *sessionTimer) agree(r *sip.Message) {
	if t.interval == 0 {
		return
	}
	refresher := "uac"
	if t.ours {
		refresher = "uas"
	}
	r.Set("Session-Expires", strconv.Itoa(int(t.interval/time.Second))+";refresher="+refresher)
	r.Set("Require", "timer")
}

// ask writes into our INVITE or UPDATE what we would like.
func (t *sessionTimer) ask(m *sip.Message, wish time.Duration) {
	m.Set("Session-Expires", strconv.Itoa(int(max(wish, t.min)/time.Second)))
	m.Set("Min-SE", strconv.Itoa(int(max(t.min, shortestSession)/time.Second)))
}

// again writes into a request within the dialog what goes on, if anything does.
func (t *sessionTimer) again(m *sip.Message) {
	if t.interval == 0 {
		return
	}
	t.ask(m, t.interval)
	if t.ours {
		m.Set("Session-Expires", m.Get("Session-Expires")+";refresher=uac")
	} else {
		m.Set("Session-Expires", m.Get("Session-Expires")+";refresher=uas")
	}
}

// agreed takes what a 2xx to our request says. A peer that says nothing does not
// know the extension: it is asked for nothing (RFC 4028 §7.2 lets us refresh, but
// such a peer may not take a re-INVITE at all).
func (t *sessionTimer) agreed(r *sip.Message) {
	interval, refresher, ok := sessionExpires(r.Get("Session-Expires"))
	if !ok {
		t.interval = 0
		return
	}
	t.interval, t.ours = max(interval, shortestSession), refresher != "uas"
}

// refused takes a 422 and says whether there is a wish that may be granted.
func (t *sessionTimer) refused(r *sip.Message) bool {
	n, err := strconv.ParseUint(strings.TrimSpace(r.Get("Min-SE")), 10, 31)
	d := time.Duration(n) * time.Second
	if err != nil || d <= t.min || d > 24*time.Hour {
		return false
	}
	t.min = d
	return true
}

// sessionExpires reads a Session-Expires: seconds and who refreshes.
func sessionExpires(v string) (d time.Duration, refresher string, ok bool) {
	seconds, params, _ := strings.Cut(v, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 31)
	if err != nil {
		return 0, "", false
	}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return time.Duration(n) * time.Second, refresher, true
}

// timers sets the alarms of a leg's session timer anew: half of it until we
// refresh (RFC 4028 §10), or all but a third or 32 s until we give the peer up.
func (c *call) timers(l *leg) {
	refresh, expire := alarmRefresh0+alarm(l.side), alarmExpire0+alarm(l.side)
	c.alarmIn(refresh, 0)
	c.alarmIn(expire, 0)
	t := &l.timer
	switch {
	case t.interval == 0:
	case t.ours:
		c.alarmIn(refresh, t.interval/2)
	default:
		c.alarmIn(expire, t.interval-min(32*time.Second, t.interval/3))
	}
}

// refresh says that the call still goes on: by UPDATE where the peer takes it,
// or else by a re-INVITE that changes nothing. Where one of ours is under way,
// that is as good.
func (c *call) refresh(l *leg) {
	if l.inviting != nil || l.serving != nil {
		c.alarmIn(alarmRefresh0+alarm(l.side), glareAfter)
		return
	}
	if l.updates {
		m := l.request(sip.MethodUpdate)
		l.timer.again(m)
		l.send(m)
	} else {
		c.offer(l)
	}
	c.alarmIn(alarmExpire0+alarm(l.side), l.timer.interval/2)
}

// glareAfter is when a request that met one of the peer's is tried again: within
// 2.1 to 4 s, as RFC 3261 §14.1 has it for who made the Call-ID.
const glareAfter = 3 * time.Second

// refreshed takes the answer to a refresh.
func (c *call) refreshed(t *sent, answer *sip.Message) error {
	l := t.leg
	switch {
	case answer == nil:
		l.gone = true
		return &ended{why: "peer is silent", status: 408, cause: CauseTimer, by: nobody}
	case answer.Status < 300:
		l.adopt(answer)
		if t.request.Method == sip.MethodInvite {
			l.acknowledge(t.client, answer, nil)
			if err := c.accept(l, answer.Body); err != nil {
				return c.unjoined(err)
			}
		}
		l.timer.agreed(answer)
		c.timers(l)
	case answer.Status == 408 || answer.Status == 481:
		l.gone = true
		return &ended{why: "peer has forgotten the call", status: 480, cause: CauseTimer, by: l.side}
	case answer.Status == 491 || answer.Status == 500:
		c.alarmIn(alarmRefresh0+alarm(l.side), glareAfter)
	case answer.Status == 422 && l.timer.refused(answer):
		l.timer.interval = l.timer.min
		c.refresh(l)
	}
	return nil // who refuses a refresh has no session timer; silence ends the call then
}
