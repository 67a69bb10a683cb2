package sim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
	"campanile.network/sdr/sim"
)

// cp takes the phone's CP message.
func (u *ue) cp() sms.CP { return must(sms.ParseCP(up[*eps.UplinkNASTransport](u).Container)) }

func (u *ue) says(m sms.CP) { u.down(&eps.DownlinkNASTransport{Container: must(sms.Append(nil, m))}) }

func texted(ref uint8) *sms.RPData {
	centre := must(sms.NewAddress("+491710760000"))
	return &sms.RPData{Direction: sms.Uplink, Reference: ref, Destination: centre, User: must(sms.Append(nil, &sms.Submit{Destination: centre}))}
}

// TS 24.011 §5.3 in the phone: what it sends is repeated until it is acknowledged;
// what it is sent twice it has once, and acknowledges twice.
func TestShortMessages(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{SMS: true})
		u := w.attached(p) // for EPS services only
		if _, err := p.SendSMS(context.Background(), texted(1)); !errors.Is(err, sim.ErrNoSMS) {
			t.Errorf("%v", err)
		}
		go p.Update(context.Background(), eps.UpdateTA)
		if m := up[*eps.TrackingAreaUpdateRequest](u); m.Type.Kind() != eps.UpdateCombined {
			t.Errorf("%v", m)
		}
		u.down(&eps.TrackingAreaUpdateAccept{Result: eps.UpdateResultCombined})
		synctest.Wait()

		done := make(chan sms.RP, 1)
		go func() {
			rp, err := p.SendSMS(context.Background(), texted(2))
			if err != nil {
				t.Errorf("%v", err)
			}
			done <- rp
		}()
		begun := time.Now()
		first, second := u.cp().(*sms.CPData), u.cp().(*sms.CPData)
		if first.TI != second.TI || first.TI.Flag || time.Since(begun) != 10*time.Second {
			t.Errorf("%v and %v after %v", first.TI, second.TI, time.Since(begun))
		}
		u.says(&sms.CPAck{TI: first.TI.Reply()})
		u.says(&sms.CPData{TI: first.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Downlink, Reference: 2}))})
		if a, ok := u.cp().(*sms.CPAck); !ok || a.TI != first.TI {
			t.Errorf("%v", a)
		}
		if a, ok := (<-done).(*sms.RPAck); !ok || a.Reference != 2 {
			t.Errorf("%v", a)
		}

		d := *texted(9)
		d.Direction, d.Originator, d.Destination = sms.Downlink, d.Destination, sms.Address{}
		for range 2 {
			u.says(&sms.CPData{TI: sms.TI{Value: 3}, User: must(sms.Append(nil, &d))})
			if a, ok := u.cp().(*sms.CPAck); !ok || a.TI != (sms.TI{Value: 3, Flag: true}) {
				t.Errorf("%v", a)
			}
			if a, ok := must(u.cp().(*sms.CPData).RP()).(*sms.RPAck); !ok || a.Reference != 9 {
				t.Errorf("%v", a)
			}
		}
		if got := p.Received(); len(got) != 1 || got[0].Reference != 9 {
			t.Errorf("%v", got)
		}
		go func() {
			_, err := p.SendSMS(context.Background(), texted(3))
			if err == nil {
				t.Error("sent without a connection")
			}
			done <- nil
		}()
		u.cp()
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		<-done
	})
}
