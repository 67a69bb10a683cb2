package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

const codeA, codeB, codeC id.MMECode = 0x1a, 0x1b, 0x1c

// taken is the authentication with which a phone is taken over: nothing that comes
// before it is protected, for the COUNTs of the keys of before may have been used.
func (p *phone) taken() {
	p.w.t.Helper()
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	if h := must(nassec.TypeOf(m.NASPDU)); h != nassec.Plain {
		p.w.t.Fatalf("a message under keys of before: header %d", h)
	}
	p.mmeID = m.MMEUES1APID
	p.uplink(p.answer(open[*eps.AuthenticationRequest](p, m.NASPDU)))
	p.secure()
	p.secured()
}

// renamed takes the GUTI that the phone gets in the connection.
func (p *phone) renamed(code id.MMECode) {
	p.w.t.Helper()
	m := down[*eps.GUTIReallocationCommand](p)
	g, _ := m.GUTI.GUTI()
	if g.GUMMEI.Code != code {
		p.w.t.Errorf("GUTI %v, want code %x", g, code)
	}
	p.guti = &g
	p.uplink(&eps.GUTIReallocationComplete{})
}

// begin is a service request whose context setup comes after a taking over.
func (p *phone) servedBy(code id.MMECode) {
	p.w.t.Helper()
	p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
	p.taken()
	m := expect[*s1ap.InitialContextSetupRequest](p.e)
	p.mmeID, p.kenb = m.MMEUES1APID, m.SecurityKey
	if want := p.sec.KeNB(0); s1ap.SecurityKey(want) != m.SecurityKey {
		p.w.t.Error("K_eNB is not of the new keys")
	}
	p.setupResponse()
	p.renamed(code)
	synctest.Wait()
}

// has checks that a member, and no other, has the phone, and that the gateway has its
// one session.
func (w *poolWorld) has(code id.MMECode, p *phone, state State) UEInfo {
	w.t.Helper()
	synctest.Wait()
	var found UEInfo
	for _, x := range w.members {
		if x.node == nil {
			continue
		}
		all := x.m.UEs()
		if (len(all) != 0) != (x.code == code) {
			w.t.Errorf("member %x has %+v", x.code, all)
		}
		if x.code == code && len(all) == 1 {
			found = all[0]
		}
	}
	s, _ := w.gw.only(w.world)
	if found.State != state || found.Address != s.Address || p.addr != s.Address.String() {
		w.t.Errorf("the phone is %v with %v, want %v with %v", found.State, found.Address, state, p.addr)
	}
	return found
}

// attached is a phone that is registered at a member, and idle.
func (w *poolWorld) attached(x *member, e *enbPeer) *phone {
	w.t.Helper()
	p := w.phone(e)
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	synctest.Wait()
	p.release()
	w.has(x.code, p, Idle)
	return p
}

// A member dies; its phone's service request comes to another, which has a copy: the
// SIM answers, the session goes on, the GUTI is another's, and so it is for a third
// when the second dies.
func TestPoolTakesOver(t *testing.T) {
	playPool(t, 3, nil, func(w *poolWorld) {
		a, b, c := w.members[codeA], w.members[codeB], w.members[codeC]
		e, f, g := a.tower(0x19b), b.tower(0x19b), c.tower(0x19b)
		p := w.attached(a, e)
		a.kill()
		p = p.at(f)
		p.servedBy(codeB)
		w.has(codeB, p, Connected)
		p.release()
		w.has(codeB, p, Idle)
		p.request() // it is this one's now
		p.setupResponse()
		synctest.Wait()
		p.release()
		b.kill()
		p = p.at(g)
		p.servedBy(codeC)
		w.has(codeC, p, Connected)
		p.release()
		a.revive() // from what it had: it learns
		b.revive()
		time.Sleep(20 * time.Second)
		w.has(codeC, p, Idle)
		p.request()
		p.setupResponse()
		w.has(codeC, p, Connected)
	})
}

// The same with an attach, and with an update without bearers, after which data for the
// phone are heard of by the new owner.
func TestPoolTakesOverAttachAndUpdate(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		a.kill()
		p = p.at(f)
		p.initial(p.updateRequest(eps.UpdateTA))
		p.taken()
		u := down[*eps.TrackingAreaUpdateAccept](p)
		if g, _ := u.GUTI.V.GUTI(); g.GUMMEI.Code != codeB {
			t.Errorf("GUTI %v", g)
		} else {
			p.guti = &g
		}
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		p.released()
		w.has(codeB, p, Idle)

		was := p.addr
		p.guti.GUMMEI.Code = codeA // a name that nobody has
		p.initial(p.attachRequest())
		down[*eps.IdentityRequest](p)
		p.sec = nil
		p.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(p.imsi)})
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := w.has(codeB, p, Connected); p.addr == was || i.IMSI != p.imsi {
			t.Errorf("%+v", i)
		}
	})
}

// A phone attaches by the GUTI of a member that is dead: the SIM answers once.
func TestPoolAttachByForeignGUTI(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		a.kill()
		asked := w.home.asked
		p = p.at(f)
		p.initial(p.attachRequest())
		p.taken()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		w.has(codeB, p, Connected)
		if p.guti.GUMMEI.Code != codeB || w.home.asked != asked+1 {
			t.Errorf("GUTI %v, the home was asked %d times", p.guti, w.home.asked-asked)
		}
	})
}

// Both live: the owner is asked, hands over, and forgets, also in connected mode.
func TestPoolOwnerHandsOver(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		p = p.at(f)
		p.servedBy(codeB)
		w.has(codeB, p, Connected)
		// And back, while the other has it in connected mode: its radio was lost.
		q := p.at(e)
		q.servedBy(codeA)
		if cause := p.released(); cause != s1ap.CauseNasNormalRelease.Cause() {
			t.Errorf("released with %v", cause)
		}
		w.has(codeA, q, Connected)
	})
}

// The link is cut, both live: the copy is used. When the link is back, the former
// owner learns, and ends nothing at the gateway.
func TestPoolSplit(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		w.cut(codeA, codeB)
		p.request() // the copy is late from here on
		p.setupResponse()
		synctest.Wait()
		p.release()
		synctest.Wait()
		p = p.at(f)
		p.servedBy(codeB)
		p.release()
		synctest.Wait()
		if len(a.m.UEs()) != 1 || len(b.m.UEs()) != 1 {
			t.Fatal("two have the phone until they speak")
		}
		w.heal(codeA, codeB)
		time.Sleep(15 * time.Second)
		w.has(codeB, p, Idle)
		if s := a.m.Stats(); s.Procedures["disowned ok"] != 1 {
			t.Errorf("%v", s.Procedures)
		}
		p.request()
		p.setupResponse()
		w.has(codeB, p, Connected)
	})
}

// Who only knows a phone's name gets nothing: #9, and its owner keeps it; so it does
// when the SIM, or the home, does not answer.
func TestPoolImpostor(t *testing.T) {
	for _, owner := range []string{"lives", "is dead"} {
		t.Run(owner, func(t *testing.T) {
			playPool(t, 2, nil, func(w *poolWorld) {
				a, b := w.members[codeA], w.members[codeB]
				e, f := a.tower(0x19b), b.tower(0x19b)
				p := w.attached(a, e)
				if owner == "is dead" {
					a.kill()
				}
				p = p.at(f)
				bad := must(p.sec.AppendServiceRequest(nil))
				bad[3] ^= 1
				p.initialRaw(bad)
				if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
					t.Errorf("%v", m)
				}
				p.released()

				p.initialRaw(must(p.sec.AppendServiceRequest(nil))) // heard on the radio, and sent by another
				down[*eps.AuthenticationRequest](p)
				p.uplink(&eps.AuthenticationResponse{RES: make([]byte, 8)})
				down[*eps.AuthenticationReject](p)
				p.released()

				w.home.set(true)
				p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
				if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseNetworkFailure {
					t.Errorf("%v", m)
				}
				p.released()
				w.home.set(false)
				synctest.Wait()
				if all := b.m.UEs(); len(all) != 0 {
					t.Errorf("the second has %+v", all)
				}
				if owner == "lives" {
					w.has(codeA, p, Idle)
				}
				p.servedBy(codeB)
				w.has(codeB, p, Connected)
			})
		})
	}
}

// A phone that switches off where nobody knows it is detached by what its owner had.
func TestPoolSwitchedOff(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		p = p.at(f)
		p.initial(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		synctest.Wait()
		w.gw.none(w.world)
		if s := a.m.Stats(); s.Registered != 0 {
			t.Errorf("%+v", s)
		}
		if s := b.m.Stats(); s.Registered != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A gateway that has lost the session of a phone that is taken over: it attaches.
func TestPoolSessionLost(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		a.kill()
		w.gw.mu.Lock()
		w.gw.sessions = map[*s11.Session]*testSession{}
		w.gw.mu.Unlock()
		p = p.at(f)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.taken()
		if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeReattach {
			t.Errorf("%v", m)
		}
	})
}
