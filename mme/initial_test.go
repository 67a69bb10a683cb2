package mme

import (
	"encoding/hex"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
)

// TS 24.301 §5.4.3.2, §5.4.3.4: what a phone has asked in the clear is confirmed
// under protection. If it had been changed on its way the phone says what it
// really was, and gets that.
func TestAttachRequestChangedOnItsWay(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		real := p.attachRequest()
		real.DRX = eps.Some(eps.DRX{0, 0x60})
		changed := *real
		changed.DRX, changed.Type = eps.Opt[eps.DRX]{}, eps.AttachTypeCombined
		p.initial(&changed)
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		smc := p.secure()
		if !smc.HashMME.OK || smc.HashMME.V != hashOf(must(eps.Append(nil, &changed))) || smc.HashMME.V == hashOf(must(eps.Append(nil, real))) {
			t.Errorf("HashMME %v", smc.HashMME)
		}
		p.uplinkRaw(p.protect(&eps.SecurityModeComplete{ReplayedMessage: eps.Some(eps.EMMContainer(must(eps.Append(nil, real))))}, nassec.CipheredNewContext))
		p.information()
		if _, a := p.accepted(); a.Cause.OK { // of a combined attach
			t.Errorf("accepted is what somebody else has asked: %v", a)
		}
		p.uplink(real) // the same again, under protection (TS 24.301 §5.5.1.2.7 d)
		down[*eps.AttachAccept](p)
		p.setupResponse()
		p.complete()
		p.settled()
		p.idle()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		if m := p.e.page(); m.PagingDRX == nil {
			t.Error("the DRX parameter that the phone has asked for is not used")
		}
		w.counted("initial message changed on its way ok", 1)
	})
	// What does not fit is not taken, nor capabilities that are not those replayed.
	for name, c := range map[string]struct {
		message func(*phone) eps.Message
		refused bool
	}{
		"update":       {func(*phone) eps.Message { return &eps.TrackingAreaUpdateComplete{} }, false},
		"capabilities": {func(p *phone) eps.Message { p.cap = eps.NewUENetworkCapability(0, 1, 9); return p.attachRequest() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.initial(p.attachRequest())
				p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
				p.secure()
				raw := must(eps.Append(nil, c.message(p)))
				p.uplinkRaw(p.protect(&eps.SecurityModeComplete{ReplayedMessage: eps.Some(eps.EMMContainer(raw))}, nassec.CipheredNewContext))
				if c.refused {
					p.rejected(eps.EMMCauseUESecurityCapabilitiesMismatch)
					return
				}
				p.information()
				p.accepted()
			})
		})
	}
}

func hashOf(plain []byte) eps.HashMME {
	c := conn{proc: &procedure{asked: inbound{nas: &eps.AttachRequest{}, plain: plain}}}
	return c.hashMME().V
}

// A request under keys that the MME has needs no hash; one under keys of others does.
func TestHashMME(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.cap = eps.NewUENetworkCapability(0, 2, 10) // so that there is a Security Mode Command
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		if smc := p.secure(); smc.HashMME.OK {
			t.Errorf("%v", smc)
		}
		q := w.phone(e)
		q.guti, q.sec = &id.GUTI{GUMMEI: w.m.o.GUMMEI, TMSI: 77}, p.sec
		m := q.attachRequest()
		q.initial(m)
		q.sec = nil
		down[*eps.IdentityRequest](q)
		q.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(q.imsi)})
		q.uplink(q.answer(down[*eps.AuthenticationRequest](q)))
		if smc := q.secure(); smc.HashMME.V != hashOf(must(eps.Append(nil, m))) {
			t.Errorf("%v", smc)
		}
	})
	// HMAC-SHA-256 with a key of 32 zeros over "abc", by openssl; its last 8 octets.
	h := hashOf([]byte("abc"))
	if got := hex.EncodeToString(h[:]); got != "2ae7c5d091836351" {
		t.Errorf("%s", got)
	}
}
