package mme

import (
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// handset is a phone that does by itself what TS 24.301 asks: it answers, and
// repeats what it wants by its timers until it has it. Its fields are guarded by
// crash.mu; what it is told to do blocks until it is done.
type handset struct {
	*phone
	c     *crash
	wake  chan struct{} // holds one token when something has changed
	start nassec.Count  // uplink COUNT that K_eNB derives from

	has        map[id.EBI]string // bearers besides the first, with the address of default ones
	registered bool
	linked     bool // it has an S1 connection
	connected  bool // with bearers
	secure     bool // secure exchange is established on it
	updated    bool
	detached   bool
	gone       bool // without a word
	refused    eps.EMMCause
}

func (h *handset) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *handset) is(f func() bool) (v bool) {
	h.c.lock(func() { v = f() })
	return v
}

// at says whether a message is for the phone's S1 connection.
func (h *handset) at(e *enbPeer, n s1ap.ENBUES1APID) bool {
	return h.linked && !h.gone && h.e == e && h.enbID == n
}

// link begins an S1 connection.
func (h *handset) link(send func()) {
	h.linked, h.connected, h.secure = true, false, false
	send()
	if h.sec != nil {
		h.start = h.sec.UL() - 1
	}
}

// lose is a radio link that fails before the phone has bearers.
func (h *handset) lose() {
	h.c.lock(func() {
		if h.linked && !h.connected {
			h.hangUp()
		}
	})
}

func (h *handset) hangUp() {
	h.linked, h.connected = false, false
	if h.mmeID != 0 {
		h.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: h.mmeID, ENBUES1APID: h.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
	}
}

// inactive is release by inactivity.
func (h *handset) inactive() {
	h.until("release", 5*time.Second, func() {
		if h.linked {
			h.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: h.mmeID, ENBUES1APID: h.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		}
	}, func() bool { return !h.linked })
}

// again is T3411: when something that failed is tried again.
const again = 10 * time.Second

// until does something until it is done: again when its timer expires, the S1
// connection is lost, or the network refuses.
func (h *handset) until(what string, timer time.Duration, send func(), done func() bool) {
	t := h.c.w.t
	for range 100 {
		if h.is(func() bool { return h.gone }) {
			return
		}
		var up bool
		h.c.lock(func() {
			if up = h.c.e != nil; up && !done() {
				h.refused = 0
				send()
			}
		})
		expired := time.After(timer)
		for tried := up; tried; {
			if h.is(func() bool { return done() || h.gone }) {
				return
			}
			if h.is(func() bool { return h.refused != 0 || !h.linked }) {
				break
			}
			select {
			case <-h.wake:
			case <-expired:
				h.lose()
				tried = false
			}
		}
		if h.is(func() bool { return !h.registered && !done() && (what == "service request" || what == "update") }) {
			h.attach() // as the network has told it
			return
		}
		time.Sleep(again)
	}
	t.Errorf("%s: the phone gives up", what)
}

// attach is an attach, by GUTI and with protection if the phone has them.
func (h *handset) attach() {
	h.c.lock(func() { h.registered = false })
	h.until("attach", 15*time.Second, func() {
		if h.linked && h.connected {
			h.hangUp()
		}
		h.link(func() { h.initial(h.attachRequest()) })
	}, func() bool { return h.registered && h.connected })
}

// service is a service request.
func (h *handset) service() {
	h.until("service request", 5*time.Second, func() {
		if !h.linked {
			h.link(func() { h.initialRaw(must(h.sec.AppendServiceRequest(nil))) })
		}
	}, func() bool { return h.connected })
}

// update is a tracking area update from idle mode.
func (h *handset) update(kind eps.UpdateType) {
	h.c.lock(func() { h.updated = false })
	h.until("update", 15*time.Second, func() { h.link(func() { h.initial(h.updateRequest(kind)) }) },
		func() bool { return h.updated && (!kind.Active() || h.connected) })
}

// detach is detach by the phone.
func (h *handset) detach() {
	h.c.lock(func() { h.detached = false })
	h.until("detach", 15*time.Second, func() {
		h.link(func() {
			h.initial(&eps.DetachRequest{Type: eps.DetachEPS, KSI: h.ksi, Identity: eps.FromGUTI(*h.guti)})
		})
	}, func() bool { return h.detached })
	h.c.lock(func() { h.registered = false })
}

// switchOff says so once, and waits for nothing.
func (h *handset) switchOff() {
	h.c.lock(func() {
		h.link(func() {
			h.initial(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: h.ksi, Identity: eps.FromGUTI(*h.guti)})
		})
		h.registered, h.linked = false, false
	})
}

// context makes the context that a Security Mode Command announces.
func (h *handset) context(pdu []byte) *nassec.Context {
	smc := must(eps.Parse(eps.Downlink, must(nassec.ParseHeader(pdu)).Payload)).(*eps.SecurityModeCommand)
	return must(nassec.New(nassec.State{Role: nassec.Phone, KSI: uint8(smc.KSI), KASME: h.kasme,
		EEA: nassec.EEA(smc.Algorithms.Ciphering), EIA: nassec.EIA(smc.Algorithms.Integrity)}))
}

// hear is what the phone does with a NAS message.
func (h *handset) hear(pdu []byte) {
	if len(pdu) == 0 {
		return
	}
	plain := pdu
	switch must(nassec.TypeOf(pdu)) {
	case nassec.Plain:
	case nassec.IntegrityNewContext:
		h.command(pdu)
		return
	default:
		r, err := h.sec.Unprotect(nil, pdu)
		if err != nil {
			h.c.w.t.Errorf("the phone does not believe the MME: %v", err)
			return
		}
		plain, h.secure = r.Plain, true
	}
	h.obey(must(eps.Parse(eps.Downlink, plain)))
}

// command is a Security Mode Command.
func (h *handset) command(pdu []byte) {
	if h.sec == nil || h.sec.State().KASME != h.kasme {
		h.sec = h.context(pdu)
		h.ksi = eps.KSI(h.sec.KSI())
	}
	if _, err := h.sec.Unprotect(nil, pdu); err != nil {
		h.c.w.t.Errorf("Security Mode Command: %v", err)
		return
	}
	h.secure = true
	h.secured()
	h.start = h.sec.UL() - 1
}

// say answers, protected once exchange is secure (TS 24.301 §4.4.4.2).
func (h *handset) say(m eps.Message) {
	if h.secure {
		h.uplink(m)
		return
	}
	h.uplinkRaw(must(eps.Append(nil, m)))
}

func (h *handset) obey(m eps.Message) {
	switch m := m.(type) {
	case *eps.AuthenticationRequest:
		was := h.ksi
		answer := h.answer(m)
		h.ksi = was // until the keys are taken into use
		h.say(answer)
	case *eps.IdentityRequest:
		h.say(&eps.IdentityResponse{Identity: eps.MobileIMSI(h.imsi)})
	case *eps.ESMInformationRequest:
		h.say(&eps.ESMInformationResponse{PTI: m.PTI})
	case *eps.AttachAccept:
		g, _ := m.GUTI.V.GUTI()
		bearer := must(eps.Parse(eps.Downlink, m.ESM)).(*eps.ActivateDefaultEPSBearerContextRequest)
		clear(h.has)
		h.guti, h.addr, h.registered = &g, bearer.Address.IPv4.String(), true
		h.say(&eps.AttachComplete{ESM: must(eps.Append(nil, &eps.ActivateDefaultEPSBearerContextAccept{EBI: 5}))})
	case *eps.TrackingAreaUpdateAccept:
		h.updated = true
		if g, ok := m.GUTI.V.GUTI(); ok {
			h.guti = &g
			h.say(&eps.TrackingAreaUpdateComplete{})
		}
	case *eps.GUTIReallocationCommand:
		g, _ := m.GUTI.GUTI()
		h.guti = &g
		h.say(&eps.GUTIReallocationComplete{})
	case *eps.NetworkDetachRequest:
		h.registered = false
		h.say(&eps.DetachAccept{})
	case *eps.DetachAccept:
		h.detached = true
	case *eps.AttachReject:
		h.refused = m.Cause
	case *eps.TrackingAreaUpdateReject:
		h.denied(m.Cause)
	case *eps.ServiceReject:
		h.denied(m.Cause)
	default:
		h.session(m)
	}
}

// denied is a reject of what only a registered phone asks.
func (h *handset) denied(cause eps.EMMCause) {
	h.refused = cause
	if !slices.Contains([]eps.EMMCause{eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, eps.EMMCauseImplicitlyDetached}, cause) {
		return
	}
	h.registered = false
	if !h.c.mayAttach {
		h.c.w.t.Errorf("a registered phone is to attach anew: %v", cause)
	}
	if cause == eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
		h.guti = nil
	}
}
