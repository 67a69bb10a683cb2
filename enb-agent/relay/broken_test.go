package relay_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// A message about tunnels that the relay does not understand goes no further: a
// receiver that is more lenient would send user data past the relay. It is
// answered as its receiver would (TS 36.413 §10).
func TestBrokenMessagesAboutTunnels(t *testing.T) {
	odd := func(ie s1ap.UnknownIE) []byte {
		m := contextSetup(1, 2, 0x1001)
		m.UnknownIEs = []s1ap.UnknownIE{ie}
		b, err := s1ap.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	response, err := s1ap.Append(nil, &s1ap.InitialContextSetupResponse{MMEUES1APID: 1, ENBUES1APID: 2,
		ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(1)}}})
	if err != nil {
		t.Fatal(err)
	}
	nameless := bytes.Replace(response, []byte{0, 0, 0x40}, []byte{0xea, 0x60, 0x40}, 1) // another IE for the MME's id
	command, err := s1ap.Append(nil, &s1ap.HandoverCommand{MMEUES1APID: 1, ENBUES1APID: 2, HandoverType: s1ap.HandoverTypeIntralte, TargetToSourceTransparentContainer: []byte{1},
		UnknownIEs: []s1ap.UnknownIE{{ID: 60000, Criticality: s1ap.CriticalityReject, Value: []byte{1}}}})
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, nil, func(t *testing.T, r *rig) {
		for i, c := range []struct {
			name   string
			from   sctp.Association
			b      []byte
			answer string
			cause  s1ap.CauseProtocol
		}{
			{"an IE to be rejected", r.mme, odd(s1ap.UnknownIE{ID: 60000, Criticality: s1ap.CriticalityReject, Value: []byte{1}}), "InitialContextSetupFailure", s1ap.CauseProtocolAbstractSyntaxErrorReject},
			{"an IE twice", r.mme, odd(s1ap.UnknownIE{ID: s1ap.IDMMEUES1APID, Criticality: s1ap.CriticalityReject, Value: []byte{0, 1}}), "InitialContextSetupFailure", s1ap.CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage},
			{"an octet too many", r.mme, append(odd(s1ap.UnknownIE{ID: 60000, Criticality: s1ap.CriticalityIgnore}), 0), "ErrorIndication", s1ap.CauseProtocolTransferSyntaxError},
			{"no failure of its own", r.mme, command, "ErrorIndication", s1ap.CauseProtocolAbstractSyntaxErrorReject},
			{"a response of nobody", r.enb, nameless, "ErrorIndication", s1ap.CauseProtocolAbstractSyntaxErrorIgnoreAndNotify},
			{"a response with an octet too many", r.enb, append(bytes.Clone(response), 0), "ErrorIndication", s1ap.CauseProtocolTransferSyntaxError},
		} {
			if err := c.from.Send(t.Context(), 1, 18, c.b); err != nil {
				t.Fatal(err)
			}
			m, err := c.from.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p, err := s1ap.Parse(m.Data)
			if err != nil || p.Message.Header().Name != c.answer || m.Stream != 1 {
				t.Fatalf("%s: answered with %s on stream %d, %v", c.name, p.Message.Header().Name, m.Stream, err)
			}
			var cause s1ap.Cause
			switch m := p.Message.(type) {
			case *s1ap.InitialContextSetupFailure:
				cause = m.Cause
			case *s1ap.ErrorIndication:
				cause = *m.Cause
			}
			if cause != c.cause.Cause() {
				t.Errorf("%s: %v", c.name, cause)
			}
			if s := r.relay.Stats(); s.Broken != uint64(i+1) || s.Verbatim != 0 || s.Tunnels != 0 {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
		r.attach(1, 2, 0x1001, 0x2001) // nothing of it came through, and nothing is left of it
	})
}

// An address that is none to the relay may be one to its receiver, 31 bits in four
// octets: the message goes no further.
func TestOddAddresses(t *testing.T) {
	odd := s1ap.TransportLayerAddress{Bytes: []byte{127, 0, 0, 30}, Len: 31}
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ask := func(from sctp.Association, m s1ap.Message) s1ap.Message {
			b, err := s1ap.Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := from.Send(t.Context(), 1, 18, b); err != nil {
				t.Fatal(err)
			}
			answer, err := from.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p, err := s1ap.Parse(answer.Data)
			if err != nil {
				t.Fatal(err)
			}
			return p.Message
		}
		m := contextSetup(1, 2, 0x1001)
		m.ERABToBeSetupListCtxtSUReq[0].TransportLayerAddress = odd
		if f, ok := ask(r.mme, m).(*s1ap.InitialContextSetupFailure); !ok || f.Cause != s1ap.CauseTransportTransportResourceUnavailable.Cause() {
			t.Errorf("%+v", f)
		}
		b := r.attach(1, 2, 0x1001, 0x2001)
		switched := &s1ap.PathSwitchRequest{ENBUES1APID: 55, SourceMMEUES1APID: 1,
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: odd, GTPTEID: s1ap.FromTEID(0x5001)}},
			EUTRANCGI:              s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, CellID: 1}, TAI: s1ap.TAI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}}}
		enb2, _ := r.call()
		if f, ok := ask(enb2, switched).(*s1ap.PathSwitchRequestFailure); !ok || f.MMEUES1APID != 1 || f.ENBUES1APID != 55 {
			t.Errorf("%+v", f)
		}
		command := &s1ap.HandoverCommand{MMEUES1APID: 1, ENBUES1APID: 2, HandoverType: s1ap.HandoverTypeIntralte, TargetToSourceTransparentContainer: []byte{1},
			ERABSubjecttoDataForwardingList: s1ap.ERABSubjecttoDataForwardingList{{ERABID: 5, DLTransportLayerAddress: odd, DLGTPTEID: new(s1ap.FromTEID(7))}}}
		if f, ok := ask(r.mme, command).(*s1ap.ErrorIndication); !ok || *f.MMEUES1APID != 1 || *f.ENBUES1APID != 2 {
			t.Errorf("%+v", f)
		}
		if s := r.relay.Stats(); s.Refused != 3 || s.Broken != 0 {
			t.Errorf("%+v", s)
		}
		r.uplink(b, 40) // the bearer is where it was
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
	})
}
