package mme

import (
	"bytes"
	"slices"

	"campanile.network/3gpp/s1ap"
)

// undelivered judges a NAS message that the eNB gives back (TS 36.413 §8.6.2.4). If it
// is because the phone is on its way to another cell, and this MME has sent it lately,
// it goes again once the phone is there (TS 24.301 §5.4.1.6, §5.4.2.7, §5.4.3.7,
// §5.5.1.2.7, §5.5.3.2.7). If the phone cannot be heard any more that is a failure of
// the lower layer, and what is under way ends (§5.4.1.6 a, §5.4.2.7 a, §5.4.3.7 a,
// §5.4.4.6 a, §5.5.1.2.7 a, §5.5.2.3.5, §5.5.3.2.7 a). After anything else the
// procedure's timer repeats.
func (c *conn) undelivered(m *s1ap.NASNonDeliveryIndication) error {
	c.m.count.procedure("NAS non delivery", m.Cause.String())
	switch m.Cause {
	case s1ap.CauseRadioNetworkX2HandoverTriggered.Cause(), s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause():
	case s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause(), s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause():
		return &released{m.Cause}
	default:
		return nil
	}
	same := func(b []byte) bool { return bytes.Equal(b, m.NASPDU) }
	if len(c.missed) < len(c.said) && slices.ContainsFunc(c.said[:], same) && !slices.ContainsFunc(c.missed, same) {
		c.missed = append(c.missed, bytes.Clone(m.NASPDU))
	}
	return nil
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
