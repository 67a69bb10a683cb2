package mme

import (
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/s1ap"
)

// The phone has moved on by X2 before the MME has read that it is at the handover's
// target: three associations, of which none waits for another (TS 36.413 §8.4.3,
// §8.4.4). If it never was at the target, the path switch is a lie.
func TestPathSwitchOvertakesNotify(t *testing.T) {
	for _, notified := range []bool{true, false} {
		play(t, nil, func(w *world) {
			w.towers[0x19d] = [32]byte{3}
			e, f, g := w.tower(0x19b), w.towerIn(0x19c, 8), w.towerIn(0x19d, 9)
			p := w.phone(e)
			p.attach()
			m, _ := p.prepare(f)
			m.commanded()
			there := m.there
			r := there.switchRequest(g)
			g.send(r)
			synctest.Wait()
			if !notified {
				m.unprepared() // it does not arrive
				if a := expect[*s1ap.PathSwitchRequestFailure](g); a.Cause != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() {
					t.Errorf("refused with %v", a.Cause)
				}
				p.stays(7)
				return
			}
			m.notify()
			if a := expect[*s1ap.PathSwitchRequestAcknowledge](g); a.SecurityContext != p.hop(3) {
				t.Errorf("NCC %d", a.SecurityContext.NextHopChainingCount)
			}
			m.left()
			p.e, p.enbID, p.teid = g, r.ENBUES1APID, there.teid
			p.stays(9)
		})
	}
}
