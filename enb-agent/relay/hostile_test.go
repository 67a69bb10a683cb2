package relay_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/sctp"
)

func pathSwitch(mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID, to id.TEID) *s1ap.PathSwitchRequest {
	return &s1ap.PathSwitchRequest{ENBUES1APID: enb, SourceMMEUES1APID: mme,
		ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(to)}},
		EUTRANCGI:              s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, CellID: 1}, TAI: s1ap.TAI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}}}
}

// An eNB that asks for the path of another's phone gets nothing of it before the
// MME agrees, and what the MME refuses changes nothing.
func TestPathSwitchRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		enb2, mme2 := r.call()
		for range 2 {
			tell(r, enb2, mme2, pathSwitch(1, 55, 0x5001))
			r.downlink(b, 30)
			r.expect(r.enbUser, gtpu.GPDU, 0x2001, 30)
			tell(r, mme2, enb2, &s1ap.PathSwitchRequestFailure{MMEUES1APID: 1, ENBUES1APID: 55, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
			r.downlink(b, 30)
			r.expect(r.enbUser, gtpu.GPDU, 0x2001, 30)
		}
		// Nor does the end of the one who asked.
		tell(r, enb2, mme2, pathSwitch(1, 55, 0x5001))
		enb2.Abort("gone")
		synctest.Wait()
		r.downlink(b, 30)
		r.expect(r.enbUser, gtpu.GPDU, 0x2001, 30)
		if s := r.relay.Stats(); s.UEs != 1 || s.Tunnels != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// One eNB, or one context, does not use up the tunnels of all.
func TestBoundsOfOneENB(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		enb2, mme2 := r.call()
		for n := range s1ap.MMEUES1APID(relay.MaxContexts) {
			tell(r, enb2, mme2, pathSwitch(1000+n, 1, 0x5001))
		}
		if f := answer[*s1ap.PathSwitchRequestFailure](r, enb2, pathSwitch(1, 1, 0x5001)); f.MMEUES1APID != 1 {
			t.Errorf("%+v", f)
		}
		r.attach(1, 2, 0x1001, 0x2001)
		before := r.relay.Stats().Tunnels
		for range 100 {
			b, err := s1ap.Append(nil, &s1ap.HandoverCommand{MMEUES1APID: 1, ENBUES1APID: 2, HandoverType: s1ap.HandoverTypeIntralte, TargetToSourceTransparentContainer: []byte{1},
				ERABSubjecttoDataForwardingList: s1ap.ERABSubjecttoDataForwardingList{{ERABID: 5, DLTransportLayerAddress: address(gwAddr), DLGTPTEID: new(s1ap.FromTEID(7))}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.mme.Send(t.Context(), 1, 18, b); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := r.relay.Stats().Tunnels - before; n > 64 {
			t.Errorf("%d forwarding tunnels of one context", n)
		}
	})
}

// answer sends a message from one end and gives what that end is answered.
func answer[M s1ap.Message](r *rig, from sctp.Association, m s1ap.Message) M {
	r.t.Helper()
	b, err := s1ap.Append(nil, m)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := from.Send(r.t.Context(), 1, 18, b); err != nil {
		r.t.Fatal(err)
	}
	return hear[M](r, from)
}

// So many eNBs, and no more, whether they set up S1 or not.
func TestTooManyENBs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		for range relay.MaxENBs - 1 {
			r.knock(nil)
		}
		late := r.knock(nil)
		if _, err := late.Recv(t.Context()); err == nil {
			t.Error("one too many was taken")
		}
	})
}

// A GTP-U Error Indication of somebody who is no neighbour is not looked into.
func TestErrorIndicationOfAStranger(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		stranger, err := r.net.Listen(netip.MustParseAddrPort("127.0.0.99:2152"))
		if err != nil {
			t.Fatal(err)
		}
		r.send(stranger, radioAddr, gtpu.AppendErrorIndication(nil, b.enb, enbAddr))
		r.send(stranger, radioAddr, gtpu.AppendErrorIndication(nil, 0x9999, enbAddr))
		r.nothing(r.gwUser)
		r.dropped(relay.WrongSource, 2)
	})
}
