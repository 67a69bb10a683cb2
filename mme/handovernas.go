package mme

import (
	"bytes"
	"slices"

	"campanile.network/3gpp/s1ap"
)

// undelivered keeps a NAS message that the eNB gives back because the phone is
// on its way to another cell, if this MME has sent it lately: it goes again once
// the phone is there (TS 24.301 §5.4.1.6, §5.4.2.7, §5.4.3.7, §5.5.1.2.7,
// §5.5.3.2.7).
func (c *conn) undelivered(m *s1ap.NASNonDeliveryIndication) {
	switch m.Cause {
	case s1ap.CauseRadioNetworkX2HandoverTriggered.Cause(), s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause():
	default:
		return
	}
	same := func(b []byte) bool { return bytes.Equal(b, m.NASPDU) }
	if len(c.missed) < len(c.said) && slices.ContainsFunc(c.said[:], same) && !slices.ContainsFunc(c.missed, same) {
		c.missed = append(c.missed, bytes.Clone(m.NASPDU))
	}
}

// redeliver sends again what was not delivered, as it was: the phone has not seen
// its NAS COUNT.
func (c *conn) redeliver() error {
	again := c.missed
	c.missed = nil
	for _, pdu := range again {
		if err := c.transport(pdu); err != nil {
			return err
		}
	}
	return nil
}
