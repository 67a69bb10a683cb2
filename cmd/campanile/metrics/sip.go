package metrics

import (
	"strconv"

	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/tally"
	"campanile.network/wire/sip/txn"
)

// SIP is what the SIP gateway counts.
type SIP struct {
	Gateway  sipgw.Stats
	Stations []sipgw.StationStatus
	Calls    calls.Stats
	Media    media.Stats
	Tally    tally.Stats
	Wire     txn.Stats
}

func (o out) sip(s SIP) {
	for kind, n := range s.Gateway.Registered {
		o.gauge("sip_registrations", "Registrations that stand, by kind of phone or app.", float64(n), "kind", kind)
	}
	for _, st := range s.Stations {
		o.gauge("sip_station_phones", "Phones that are registered at a base station.", float64(st.Phones), "station", st.Name)
		if !st.Heard.IsZero() {
			o.gauge("sip_station_heard_timestamp_seconds", "When a base station was heard last.", float64(st.Heard.Unix()), "station", st.Name)
		}
	}
	each(o, "sip_requests", "SIP requests, by method.", s.Gateway.Requests, same, "method")
	for status, n := range s.Gateway.Answers {
		o.counter("sip_answers", "SIP answers of the registrar, by status; those of calls are not among them.", n, "status", strconv.Itoa(status))
	}
	o.counter("sip_successful_registrations", "Registrations that succeeded.", s.Gateway.Registrations)
	o.counter("sip_ended_registrations", "Registrations that expired or were taken back.", s.Gateway.Ended)
	each(o, "sip_refused_registrations", "Registrations that were refused, by status and cause of TS 24.008.", s.Gateway.Refusals, same, "cause")
	o.counter("sip_challenges", "Challenges that were sent.", s.Gateway.Challenged)
	o.counter("sip_distrusted_requests", "Requests of strangers whose private header fields were taken away.", s.Gateway.Distrusted)
	o.counter("sip_foreign_cells", "Requests of a base station that named a cell of others.", s.Gateway.OtherCell)
	o.counter("sip_strange_phones", "Requests of a base station for a phone that is not registered there.", s.Gateway.Strangers)
	each(o, "sip_messages_refused", "Short messages by SIP that were not taken, by direction and why; those to phones are tried again.", s.Gateway.Refused, same, "outcome")
	o.counter("sip_messages_taken", "Short messages of phones and apps by SIP that the message centre took.", s.Gateway.MessagesIn)
	o.counter("sip_ussd_requests", "What phones dialled with * and #.", s.Gateway.USSD)

	o.gauge("sip_calls", "Calls that are on.", float64(s.Calls.Calls))
	o.counter("sip_begun_calls", "Calls that were let in.", s.Calls.Begun)
	o.counter("sip_answered_calls", "Calls that were answered.", s.Calls.Answered)
	each(o, "sip_ended_calls", "Calls that ended, by how.", s.Calls.Ended, same, "how")
	o.counter("sip_spoken_seconds", "How long was spoken, all calls together.", uint64(s.Calls.Voice.Seconds()))
	o.counter("sip_handovers", "Calls that went on at another cell.", s.Calls.Handovers)
	for _, t := range s.Calls.Trunks {
		o.gauge("sip_trunk_up", "1: calls can go out by the trunk.", bit(t.Up), "trunk", t.Name)
		o.gauge("sip_trunk_calls", "Calls by the trunk.", float64(t.Calls), "trunk", t.Name)
	}
	o.gauge("sip_speech_sessions", "Calls whose speech is relayed.", float64(s.Media.Sessions))
	o.counter("sip_speech_packets", "Packets of speech, by direction.", s.Media.In.Packets, "direction", "in")
	o.counter("sip_speech_packets", "Packets of speech, by direction.", s.Media.Out.Packets, "direction", "out")
	for i, n := range s.Media.Dropped {
		o.counter("sip_speech_dropped", "Packets of speech that were dropped, by reason.", n, "reason", media.Drop(i).String())
	}
	o.gauge("sip_untold_stays", "Stays of phones at GSM cells that billing does not know as they are.", float64(s.Tally.Untold))

	o.counter("sip_wire_messages", "SIP messages on the wire.", s.Wire.Received, "direction", "in")
	o.counter("sip_wire_messages", "SIP messages on the wire.", s.Wire.Sent, "direction", "out")
	o.counter("sip_wire_repeated", "SIP messages that came again, or were sent again by a timer.", s.Wire.Retransmissions, "direction", "in")
	o.counter("sip_wire_repeated", "SIP messages that came again, or were sent again by a timer.", s.Wire.Repeated, "direction", "out")
	o.counter("sip_wire_shed", "Requests that were refused with 503 because there were too many.", s.Wire.Shed)
	o.counter("sip_wire_dropped", "Requests and errors that got no answer.", s.Wire.Dropped)
	each(o, "sip_wire_malformed", "SIP messages that could not be read, by where.", s.Wire.Malformed, same, "where")
	o.gauge("sip_transactions", "SIP transactions that are under way.", float64(s.Wire.Transactions))
}
