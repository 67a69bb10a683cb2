package sctp

import "time"

// timer names a retransmission or other timer of one association.
type timer int

const (
	tInit      timer = iota // T1-init and T1-cookie, RFC 9260 §5.1
	tData                   // T3-rtx, §6.3
	tShutdown               // T2-shutdown, §9.2
	tGuard                  // T5-shutdown-guard, §9.2
	tAck                    // delayed SACK, §6.2
	tHeartbeat              // §8.3
	tProbe                  // PROBE_TIMER and PMTU_RAISE_TIMER, RFC 8899 §5.1.1
	timerCount
)

// All timers of an association share one runtime timer. due holds each deadline; the runtime timer is only moved when a deadline comes before
// what it is set to, so that restarting T3 on every SACK costs nothing. A pending callback is counted in the endpoint's WaitGroup.

func (a *assoc) start(t timer, d time.Duration) {
	a.due[t] = a.now.Add(d)
	if a.wake.IsZero() || a.due[t].Before(a.wake) {
		a.program(a.due[t])
	}
}

func (a *assoc) stop(t timer)         { a.due[t] = time.Time{} }
func (a *assoc) running(t timer) bool { return !a.due[t].IsZero() }

func (a *assoc) program(at time.Time) {
	a.wake = at
	d := at.Sub(a.now)
	if a.clock == nil {
		a.e.wg.Add(1)
		a.clock = time.AfterFunc(d, a.onClock)
		return
	}
	if !a.clock.Stop() {
		a.e.wg.Add(1)
	}
	a.clock.Reset(d)
}

func (a *assoc) stopClock() {
	if a.clock != nil && a.clock.Stop() {
		a.e.wg.Done()
	}
	a.wake = time.Time{}
	a.due = [timerCount]time.Time{}
}

func (a *assoc) onClock() {
	defer a.e.wg.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == closed {
		return
	}
	a.now, a.wake = time.Now(), time.Time{}
	for t := range timerCount {
		if a.running(t) && !a.due[t].After(a.now) {
			a.stop(t)
			a.expired(t)
			if a.state == closed {
				return
			}
		}
	}
	a.flush()
	var next time.Time
	for _, d := range a.due {
		if !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	if !next.IsZero() && a.state != closed {
		a.program(next)
	}
}

// expired handles one timer; the packets it causes are sent by the caller's flush.
func (a *assoc) expired(t timer) {
	switch t {
	case tInit:
		a.initExpired()
	case tData:
		a.dataExpired()
	case tShutdown:
		if !a.unanswered(a.path) {
			a.sendShutdown()
		}
	case tGuard:
		a.abort(CauseUserAbort, "shutdown guard timer", ErrLost)
	case tAck:
		a.ackNow = true
	case tHeartbeat:
		a.beats()
	case tProbe:
		a.probeExpired()
	}
}

// failed counts an unanswered transmission and ends the association when there were too many (RFC 9260 §8.1).
func (a *assoc) failed() bool {
	a.errors++
	if a.errors <= a.e.o.Timers.MaxRetrans {
		return false
	}
	if a.state == shutdownAckSent { // only the last word is missing
		a.end(ErrShutdown)
		return true
	}
	a.abort(CauseUserAbort, "retransmission limit", ErrLost)
	return true
}
