package gateway_test

import (
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// TS 23.401 §4.3.12: emergency sessions need no ticket and no IMSI; several phones
// without one do not stand for each other. Other APNs need both.
func TestEmergencySessions(t *testing.T) {
	sos, err := id.ParseAPN("sos")
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(o *gateway.Options) { o.Emergency = sos }, func(t *testing.T, r *rig) {
		q := request(t, phone1, nil)
		_, err := r.mme.Create(t.Context(), q)
		refusedWith(t, err, gtpc.UserAuthFailed)
		q.IMSI = id.IMSI{}
		_, err = r.mme.Create(t.Context(), q)
		refusedWith(t, err, gtpc.ConditionalIEMissing)
		q.APN = sos
		for range 2 {
			s, err := r.mme.Create(t.Context(), q)
			r.must(err)
			r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb}))
			r.ul(s, 100)
		}
		synctest.Wait()
		if st := r.gw.Stats(); st.Sessions != 2 || st.UEs != 2 {
			t.Errorf("%+v", st)
		}
	})
}
