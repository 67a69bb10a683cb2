package s11_test

import (
	"net/netip"
	"reflect"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// TS 29.274 §7.2.18 to §7.2.21: what the gateway is asked to forward, and what it
// says of it.
func TestForward(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		s := w.create(request(t))
		enb, sgw := netip.MustParseAddr("127.0.0.10"), netip.MustParseAddr("127.0.0.30")
		want := []s11.Forwarding{{EBI: 5, DL: s11.FTEID{Addr: enb, TEID: 0x51}, UL: s11.FTEID{Addr: enb, TEID: 0x52}}, {EBI: 6, DL: s11.FTEID{Addr: enb, TEID: 0x61}}, {EBI: 7, DL: s11.FTEID{Addr: enb, TEID: 0x71}}}
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			for _, f := range want {
				b, err := m.FindBearer(0, f.EBI)
				if err != nil {
					t.Fatal(err)
				}
				if g, err := gtpc.ParseFTEID(gtpc.Find(b, ie.FullyQualifiedTEID, 0)); err != nil || g.Interface != gtpc.IfENBForwardDL || g.TEID != f.DL.TEID || g.Addr != enb {
					t.Errorf("%+v, %v", g, err)
				}
				if e := gtpc.Find(b, ie.FullyQualifiedTEID, 4); (e != nil) != (f.UL.TEID != 0) {
					t.Errorf("bearer %d: uplink %v", f.EBI, e)
				}
			}
			end := func(kind uint8, teid id.TEID, instance uint8) *ie.IE {
				return gtpc.FTEID{Interface: kind, TEID: teid, Addr: sgw}.IE(instance)
			}
			return gtpc.New(m.Type.Answer(), s.State().Local, gtpc.CauseIE(nil),
				gtpc.BearerContext(0, gtpc.EBI(5), gtpc.CauseIE(nil), end(gtpc.IfSGWForwardDL, 0x151, 0), end(gtpc.IfSGWForwardUL, 0x152, 4)),
				gtpc.BearerContext(0, gtpc.EBI(6), gtpc.CauseIE(nil), end(gtpc.IfSGWForwardDL, 0x161, 0)),
				gtpc.BearerContext(0, gtpc.EBI(7), gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.NoResources})))
		}
		got, err := w.client.Forward(w.Context(), s, want)
		if err != nil || !reflect.DeepEqual(got, []s11.Forwarding{{EBI: 5, DL: s11.FTEID{Addr: sgw, TEID: 0x151}, UL: s11.FTEID{Addr: sgw, TEID: 0x152}}, {EBI: 6, DL: s11.FTEID{Addr: sgw, TEID: 0x161}}}) {
			t.Errorf("%+v, %v", got, err)
		}
		for _, ies := range [][]*ie.IE{{gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.ServiceNotSupported})}, {gtpc.CauseIE(nil)},
			{gtpc.CauseIE(nil), gtpc.BearerContext(0, gtpc.EBI(5), gtpc.CauseIE(nil), gtpc.FTEID{Interface: gtpc.IfSGWForwardDL, Addr: sgw}.IE(0))}} {
			w.answer = func(m *gtpc.Message) *gtpc.Message { return gtpc.New(m.Type.Answer(), s.State().Local, ies...) }
			if got, err := w.client.Forward(w.Context(), s, want); err == nil {
				t.Errorf("%+v", got)
			}
		}
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			if m.Type != gtpc.DeleteForwardingRequest {
				t.Errorf("asked %v", m.Type)
			}
			return gtpc.New(m.Type.Answer(), s.State().Local, gtpc.CauseIE(nil))
		}
		if err := w.client.EndForward(w.Context(), s); err != nil {
			t.Error(err)
		}
	})
}
