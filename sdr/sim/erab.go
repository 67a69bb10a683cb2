package sim

import (
	"errors"
	"net/netip"
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// errTwice says that the eNB has an E-RAB already.
var errTwice = errors.New("sim: multiple E-RAB ID instances")

// setupERABs is E-RAB Setup (TS 36.413 §8.2.1): bearers first, then their NAS
// messages; that of a bearer which fails does not reach the phone.
func (c *conn) setupERABs(m *s1ap.ERABSetupRequest) {
	c.touch()
	res := &s1ap.ERABSetupResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID}
	var nas [][]byte
	for i := range m.ERABToBeSetupListBearerSUReq {
		r := &m.ERABToBeSetupListBearerSUReq[i]
		b, err := c.add(r.ERABID, &r.TransportLayerAddress, r.GTPTEID)
		if err != nil {
			cause := s1ap.CauseTransportTransportResourceUnavailable.Cause()
			if errors.Is(err, errTwice) {
				cause = s1ap.CauseRadioNetworkMultipleERABIDInstances.Cause()
			}
			res.ERABFailedToSetupListBearerSURes = append(res.ERABFailedToSetupListBearerSURes, s1ap.ERABItem{ERABID: r.ERABID, Cause: cause})
			continue
		}
		res.ERABSetupListBearerSURes = append(res.ERABSetupListBearerSURes,
			s1ap.ERABSetupItemBearerSURes{ERABID: r.ERABID, TransportLayerAddress: s1ap.FromAddr(c.e.s1u()), GTPTEID: s1ap.FromTEID(b.local)})
		nas = append(nas, r.NASPDU)
	}
	c.e.send(c.stream, res)
	for _, n := range nas {
		c.phone.receive(c, n)
	}
}

// modifyERABs is E-RAB Modify (TS 36.413 §8.2.2).
func (c *conn) modifyERABs(m *s1ap.ERABModifyRequest) {
	c.touch()
	res := &s1ap.ERABModifyResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID}
	var nas [][]byte
	for i := range m.ERABToBeModifiedListBearerModReq {
		r := &m.ERABToBeModifiedListBearerModReq[i]
		if c.bearer(id.EBI(r.ERABID)) == nil {
			res.ERABFailedToModifyList = append(res.ERABFailedToModifyList, s1ap.ERABItem{ERABID: r.ERABID, Cause: s1ap.CauseRadioNetworkUnknownERABID.Cause()})
			continue
		}
		res.ERABModifyListBearerModRes = append(res.ERABModifyListBearerModRes, s1ap.ERABModifyItemBearerModRes{ERABID: r.ERABID})
		nas = append(nas, r.NASPDU)
	}
	c.e.send(c.stream, res)
	for _, n := range nas {
		c.phone.receive(c, n)
	}
}

// releaseERABs is E-RAB Release (TS 36.413 §8.2.3): the NAS message first, for the
// phone gives up bearers whose radio bearers go without one.
func (c *conn) releaseERABs(m *s1ap.ERABReleaseCommand) {
	c.touch()
	if len(m.NASPDU) > 0 {
		c.phone.receive(c, m.NASPDU)
	}
	res := &s1ap.ERABReleaseResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID}
	for i := range m.ERABToBeReleasedList {
		e := m.ERABToBeReleasedList[i].ERABID
		if c.remove(id.EBI(e)) {
			res.ERABReleaseListBearerRelComp = append(res.ERABReleaseListBearerRelComp, s1ap.ERABReleaseItemBearerRelComp{ERABID: e})
		} else {
			res.ERABFailedToReleaseList = append(res.ERABFailedToReleaseList, s1ap.ERABItem{ERABID: e, Cause: s1ap.CauseRadioNetworkUnknownERABID.Cause()})
		}
	}
	c.e.send(c.stream, res)
	c.phone.radio(c)
}

// add opens a bearer; the eNB must not have one of that identity.
func (c *conn) add(e s1ap.ERABID, addr *s1ap.TransportLayerAddress, teid s1ap.GTPTEID) (*bearer, error) {
	a, err := addr.Addr()
	if err != nil {
		return nil, err
	}
	ebi, err := id.MakeEBI(uint8(e))
	if err != nil {
		return nil, err
	}
	if c.bearer(ebi) != nil {
		return nil, errTwice
	}
	b := &bearer{ebi: ebi, remote: teid.ID(), gateway: netip.AddrPortFrom(a, c.e.o.GTPUPeerPort)}
	if c.e.user != nil {
		c.e.user.open(b, c)
	} else {
		b.local = id.TEID(c.id)<<4 | id.TEID(ebi)
	}
	c.mu.Lock()
	c.bearers = append(c.bearers, b)
	c.mu.Unlock()
	return b, nil
}

// bearer finds a bearer, nil if there is none.
func (c *conn) bearer(ebi id.EBI) *bearer {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.bearers, func(b *bearer) bool { return b.ebi == ebi })
	if i < 0 {
		return nil
	}
	return c.bearers[i]
}

// remove closes a bearer; false if there is none.
func (c *conn) remove(ebi id.EBI) bool {
	c.mu.Lock()
	i := slices.IndexFunc(c.bearers, func(b *bearer) bool { return b.ebi == ebi })
	if i < 0 {
		c.mu.Unlock()
		return false
	}
	b := c.bearers[i]
	c.bearers = slices.Delete(slices.Clone(c.bearers), i, i+1)
	c.mu.Unlock()
	if c.e.user != nil {
		c.e.user.shut(b)
	}
	return true
}

// s1u is the eNB's address on S1-U; without a user plane it is one at which nobody
// is, on whatever host: an MME need not take the unspecified address.
func (e *ENB) s1u() netip.Addr {
	if e.user == nil {
		return netip.AddrFrom4([4]byte{127, 255, 255, 254})
	}
	return e.o.GTPU.Addr()
}
