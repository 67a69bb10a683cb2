package metrics

import (
	"cmp"
	"maps"
	"slices"

	"campanile.network/billing/meter"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/gateway"
	"campanile.network/hss-chain/hss"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/wire/gtpc"
)

// measured are the procedures that TS 32.426 measures: the name of the family
// here and there.
var measured = []struct{ procedure, name, says, spec string }{
	{"attach", "mm_eps_attach", "EPS attach procedures", "TS 32.426 §4.1.1, MM.EpsAttach"},
	{"detach", "mm_eps_detach_ue", "EPS detach procedures begun by phones", "TS 32.426 §4.1.2, MM.EpsDetachUe"},
	{"network detach", "mm_eps_detach_mme", "EPS detach procedures begun by the MME", "TS 32.426 §4.1.3, MM.EpsDetachMME"},
	{"tracking area update", "mm_tau_intra_sgw", "tracking area updates without change of serving gateway", "TS 32.426 §4.1.6, MM.TauIntraSgw"},
	{"paging", "mm_paging_eps", "EPS paging procedures", "TS 32.426 §4.1.7, MM.PagingEps"},
	{"service request", "mm_eps_service_req", "EPS service requests", "MM.EpsServiceReq"},
}

func (o out) mme(s mme.Stats) {
	outcomes := slices.SortedFunc(maps.Keys(s.Outcomes), func(a, b mme.Outcome) int {
		return cmp.Or(cmp.Compare(a.Procedure, b.Procedure), cmp.Compare(a.Cause, b.Cause))
	})
	for _, m := range measured {
		o.counter(m.name+"_att", "Attempted "+m.says+" ("+m.spec+"Att).", s.Begun[m.procedure])
		o.counter(m.name+"_succ", "Successful "+m.says+" ("+m.spec+"Succ).", s.Outcomes[mme.Outcome{Procedure: m.procedure}])
		for _, k := range outcomes {
			if k.Procedure == m.procedure && k.Cause != "" {
				o.counter(m.name+"_fail", "Failed "+m.says+" by what the phone was told or why they ended ("+m.spec+"Fail.Cause).", s.Outcomes[k], "cause", k.Cause)
			}
		}
	}
	o.gauge("mm_registered_sub", "Phones that are EMM-REGISTERED now (TS 32.426 §4.1.9, MM.RegisteredSubNbrMean is its mean).", float64(s.Registered))
	o.gauge("mme_phones", "Phones the MME knows, in any state.", float64(s.UEs))
	o.gauge("mme_connections", "Phones with an S1 connection (ECM-CONNECTED).", float64(s.Connected))
	o.gauge("mme_enbs", "S1 associations with S1 Setup done.", float64(s.ENBs))
	for _, k := range outcomes {
		o.counter("mme_procedures", "Procedures that have ended, by name and outcome: ok, or the cause told.", s.Outcomes[k], "procedure", k.Procedure, "outcome", cmp.Or(k.Cause, "ok"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Took)) {
		o.histogram("mme_procedure_duration", "How long procedures took that ended well.", s.Took[name], "procedure", name)
	}
	each(o, "mme_dropped", "Messages of eNBs and phones that were not acted on, by reason.", s.Dropped, same, "reason")
}

func (o out) gtpc(end string, s gtpc.Stats) {
	o.counter("gtpc_received_datagrams", "GTPv2-C datagrams received.", s.Received, "end", end)
	o.counter("gtpc_sent_datagrams", "GTPv2-C datagrams sent, repeated ones included.", s.Sent, "end", end)
	o.counter("gtpc_retransmitted_datagrams", "GTPv2-C requests sent again because no answer came (T3-RESPONSE).", s.Retransmitted, "end", end)
	each(o, "gtpc_dropped_datagrams", "GTPv2-C datagrams without effect, by reason.", s.Dropped, gtpc.Drop.String, "reason", "end", end)
}

func (o out) sctp(end string, s sctp.Stats) {
	o.gauge("sctp_associations", "SCTP associations that stand.", float64(s.Associations), "end", end)
	o.counter("sctp_established_associations", "SCTP associations that came to stand.", s.Established, "end", end)
	o.counter("sctp_ended_associations", "SCTP associations that ended.", s.Ended, "end", end)
	o.counter("sctp_restarted_associations", "SCTP associations that the peer began anew (RFC 9260 §5.2).", s.Restarted, "end", end)
	o.counter("sctp_received_packets", "SCTP packets received; 0 over the kernel's SCTP.", s.PacketsIn, "end", end)
	o.counter("sctp_sent_packets", "SCTP packets sent; 0 over the kernel's SCTP.", s.PacketsOut, "end", end)
	o.counter("sctp_retransmitted_chunks", "DATA chunks sent again.", s.ChunksRetransmitted, "end", end)
	each(o, "sctp_dropped", "What SCTP received and did not act on, by reason.", s.Dropped, same, "reason", "end", end)
}

func (o out) home(w *HomeWatch) {
	outcomes, took := w.stats()
	for _, k := range slices.SortedFunc(maps.Keys(outcomes), func(a, b homeOutcome) int {
		return cmp.Or(cmp.Compare(a.call, b.call), cmp.Compare(a.outcome, b.outcome))
	}) {
		o.counter("home_calls", "What the MME asked of subscribers' homes, by outcome.", outcomes[k], "call", k.call, "outcome", k.outcome)
	}
	for _, call := range slices.Sorted(maps.Keys(took)) {
		o.histogram("home_call_duration", "How long subscribers' homes took to answer the MME.", took[call], "call", call)
	}
}

func (o out) hss(s hss.Stats) {
	for _, c := range []struct {
		result string
		n      uint64
	}{{"challenge", s.Challenges}, {"proof", s.Proofs}, {"wrong RES", s.WrongRES}, {"resynchronisation", s.Resyncs}, {"refusal", s.Refused}} {
		o.counter("hss_answers", "What the authentication centre answered.", c.n, "answer", c.result)
	}
}

func (o out) gateway(s gateway.Stats) {
	o.gauge("gateway_sessions", "PDN sessions.", float64(s.Sessions))
	o.gauge("gateway_phones", "Phones with a session.", float64(s.UEs))
	o.gauge("gateway_leased_addresses", "Addresses of the pool in use or resting.", float64(s.Leases))
	o.gauge("gateway_dedicated_bearers", "Bearers beside the default ones.", float64(s.Dedicated))
	o.gauge("gateway_roaming_sessions", "Sessions whose SGW or PGW is another gateway.", float64(s.Remote))
	o.gauge("gateway_restored_sessions", "Sessions taken up at the start.", float64(s.Restored))
	o.gauge("gateway_store_failing", "1: what happens is not stored.", bit(s.StoreFailing != ""))
	for _, p := range s.Pools {
		for _, f := range []struct {
			family   string
			used, of int
		}{{"IPv4", p.IPv4Used, p.IPv4}, {"IPv6", p.IPv6Used, p.IPv6}} {
			if f.of > 0 {
				o.gauge("gateway_pool_used", "Addresses, or prefixes, that phones have.", float64(f.used), "apn", p.APN.String(), "family", f.family)
				o.gauge("gateway_pool_size", "Addresses, or prefixes, that there are.", float64(f.of), "apn", p.APN.String(), "family", f.family)
			}
		}
	}
	each(o, "gateway_not_paged", "Downlink data that the MME was not told of, by reason.", s.NotTold, same, "reason")
	o.gauge("gateway_unreported_segments", "Closed segments that billing has not taken.", float64(s.Unreported))
	o.counter("gateway_lost_records", "Usage records given up.", s.Lost)
	each(o, "gateway_refusals", "S11 requests refused, by GTPv2 cause.", s.Refused, gtpc.Cause.String, "cause")
	o.gtpc("gateway", s.S11)
	o.counter("gateway_forwarded_packets", "User packets forwarded.", s.Path.ULPackets, "direction", "uplink")
	o.counter("gateway_forwarded_packets", "User packets forwarded.", s.Path.DLPackets, "direction", "downlink")
	o.gauge("gateway_bearers", "Bearers of the data path.", float64(s.Path.Bearers))
	o.gauge("gateway_buffered_packets", "Packets that wait for idle phones.", float64(s.Path.Buffered))
	o.counter("gateway_error_indications", "GTP-U Error Indications sent.", s.Path.ErrorIndications)
	each(o, "gateway_dropped_packets", "User packets not forwarded, by reason.", drops(s.Path.Dropped), same, "reason")
}

func (o out) path(p Path) {
	mode := ""
	if p.Fast != nil {
		mode = p.Fast.Mode.String()
	}
	o.gauge("gateway_data_path", "What moves user packets; always 1.", 1, "kind", p.Kind, "mode", mode)
	if f := p.Fast; f != nil {
		o.counter("gateway_fast_packets", "User packets forwarded by the packet programs (data path xdp).", f.ULPackets, "direction", "uplink")
		o.counter("gateway_fast_packets", "User packets forwarded by the packet programs (data path xdp).", f.DLPackets, "direction", "downlink")
		o.counter("gateway_passed_packets", "User packets that the packet programs left to the slow path.", f.ULPassed, "direction", "uplink")
		o.counter("gateway_passed_packets", "User packets that the packet programs left to the slow path.", f.DLPassed, "direction", "downlink")
		o.counter("gateway_redirected_frames", "Frames of the packet programs that drivers took (mode native).", f.Sent)
		o.counter("gateway_refused_frames", "Frames of the packet programs that drivers did not take, and that were refunded (mode native).", f.Refused)
		o.counter("gateway_unmatched_reports", "Reports of drivers that fit no packet: the kernel keeps some from the programs, or these have a defect.", f.Unmatched)
	}
}

func (o out) meter(v meter.View) {
	for _, t := range v.Towers {
		k := t.Tower.String()
		for _, c := range []struct {
			by     string
			octets meter.Counts
		}{{"gateway", t.Gateway}, {"tower", t.Measured}} {
			o.counter("billing_octets", "Inner IP octets as gateway and tower counted them.", c.octets.UL, "by", c.by, "direction", "uplink", "tower", k)
			o.counter("billing_octets", "Inner IP octets as gateway and tower counted them.", c.octets.DL, "by", c.by, "direction", "downlink", "tower", k)
		}
		o.counter("billing_counted_octets", "Octets that count: arrived, under a ticket.", t.Counted.Bytes, "tower", k)
		o.counter("billing_counted_voice_seconds", "Seconds of calls that count.", t.Counted.VoiceMs/1000, "tower", k)
		o.counter("billing_counted_messages", "Short messages that count.", t.Counted.Messages, "tower", k)
		o.gauge("billing_lag_octets", "Octets that count and are in no voucher yet.", float64(t.Lag.Bytes), "tower", k)
		o.gauge("billing_voucher_number", "Number of the newest voucher in its channel.", float64(t.Seq), "tower", k)
		o.gauge("billing_voucher_seen_number", "Number of the newest voucher the tower has confirmed.", float64(t.Seen), "tower", k)
		o.gauge("billing_tower_linked", "1: the tower's agent is connected.", bit(t.Connected), "tower", k)
		o.gauge("billing_trouble", "1: something stands in the way of signing vouchers.", bit(t.Trouble != ""), "tower", k)
	}
	for _, u := range v.Unsettled {
		o.counter("billing_unsettled_octets", "Octets nobody is charged for, by reason.", u.Counts.Sum(), "reason", string(u.Reason))
	}
}

func (o out) agent(v agent.View) {
	o.gauge("tower_linked", "1: this tower's agent is connected to the core.", bit(v.Connected))
	o.gauge("tower_serving", "1: the tower relays and opens bearers.", bit(v.Serving))
	o.counter("tower_octets", "Inner IP octets this tower counted.", v.UL, "direction", "uplink")
	o.counter("tower_octets", "Inner IP octets this tower counted.", v.DL, "direction", "downlink")
	o.gauge("tower_unpaid_octets", "Octets counted and in no voucher.", float64(v.Unpaid))
	o.gauge("tower_unpaid_limit_octets", "Unpaid octets at which the tower stops.", float64(v.Window))
	o.gauge("tower_voucher_number", "Number of the newest voucher this tower has.", float64(v.Seq))
	o.counter("tower_refused_vouchers", "Vouchers not believed.", v.Refused)
}

func (o out) relay(s relay.Stats) {
	o.gauge("relay_enbs", "Associations of eNBs with this tower's relay.", float64(s.ENBs))
	o.gauge("relay_tunnels", "User plane tunnels of the relay.", float64(s.Tunnels))
	o.counter("relay_octets", "Inner IP octets relayed, both directions.", s.Octets)
	o.counter("relay_packets", "User packets relayed, both directions.", s.Packets)
	o.counter("relay_refused_messages", "S1AP messages answered in the other end's stead.", s.Refused)
	o.counter("relay_broken_messages", "S1AP messages about tunnels that were not understood.", s.Broken)
	each(o, "relay_dropped_packets", "User packets not relayed, by reason.", s.Dropped, relay.Drop.String, "reason")
}

func (o out) ledger(l Ledger) {
	o.gauge("chain_height", "Newest block of the ledger here.", float64(l.Height))
	o.gauge("chain_block_timestamp_seconds", "Time of that block; 0: not known.", unix(l.At))
	if l.Own {
		o.gauge("chain_running", "1: consensus runs; 0: halted.", bit(l.Running))
		o.gauge("chain_validators", "Validators; 1 is a private ledger.", float64(l.Validators))
	}
}

// maxTowers bounds the series of towers; beyond, there are sums elsewhere.
const maxTowers = 1000

func (o out) towers(all []Tower) {
	for _, t := range all[:min(len(all), maxTowers)] {
		o.gauge("tower_info", "A tower of the ledger; always 1.", 1, "tower", t.Key, "name", t.Name, "enb", t.ENB)
		o.gauge("tower_on_air", "1: an eNB has set up S1 with this MME as the tower.", bit(t.OnAir), "tower", t.Key)
		o.gauge("tower_phones", "Phones connected through the tower.", float64(t.Phones), "tower", t.Key)
		if t.State != "" {
			o.gauge("tower_radio_state", "The state of its radio that the tower last said on the ledger; always 1.", 1, "tower", t.Key, "state", t.State)
			o.gauge("tower_radio_said_timestamp_seconds", "When the tower said so, by its clock.", unix(t.Said), "tower", t.Key)
			o.gauge("tower_radio_restarts", "How often its radio was started again, as the tower said.", float64(t.Restarts), "tower", t.Key)
		}
	}
}
