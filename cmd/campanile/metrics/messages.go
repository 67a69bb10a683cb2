package metrics

import "campanile.network/sip/smsc"

func (o out) messages(s smsc.Stats) {
	each(o, "smsc_submissions", "Short messages that phones and apps sent, by what became of them: taken, or the RP cause.", s.Submitted, same, "outcome")
	o.counter("smsc_repeated_submissions", "Of these, repetitions of senders that had got no answer.", s.Repeated)
	o.counter("smsc_stored_messages", "Messages put on disk, each part and report for itself.", s.Kept)
	each(o, "smsc_attempts", "Attempts to deliver, by path or what stood in the way.", s.Attempts, same, "outcome")
	each(o, "smsc_finished_messages", "Messages that are over: delivered, failed, or given up.", s.Finished, same, "outcome")
	o.counter("smsc_alerts", "Phones that announced themselves when something waited for them.", s.Alerts)
	o.counter("smsc_dropped_reports", "Status reports for senders for whom too much waited.", s.ReportsDropped)
	o.gauge("smsc_waiting_messages", "Messages that wait.", float64(s.Waiting))
	o.gauge("smsc_waiting_phones", "Phones and numbers for which something waits.", float64(s.Boxes))
	o.gauge("smsc_oldest_wait_seconds", "How long the oldest message has waited.", s.Oldest.Seconds())
	o.gauge("smsc_store_failing", "1: nothing can be written, and none are taken.", bit(s.Failing != ""))
}
