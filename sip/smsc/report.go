package smsc

import (
	"time"

	"campanile.network/3gpp/sms"
)

// report makes the status report of what became of a message, if its sender is to
// have one (TS 23.040 §9.2.2.3), with its place reserved; nothing when too much
// waits for the sender.
func (c *Centre) report(m *message, now time.Time, s sms.Status) []draft {
	if !m.Report || m.From == "" || m.Wants != 0 && !m.Wants.Wants(s.Outcome()) {
		return nil
	}
	return c.statusReport(m.From, &sms.StatusReport{Reference: m.MR, Recipient: m.dest(), Timestamp: c.stamp(m.Stamp), Discharge: c.stamp(now.Unix()), Status: s}, now)
}

func (c *Centre) statusReport(to boxID, r *sms.StatusReport, now time.Time) []draft {
	tpdu, err := sms.Append(nil, r)
	if err != nil {
		c.log.Error("status report not made", "error", err)
		return nil
	}
	d := draft{message: &message{Key: newKey(), Box: to, TPDU: tpdu, IsReport: true, Stamp: now.Unix(), Expires: now.Add(c.o.Limits.Validity).Unix()}}
	if err := c.reserve(now, []draft{d}); err != nil {
		c.log.Info("status report dropped", "to", masked(to), "error", err)
		c.mu.Lock()
		c.count.ReportsDropped++
		c.mu.Unlock()
		return nil
	}
	return []draft{d}
}
