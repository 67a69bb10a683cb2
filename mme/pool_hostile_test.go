package mme

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// What a member says of a phone that it should not, or that this MME does not understand, costs
// that phone an attach and nothing else: it goes to no other, and no session is left here.
func TestPoolMemberLies(t *testing.T) {
	unknown := []byte{200, 0, 1, 7} // a row of a newer campanile
	for _, c := range []struct {
		says    string
		change  func(own, other []byte) []byte
		outcome string
	}{
		{"a row more", func(own, _ []byte) []byte { return append(bytes.Clone(own), unknown...) }, "not read"},
		{"another version", func(own, _ []byte) []byte { return append([]byte{own[0] + 1}, own[1:]...) }, "not read"},
		{"half of it", func(own, _ []byte) []byte { return own[:len(own)/2] }, "not read"},
		{"another phone's", func(_, other []byte) []byte { return other }, "not its message"},
	} {
		t.Run(c.says, func(t *testing.T) {
			playPool(t, 2, nil, func(w *poolWorld) {
				a, b := w.members[codeA], w.members[codeB]
				e, f := a.tower(0x19b), b.tower(0x19b)
				p := w.attached(a, e)
				q := w.phone(e)
				q.attachAnew()
				q.release()
				synctest.Wait()
				other := a.m.known.byIMSI[q.imsi].record()
				w.tamper = func(record []byte) []byte { return c.change(record, other) }
				p = p.at(f)
				p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
				if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
					t.Errorf("%v", m)
				}
				p.released()
				synctest.Wait()
				if n := b.m.Stats().Procedures["take over "+c.outcome]; n != 1 {
					t.Errorf("%v", b.m.Stats().Procedures)
				}
				if len(b.m.UEs()) != 0 || len(a.m.UEs()) != 2 || len(w.gw.all()) != 2 {
					t.Errorf("phones %d and %d, sessions %d", len(a.m.UEs()), len(b.m.UEs()), len(w.gw.all()))
				}
			})
		})
	}
}

// While two members do not hear each other both have a phone that goes to and fro; no
// K_eNB comes twice, and nothing is sent under keys of before. When they do, the one
// to which it came last has it, and the other ends nothing of it at the gateway.
func TestPoolPartition(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		used := map[s1ap.SecurityKey]bool{p.kenb: true}
		fresh := func() {
			t.Helper()
			if used[p.kenb] {
				t.Error("K_eNB is used again")
			}
			used[p.kenb] = true
		}
		p.request()
		fresh()
		p.setupResponse()
		synctest.Wait()
		p.release()
		synctest.Wait()
		w.cut(codeA, codeB)
		for range 3 {
			p = p.at(f)
			if p.guti.GUMMEI.Code == codeA {
				p.servedBy(codeB) // by the copy, or by what it itself had
				fresh()
				p.release()
				synctest.Wait()
			}
			heard := must(p.sec.AppendServiceRequest(nil)) // on the radio, and sent again where it was before
			p = p.at(e)
			p.initialRaw(heard)
			if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
				t.Errorf("%v", m)
			}
			p.released()
			p.attachAnew()
			fresh()
			p.release()
			synctest.Wait()
			if p.guti.GUMMEI.Code != codeA || len(a.m.UEs()) != 1 {
				t.Fatalf("GUTI %v; the first has %+v", p.guti, a.m.UEs())
			}
			// Its owner is away for the second, whose own record is of before: it attaches there, too.
			p = p.at(f)
			p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
			down[*eps.ServiceReject](p)
			p.released()
			p.attachAnew()
			fresh()
			p.release()
			synctest.Wait()
		}
		asked := len(w.gw.said)
		w.heal(codeA, codeB)
		time.Sleep(20 * time.Second)
		w.has(codeB, p, Idle)
		if more := w.gw.said[asked:]; len(more) != 0 {
			t.Errorf("the gateway was asked %v", more)
		}
		p.request()
		fresh()
		p.setupResponse()
		w.has(codeB, p, Connected)
	})
}

// attachAnew attaches by the GUTI that the network has just refused, with the IMSI.
func (p *phone) attachAnew() {
	p.w.t.Helper()
	p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	synctest.Wait()
}

// A member whose clock is ahead has had a phone that attaches at another, by its IMSI: that has
// it nevertheless.
func TestPoolClockAhead(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		u := a.m.known.byIMSI[p.imsi]
		a.m.known.mu.Lock()
		u.epoch += uint64(time.Hour.Milliseconds())
		a.m.known.mu.Unlock()
		p.request()
		p.setupResponse()
		synctest.Wait()
		p.release()
		synctest.Wait()
		if s := b.node.Stats(); s.Members[0].Ahead < 50*time.Minute {
			t.Errorf("%+v", s)
		}
		p = p.at(f)
		p.attachAnew()
		w.has(codeB, p, Connected)
		p.release()
		w.cut(codeA, codeB)
		w.heal(codeA, codeB)
		time.Sleep(time.Minute)
		w.has(codeB, p, Idle)
	})
}

// A member that was killed while a phone was connected comes back when that is connected
// elsewhere: it asks nothing of the gateway that would end what the phone has there. One
// that hears nobody tidies up after a while.
func TestPoolTidiesLate(t *testing.T) {
	for _, hears := range []bool{true, false} {
		playPool(t, 2, nil, func(w *poolWorld) {
			a, b := w.members[codeA], w.members[codeB]
			e, f := a.tower(0x19b), b.tower(0x19b)
			p := w.attached(a, e)
			p.request()
			p.setupResponse()
			synctest.Wait()
			a.kill()
			if hears {
				p = p.at(f)
				p.servedBy(codeB)
			} else {
				b.kill()
			}
			said := func() []string {
				w.gw.mu.Lock()
				defer w.gw.mu.Unlock()
				return slices.Clone(w.gw.said)
			}
			asked := len(said())
			a.revive()
			time.Sleep(heardWait - time.Second)
			if more := said()[asked:]; len(more) != 0 {
				t.Errorf("the gateway was asked %v at once", more)
			}
			time.Sleep(time.Minute)
			more := said()[asked:]
			if hears && len(more) != 0 || !hears && !slices.Contains(more, "release") {
				t.Errorf("members hear each other: %v; the gateway was asked %v", hears, more)
			}
			if hears {
				w.has(codeB, p, Connected)
			}
		})
	}
}

// A phone that is being tidied up when its new owner is heard of is that one's.
func TestPoolDisownedWhileTidied(t *testing.T) {
	playPool(t, 2, nil, func(w *poolWorld) {
		a, b := w.members[codeA], w.members[codeB]
		e, f := a.tower(0x19b), b.tower(0x19b)
		p := w.attached(a, e)
		p.request()
		p.setupResponse()
		synctest.Wait()
		a.kill()
		p = p.at(f)
		p.servedBy(codeB)
		for code := range w.members {
			w.cut(codeA, code)
		}
		a.revive()
		w.gw.hush(true)
		time.Sleep(heardWait + time.Second)
		w.heal(codeA, codeB)
		time.Sleep(retryMost + time.Second)
		w.gw.hush(false)
		time.Sleep(time.Minute)
		w.has(codeB, p, Connected)
	})
}

const retryMost = 10 * time.Second // of package pool
