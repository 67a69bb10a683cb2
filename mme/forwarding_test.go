package mme

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// forwardingGateway is one that forwards, or refuses to, or is silent.
type forwardingGateway struct {
	*testGateway
	how  string
	want []s11.Forwarding
}

func (g *forwardingGateway) Forward(ctx context.Context, _ *s11.Session, list []s11.Forwarding) ([]s11.Forwarding, error) {
	g.mu.Lock()
	g.said, g.want = append(g.said, "forward"), list
	g.mu.Unlock()
	switch g.how {
	case "refuses":
		return nil, errors.New("service not supported")
	case "is silent":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var out []s11.Forwarding
	for _, f := range list {
		out = append(out, s11.Forwarding{EBI: f.EBI, DL: s11.FTEID{Addr: netip.MustParseAddr("127.0.0.30"), TEID: 0xf0}})
	}
	return out, nil
}

func (g *forwardingGateway) EndForward(ctx context.Context, _ *s11.Session) error {
	return g.note(ctx, "end forward")
}

// Indirect forwarding (TS 23.401 §5.5.1.2.2 steps 6, 8 and 21): by the gateway if
// it does, for as long as the handover lasts and a while; one that does not holds
// nothing up.
func TestIndirectForwarding(t *testing.T) {
	for _, how := range []string{"forwards", "refuses", "is silent"} {
		for _, end := range []string{"well", "cancelled"} {
			g := &forwardingGateway{how: how}
			play(t, func(o *Options) {
				g.testGateway = o.Gateway.(*testGateway)
				o.Gateway, o.IndirectForwarding = g, true
			}, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.attach()
				f := w.towerIn(0x19c, 8)
				m, r := p.prepare(f)
				if r.ERABToBeSetupListHOReq[0].IEExtensions != nil {
					t.Errorf("forwarding is said not to be possible: %+v", r.ERABToBeSetupListHOReq[0].IEExtensions)
				}
				a := m.ready()
				a.ERABAdmittedList[0].DLTransportLayerAddress, a.ERABAdmittedList[0].DLGTPTEID = s1ap.FromAddr(f.addr), new(s1ap.FromTEID(77))
				f.send(a)
				began := time.Now()
				c := expect[*s1ap.HandoverCommand](p.e)
				if l := c.ERABSubjecttoDataForwardingList; (len(l) == 1 && l[0].DLGTPTEID.ID() == 0xf0) != (how == "forwards") || how != "forwards" && len(l) != 0 {
					t.Errorf("%s: %+v", how, l)
				}
				if took := time.Since(began); took > forwardAskWait {
					t.Errorf("%s: the command comes after %v", how, took)
				}
				if len(g.want) != 1 || g.want[0].DL.TEID != 77 || g.want[0].UL != (s11.FTEID{}) {
					t.Errorf("asked %+v", g.want)
				}
				if end == "cancelled" {
					p.cancel()
					m.unprepared()
				} else {
					m.notify()
					m.left()
				}
				time.Sleep(2 * forwardWait)
				g.mu.Lock()
				defer g.mu.Unlock()
				if !slices.Contains(g.said, "end forward") {
					t.Errorf("%s, %s: the gateway was asked %v", how, end, g.said)
				}
			})
		}
	}
}
