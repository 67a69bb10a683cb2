package mme

import (
	"errors"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// LocationMode is what is to be reported of where a phone is (TS 36.413 §9.2.1.34).
type LocationMode uint8

// The modes.
const (
	LocateOnce   LocationMode = iota // the cell, now
	LocateMoves                      // each change of cell, until LocateNoMore or the phone is idle
	LocateNoMore                     // ends LocateMoves
)

// Reasons for which a phone is not located.
var (
	ErrNoPhone      = errors.New("mme: no such phone is here")
	ErrNotConnected = errors.New("mme: the phone is idle: it is where UEInfo says, or elsewhere in its tracking areas")
)

// LocationReported says where an eNB says that a phone is, asked by Locate.
type LocationReported struct {
	UE     UEInfo
	Cell   id.ECGI
	TAI    id.TAI
	Mode   LocationMode // that it was asked with
	Failed string       // the cause for which the eNB reports nothing; empty: it does
}

func (LocationReported) event() {}

// locate is an order of Locate.
type locate struct{ mode LocationMode }

// Locate asks the eNB of a phone in connected mode where it is (TS 36.413 §8.11.1);
// answers come as LocationReported. It does not wait. An idle phone is not disturbed:
// ErrNotConnected.
func (m *MME) Locate(imsi id.IMSI, mode LocationMode) error {
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	var owner *conn
	if u != nil {
		owner = u.owner
	}
	m.known.mu.Unlock()
	switch {
	case u == nil:
		return ErrNoPhone
	case owner == nil || owner.in.put(inbound{msg: locate{mode}}, true) != putOK:
		return ErrNotConnected
	}
	return nil
}

// askLocation is Location Reporting Control (TS 36.413 §8.11.1).
func (c *conn) askLocation(mode LocationMode) error {
	if c.leg == nil {
		return nil
	}
	event := map[LocationMode]s1ap.EventType{LocateOnce: s1ap.EventTypeDirect, LocateMoves: s1ap.EventTypeChangeOfServeCell, LocateNoMore: s1ap.EventTypeStopChangeOfServeCell}
	return c.toENB(&s1ap.LocationReportingControl{MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID),
		RequestType: s1ap.RequestType{EventType: event[mode], ReportArea: s1ap.ReportAreaEcgi}})
}

// reported takes a Location Report (TS 36.413 §8.11.3).
func (c *conn) reported(m *s1ap.LocationReport) {
	tai, err := m.TAI.ID()
	cell, err2 := m.EUTRANCGI.ID()
	if err != nil || err2 != nil {
		c.m.count.drop(dropSyntax)
		return
	}
	c.leg.seen(tai, cell)
	mode := LocateOnce
	if m.RequestType.EventType != s1ap.EventTypeDirect {
		mode = LocateMoves
	}
	i := c.ue.show(func(i *UEInfo) { i.Cell, i.TAI = cell, tai })
	c.m.count.procedure("location report", "")
	c.m.o.Events(LocationReported{UE: i, Cell: cell, TAI: tai, Mode: mode})
}

// notReported takes a Location Reporting Failure Indication (TS 36.413 §8.11.2).
func (c *conn) notReported(m *s1ap.LocationReportingFailureIndication) {
	c.m.count.procedure("location report", "S1AP cause "+m.Cause.String())
	c.m.o.Events(LocationReported{UE: c.ue.show(nil), Failed: m.Cause.String()})
}
