package relay

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// FuzzMessage relays a message from both sides of a connection. Whatever it
// is, the relay does not panic; what it passes on is the message itself or one
// that a stranger can read again, and no address of a neighbour's user plane
// stays in a place the relay has rewritten.
func FuzzMessage(f *testing.F) {
	gw, enb := netip.MustParseAddr("127.0.0.30"), netip.MustParseAddr("127.0.0.10")
	q := s1ap.ERABLevelQoSParameters{QCI: 9, AllocationRetentionPriority: s1ap.AllocationAndRetentionPriority{PriorityLevel: 15}}
	for _, m := range []s1ap.Message{
		&s1ap.InitialContextSetupRequest{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABToBeSetupListCtxtSUReq: s1ap.ERABToBeSetupListCtxtSUReq{{ERABID: 5, ERABLevelQoSParameters: q, TransportLayerAddress: s1ap.FromAddr(gw), GTPTEID: s1ap.FromTEID(7)}}},
		&s1ap.InitialContextSetupResponse{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(enb), GTPTEID: s1ap.FromTEID(8)}}},
		&s1ap.ERABSetupRequest{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABToBeSetupListBearerSUReq: s1ap.ERABToBeSetupListBearerSUReq{{ERABID: 6, ERABLevelQoSParameters: q, TransportLayerAddress: s1ap.FromAddr(gw), GTPTEID: s1ap.FromTEID(9), NASPDU: []byte{1}}}},
		&s1ap.PathSwitchRequest{ENBUES1APID: 3, SourceMMEUES1APID: 1,
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(enb), GTPTEID: s1ap.FromTEID(8)}}},
		&s1ap.PathSwitchRequestAcknowledge{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABToBeSwitchedULList: s1ap.ERABToBeSwitchedULList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(gw), GTPTEID: s1ap.FromTEID(8)}}},
		&s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2},
		&s1ap.Reset{Cause: cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}},
		&s1ap.DownlinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 2, NASPDU: []byte{7}},
		&s1ap.Reset{Cause: cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface,
			PartOfS1Interface: s1ap.UEAssociatedLogicalS1ConnectionListRes{{MMEUES1APID: new(s1ap.MMEUES1APID(1))}, {ENBUES1APID: new(s1ap.ENBUES1APID(2))}, {}}}},
		&s1ap.ErrorIndication{ENBUES1APID: new(s1ap.ENBUES1APID(2)), Cause: new(s1ap.CauseRadioNetworkUnknownEnbUeS1apId.Cause())},
		&s1ap.ERABModificationConfirm{MMEUES1APID: 1, ENBUES1APID: 2, ERABToBeReleasedListBearerModConf: s1ap.ERABList{{ERABID: 5, Cause: cause()}}},
		&s1ap.DownlinkS1cdma2000tunnelling{MMEUES1APID: 1, ENBUES1APID: 2, Cdma2000PDU: []byte{1},
			ERABSubjecttoDataForwardingList: s1ap.ERABSubjecttoDataForwardingList{{ERABID: 5, DLTransportLayerAddress: s1ap.FromAddr(gw), DLGTPTEID: new(s1ap.FromTEID(7))}}},
	} {
		b, err := s1ap.Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, _, _, _ := userPlaneOf(t, 0)
		r := &Relay{Options: Options{Logger: slog.New(slog.DiscardHandler)}, table: u.table, conns: map[*conn]bool{}}
		r.user.table, r.user.addr = u.table, u.addr
		c := &conn{relay: r, enbIP: enb, ues: map[s1ap.MMEUES1APID]*ue{}}
		r.conns[c] = true
		var pdu s1ap.PDU
		var rd reading
		for _, side := range []Side{Core, Radio, Core} {
			in := bytes.Clone(b)
			out, refusal := c.message(side, sctp.Message{Data: in, PPID: ppid}, &pdu, &rd)
			if !bytes.Equal(in, b) {
				t.Fatal("the message was changed where it lies")
			}
			if refusal != nil {
				_, err := s1ap.Parse(refusal)
				if out != nil || !namesTunnels(pdu.Message) || err != nil || r.broken.Load()+r.refused.Load() == 0 {
					t.Fatalf("refused while open: %T, %v", pdu.Message, err)
				}
				continue
			}
			if bytes.Equal(out, b) {
				continue
			}
			p, err := s1ap.Parse(out)
			if _, ok := s1ap.Continuable(err); !ok {
				t.Fatalf("rewritten to what cannot be read: %v", err)
			}
			var back reading
			back.read(p.Message)
			for i := range back.places {
				e := back.places[i].end()
				if n := r.table.find(1-side, e.teid); n != nil && e != r.user.own(1-side, n) {
					t.Errorf("%v stays in the message to the %v side", e, 1-side)
				}
			}
		}
	})
}
