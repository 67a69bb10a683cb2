package relay

import (
	"campanile.network/3gpp/s1ap"
)

// place is where a message names one end of a tunnel.
type place struct {
	bearer  s1ap.ERABID
	addr    *s1ap.TransportLayerAddress
	teid    *s1ap.GTPTEID
	forward bool // a forwarding path of a handover, not the bearer itself
}

// reading is what the relay has to know of a message. Which ids are there
// depends on the message.
type reading struct {
	from        Side // where such a message comes from,
	either      bool // unless it may come from both
	mme, newMME *s1ap.MMEUES1APID
	enb         *s1ap.ENBUES1APID
	places      []place
	begins      bool // a context may begin with this message
	moves       bool // an eNB asks for a context that another may have
	moved       bool // the MME's answer to that
	ended       []s1ap.ERABID
	over        bool                          // the whole context ends
	reset       *s1ap.ResetType               // many contexts end
	refuse      func(s1ap.Cause) s1ap.Message // how the relay refuses in the other end's stead
}

func ids(list s1ap.ERABList) (out []s1ap.ERABID) {
	for i := range list {
		out = append(out, list[i].ERABID)
	}
	return out
}

// read is the table of messages that name ends of tunnels, begin or end
// contexts or bearers (TS 36.413 §9.1). All others pass as they are.
func (r *reading) read(m s1ap.Message) {
	*r = reading{places: r.places[:0], from: Core}
	switch m := m.(type) {
	// From the MME.
	case *s1ap.InitialContextSetupRequest:
		r.mme, r.enb, r.begins = &m.MMEUES1APID, &m.ENBUES1APID, true
		for i := range m.ERABToBeSetupListCtxtSUReq {
			b := &m.ERABToBeSetupListCtxtSUReq[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
		r.refuse = func(c s1ap.Cause) s1ap.Message {
			return &s1ap.InitialContextSetupFailure{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID, Cause: c}
		}
	case *s1ap.ERABSetupRequest:
		r.mme, r.enb, r.begins = &m.MMEUES1APID, &m.ENBUES1APID, true
		for i := range m.ERABToBeSetupListBearerSUReq {
			b := &m.ERABToBeSetupListBearerSUReq[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
		r.refuse = func(c s1ap.Cause) s1ap.Message {
			f := &s1ap.ERABSetupResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID}
			for i := range m.ERABToBeSetupListBearerSUReq {
				f.ERABFailedToSetupListBearerSURes = append(f.ERABFailedToSetupListBearerSURes,
					s1ap.ERABItem{ERABID: m.ERABToBeSetupListBearerSUReq[i].ERABID, Cause: c})
			}
			return f
		}
	case *s1ap.ERABModifyRequest:
		r.mme, r.enb = &m.MMEUES1APID, &m.ENBUES1APID
		for i := range m.ERABToBeModifiedListBearerModReq {
			b := &m.ERABToBeModifiedListBearerModReq[i]
			if x := b.IEExtensions; x != nil && x.TransportInformation != nil {
				r.at(b.ERABID, &x.TransportInformation.TransportLayerAddress, &x.TransportInformation.ULGTPTEID)
			}
		}
	case *s1ap.HandoverRequest:
		r.mme, r.begins = &m.MMEUES1APID, true
		for i := range m.ERABToBeSetupListHOReq {
			b := &m.ERABToBeSetupListHOReq[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
		r.refuse = func(c s1ap.Cause) s1ap.Message {
			return &s1ap.HandoverFailure{MMEUES1APID: m.MMEUES1APID, Cause: c}
		}
	case *s1ap.HandoverCommand:
		r.mme, r.enb = &m.MMEUES1APID, &m.ENBUES1APID
		for i := range m.ERABSubjecttoDataForwardingList {
			b := &m.ERABSubjecttoDataForwardingList[i]
			r.forward(b.ERABID, &b.DLTransportLayerAddress, b.DLGTPTEID)
			r.forward(b.ERABID, &b.ULTransportLayerAddress, b.ULGTPTEID)
		}
	case *s1ap.DownlinkS1cdma2000tunnelling:
		r.mme, r.enb = &m.MMEUES1APID, &m.ENBUES1APID
		for i := range m.ERABSubjecttoDataForwardingList {
			b := &m.ERABSubjecttoDataForwardingList[i]
			r.forward(b.ERABID, &b.DLTransportLayerAddress, b.DLGTPTEID)
			r.forward(b.ERABID, &b.ULTransportLayerAddress, b.ULGTPTEID)
		}
	case *s1ap.ERABModificationConfirm:
		r.mme, r.enb, r.ended = &m.MMEUES1APID, &m.ENBUES1APID, ids(m.ERABToBeReleasedListBearerModConf)
	case *s1ap.PathSwitchRequestAcknowledge:
		r.mme, r.enb, r.newMME, r.ended, r.moved = &m.MMEUES1APID, &m.ENBUES1APID, m.MMEUES1APID2, ids(m.ERABToBeReleasedList), true
		for i := range m.ERABToBeSwitchedULList {
			b := &m.ERABToBeSwitchedULList[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
	case *s1ap.PathSwitchRequestFailure:
		r.mme, r.over, r.moved = &m.MMEUES1APID, true, true
	default:
		r.readFromENB(m)
	}
}

func (r *reading) readFromENB(m s1ap.Message) {
	r.from = Radio
	switch m := m.(type) {
	case *s1ap.InitialContextSetupResponse:
		r.mme, r.enb, r.ended = &m.MMEUES1APID, &m.ENBUES1APID, ids(m.ERABFailedToSetupListCtxtSURes)
		for i := range m.ERABSetupListCtxtSURes {
			b := &m.ERABSetupListCtxtSURes[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
	case *s1ap.InitialContextSetupFailure:
		r.mme, r.over = &m.MMEUES1APID, true
	case *s1ap.ERABSetupResponse:
		r.mme, r.enb, r.ended = &m.MMEUES1APID, &m.ENBUES1APID, ids(m.ERABFailedToSetupListBearerSURes)
		for i := range m.ERABSetupListBearerSURes {
			b := &m.ERABSetupListBearerSURes[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
	case *s1ap.HandoverRequestAcknowledge:
		r.mme, r.enb = &m.MMEUES1APID, &m.ENBUES1APID
		for i := range m.ERABFailedtoSetupListHOReqAck {
			r.ended = append(r.ended, m.ERABFailedtoSetupListHOReqAck[i].ERABID)
		}
		for i := range m.ERABAdmittedList {
			b := &m.ERABAdmittedList[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
			r.forward(b.ERABID, &b.DLTransportLayerAddress, b.DLGTPTEID)
			r.forward(b.ERABID, &b.ULTransportLayerAddress, b.ULGTPTEID)
		}
	case *s1ap.HandoverFailure:
		r.mme, r.over = &m.MMEUES1APID, true
	case *s1ap.PathSwitchRequest:
		r.mme, r.enb, r.begins, r.moves = &m.SourceMMEUES1APID, &m.ENBUES1APID, true, true
		r.refuse = func(c s1ap.Cause) s1ap.Message {
			return &s1ap.PathSwitchRequestFailure{MMEUES1APID: m.SourceMMEUES1APID, ENBUES1APID: m.ENBUES1APID, Cause: c}
		}
		for i := range m.ERABToBeSwitchedDLList {
			b := &m.ERABToBeSwitchedDLList[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.GTPTEID)
		}
	case *s1ap.ERABModificationIndication:
		r.mme, r.enb = &m.MMEUES1APID, &m.ENBUES1APID
		for i := range m.ERABToBeModifiedListBearerModInd {
			b := &m.ERABToBeModifiedListBearerModInd[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.DLGTPTEID)
		}
		for i := range m.ERABNotToBeModifiedListBearerModInd {
			b := &m.ERABNotToBeModifiedListBearerModInd[i]
			r.at(b.ERABID, &b.TransportLayerAddress, &b.DLGTPTEID)
		}
	case *s1ap.ERABReleaseResponse:
		r.mme = &m.MMEUES1APID
		for i := range m.ERABReleaseListBearerRelComp {
			r.ended = append(r.ended, m.ERABReleaseListBearerRelComp[i].ERABID)
		}
	case *s1ap.ERABReleaseIndication:
		r.mme, r.ended = &m.MMEUES1APID, ids(m.ERABReleasedList)
	case *s1ap.UEContextReleaseComplete:
		r.mme, r.over = &m.MMEUES1APID, true
	default:
		r.readFromEither(m)
	}
}

func (r *reading) readFromEither(m s1ap.Message) {
	r.either = true
	switch m := m.(type) {
	case *s1ap.Reset:
		r.reset = &m.ResetType
	case *s1ap.ErrorIndication:
		// an id the other end does not know is a context lost (TS 36.413 §10.6).
		if m.Cause == nil || m.Cause.Choice != s1ap.CauseChoiceRadioNetwork {
			return
		}
		switch m.Cause.RadioNetwork {
		case s1ap.CauseRadioNetworkUnknownMmeUeS1apId, s1ap.CauseRadioNetworkUnknownEnbUeS1apId, s1ap.CauseRadioNetworkUnknownPairUeS1apId:
			r.mme, r.enb, r.over = m.MMEUES1APID, m.ENBUES1APID, true
		}
	}
}

// namesTunnels says that messages of m's kind name ends of tunnels. They must
// not pass as they are, or user data would go around the relay.
func namesTunnels(m s1ap.Message) bool {
	switch m.(type) {
	case *s1ap.InitialContextSetupRequest, *s1ap.InitialContextSetupResponse, *s1ap.ERABSetupRequest, *s1ap.ERABSetupResponse,
		*s1ap.ERABModifyRequest, *s1ap.ERABModificationIndication, *s1ap.HandoverRequest, *s1ap.HandoverRequestAcknowledge,
		*s1ap.HandoverCommand, *s1ap.DownlinkS1cdma2000tunnelling, *s1ap.PathSwitchRequest, *s1ap.PathSwitchRequestAcknowledge:
		return true
	}
	return false
}

func (r *reading) at(b s1ap.ERABID, a *s1ap.TransportLayerAddress, t *s1ap.GTPTEID) {
	r.places = append(r.places, place{bearer: b, addr: a, teid: t})
}

func (r *reading) forward(b s1ap.ERABID, a *s1ap.TransportLayerAddress, t *s1ap.GTPTEID) {
	if a.Len > 0 && t != nil {
		r.places = append(r.places, place{bearer: b, addr: a, teid: t, forward: true})
	}
}

// valid says that the place has an address that GTP-U can use.
func (p *place) valid() bool {
	_, err := p.addr.Addr()
	return err == nil
}

// end reads the place, which is valid.
func (p *place) end() end {
	a, err := p.addr.Addr()
	if err != nil {
		return end{}
	}
	return end{a.Unmap(), p.teid.ID()}
}

// put writes an end into the place.
func (p *place) put(e end) {
	*p.addr, *p.teid = s1ap.FromAddr(e.addr), s1ap.FromTEID(e.teid)
}
