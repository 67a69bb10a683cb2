package smsc

import (
	"context"
	"fmt"
	"time"

	"campanile.network/3gpp/sms"
	"campanile.network/internal/vault"
)

// command does what an SMS-COMMAND says about a message of the sender that waits
// (TS 23.040 §9.2.3.19).
func (c *Centre) command(ctx context.Context, from Sender, m *sms.Command, k *mark) error {
	if err := c.admit(from, 1, m.PID); err != nil {
		return err
	}
	now, box := time.Now(), phoneBox(from.IMSI)
	k.Stamp = now.Unix()
	r, err := c.find(ctx, m.Destination)
	if err != nil {
		return err
	}
	q, mine := c.hold(r.box, box, m)
	if mine {
		defer c.unhold(q)
	}
	report := &sms.StatusReport{ForCommand: true, Reference: m.Reference, Recipient: m.Destination, Timestamp: c.stamp(k.Stamp), Discharge: c.stamp(now.Unix()),
		Status: sms.StatusDoesNotExist}
	if q != nil {
		report.Timestamp, report.Status = c.stamp(q.Stamp), sms.StatusTryingNoResponse
	}
	writes := []vault.Write{k.write()}
	switch m.Type {
	case sms.CommandEnquiry:
		m.StatusReport = true // it is what is asked for
	case sms.CommandDelete, sms.CommandCancelReport, sms.CommandEnableReport:
		switch {
		case q == nil:
			return refuse(sms.RPCauseTransferRejected, sms.FailureCannotBeActioned, "no such message waits")
		case !mine:
			return refuse(sms.RPCauseTransferRejected, sms.FailureCannotBeActioned, "the message is under way")
		}
		q.Report = m.Type == sms.CommandEnableReport
		if m.Type == sms.CommandDelete { // whose report is the command's
			report.Status = sms.StatusDeletedByOriginator
			c.finish(q, report.Status)
		} else {
			writes = append(writes, q.write())
		}
	default:
		return refuse(sms.RPCauseFacilityNotImplemented, sms.FailureCommandUnsupported, fmt.Sprintf("command %v", m.Type))
	}
	var drafts []draft
	if m.StatusReport {
		drafts = c.statusReport(box, report, now)
		for _, d := range drafts {
			writes = append(writes, d.write())
		}
	}
	if err := c.store.Apply(c.disk, writes); err != nil {
		c.release(drafts)
		return err
	}
	c.enter(drafts)
	return nil
}

// hold finds the message that a command means, and keeps it from being sent; not
// mine: it is being sent.
func (c *Centre) hold(in, from boxID, m *sms.Command) (q *message, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q = c.box(in).held(from, m.Number, m.Destination)
	if q == nil || q.beingSent {
		return q, false
	}
	q.beingSent = true
	return q, true
}

// unhold lets a message be sent.
func (c *Centre) unhold(m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.beingSent = false
	c.kick(c.box(m.Box))
}
