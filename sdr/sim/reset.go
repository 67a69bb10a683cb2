package sim

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
)

// Reset releases the phones named, or all without any, and tells the MME
// (TS 36.413 §8.7.1.2.2). It returns when the MME has acknowledged. One Reset
// runs at a time.
func (e *ENB) Reset(ctx context.Context, phones ...*Phone) error {
	cause := s1ap.CauseMiscOmIntervention.Cause()
	m := &s1ap.Reset{Cause: cause, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}}
	if len(phones) > 0 {
		m.ResetType = s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface}
	}
	e.mu.Lock()
	var gone []*conn
	for _, c := range e.conns {
		if len(phones) > 0 {
			if !c.isOf(phones) {
				continue
			}
			item := s1ap.UEAssociatedLogicalS1ConnectionItem{ENBUES1APID: new(s1ap.ENBUES1APID(c.id))}
			if mme := c.mmeID(); mme != 0 {
				item.MMEUES1APID = new(s1ap.MMEUES1APID(mme))
			}
			m.ResetType.PartOfS1Interface = append(m.ResetType.PartOfS1Interface, item)
		}
		gone = append(gone, c)
	}
	for _, c := range gone {
		delete(e.conns, c.id)
	}
	e.mu.Unlock()
	if len(phones) > 0 && len(gone) == 0 {
		return errors.New("sim: reset of phones that have no connection here")
	}
	select {
	case <-e.acked: // of an earlier one that came too late
	default:
	}
	if err := e.send(streamCommon, m); err != nil {
		return err
	}
	for _, c := range gone {
		c.release(&Released{cause})
	}
	select {
	case <-e.acked:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sim: no RESET ACKNOWLEDGE: %w", ctx.Err())
	}
}

// Indicate sends an Error Indication that names a phone's connection, and lets
// the connection go, as srsenb does when it does not know it (TS 36.413 §10.6).
func (e *ENB) Indicate(p *Phone, cause s1ap.Cause) error {
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c == nil || c.e != e {
		return errors.New("sim: Error Indication about a phone that has no connection here")
	}
	m := &s1ap.ErrorIndication{ENBUES1APID: new(s1ap.ENBUES1APID(c.id)), Cause: &cause}
	if mme := c.mmeID(); mme != 0 {
		m.MMEUES1APID = new(s1ap.MMEUES1APID(mme))
	}
	err := e.send(c.stream, m)
	e.drop(c)
	return err
}

// reset releases what the MME names and acknowledges (TS 36.413 §8.7.1.2.1).
func (e *ENB) reset(m *s1ap.Reset) {
	e.stats.Resets.Add(1)
	if e.o.SRSENB {
		return
	}
	ack := &s1ap.ResetAcknowledge{}
	e.mu.Lock()
	var gone []*conn
	if m.ResetType.Choice == s1ap.ResetTypeChoicePartOfS1Interface {
		for _, item := range m.ResetType.PartOfS1Interface {
			ack.UEAssociatedLogicalS1ConnectionListResAck = append(ack.UEAssociatedLogicalS1ConnectionListResAck,
				s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: item.MMEUES1APID, ENBUES1APID: item.ENBUES1APID})
			for _, c := range e.conns {
				if c.isItem(&item) {
					gone = append(gone, c)
				}
			}
		}
	} else {
		for _, c := range e.conns {
			gone = append(gone, c)
		}
	}
	for _, c := range gone {
		delete(e.conns, c.id)
	}
	e.mu.Unlock()
	e.send(streamCommon, ack)
	for _, c := range gone {
		c.release(&Released{m.Cause})
	}
}

// isItem says that an item of a Reset names the connection: by every id it has.
func (c *conn) isItem(i *s1ap.UEAssociatedLogicalS1ConnectionItem) bool {
	switch {
	case i.ENBUES1APID != nil && c.id != id.ENBUEID(*i.ENBUES1APID):
		return false
	case i.MMEUES1APID != nil:
		return c.named(*i.MMEUES1APID)
	}
	return i.ENBUES1APID != nil
}

func (c *conn) isOf(phones []*Phone) bool {
	for _, p := range phones {
		if c.phone == p {
			return true
		}
	}
	return false
}

// errorIndication ends the connection it names (TS 36.413 §10.6); srsenb only
// logs it.
func (e *ENB) errorIndication(m *s1ap.ErrorIndication) {
	e.stats.ErrorIndications.Add(1)
	e.log.Warn("Error Indication", logs.Cause, m.Cause)
	if m.ENBUES1APID == nil || e.o.SRSENB {
		return
	}
	e.mu.Lock()
	c := e.conns[id.ENBUEID(*m.ENBUES1APID)]
	delete(e.conns, id.ENBUEID(*m.ENBUES1APID))
	e.mu.Unlock()
	if c != nil {
		cause := s1ap.CauseRadioNetworkUnspecified.Cause()
		if m.Cause != nil {
			cause = *m.Cause
		}
		c.release(&Released{cause})
	}
}
