package mme

import (
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// arrival is where a handover brings a phone: a cell of the same eNB.
type arrival struct {
	mme s1ap.MMEUES1APID
	enb s1ap.ENBUES1APID
}

// move has the eNB move the phone, and ends when it has, or the connection is lost.
func (c *crash) move(begin func()) {
	c.h.service()
	var from s1ap.ENBUES1APID
	c.lock(func() {
		if from = c.h.enbID; c.e != nil && c.h.linked {
			begin()
		}
	})
	for range 30 {
		c.rest(500 * time.Millisecond)
		if c.h.is(func() bool { return c.h.enbID != from || !c.h.linked }) {
			return
		}
	}
}

// handOver is S1 handover (TS 36.413 §8.4.1), to another cell of the eNB.
func (c *crash) handOver() { c.e.send(c.h.required(c.e)) }

// switchPath is X2 handover (TS 36.413 §8.4.4), likewise.
func (c *crash) switchPath() {
	m := c.h.switchRequest(c.e)
	c.there = arrival{m.SourceMMEUES1APID, m.ENBUES1APID}
	c.e.send(m)
}

// moves is the eNB's part in handovers.
func (c *crash) moves(e *enbPeer, m s1ap.Message) {
	h := c.h
	switch m := m.(type) {
	case *s1ap.HandoverRequest:
		e.lastID++
		c.there = arrival{m.MMEUES1APID, e.lastID}
		h.teid++
		e.send(&s1ap.HandoverRequestAcknowledge{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: e.lastID, TargetToSourceTransparentContainer: []byte{1},
			ERABAdmittedList: s1ap.ERABAdmittedList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(e.addr), GTPTEID: s1ap.FromTEID(id.TEID(h.teid))}}})
	case *s1ap.HandoverCommand:
		if h.at(e, m.ENBUES1APID) {
			h.mmeID, h.enbID = c.there.mme, c.there.enb
			e.send(&s1ap.HandoverNotify{MMEUES1APID: h.mmeID, ENBUES1APID: h.enbID, EUTRANCGI: e.cell(), TAI: e.tai()})
		}
	case *s1ap.PathSwitchRequestAcknowledge:
		if h.linked && h.e == e && m.ENBUES1APID == c.there.enb {
			h.enbID = m.ENBUES1APID
		}
	}
}
