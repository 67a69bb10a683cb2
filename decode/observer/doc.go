// Package observer follows the NAS security of phones as a bystander who has
// keys: out of a challenge and K it derives K_ASME, takes the algorithms from
// the Security Mode Command, counts along, checks codes and deciphers
// (TS 33.401, TS 24.301 §4.4).
//
// Nothing is believed that a code does not prove: a key belongs to a phone
// because AUTN's or a message's code verifies under it. It is no party to the
// conversation: it hears both directions, may have missed a part, and what it
// finds is for people to read, never a reason to accept a message.
package observer

import (
	"fmt"
	"slices"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/xor"
	"campanile.network/decode/internal/recent"
)

// Bounds of what is remembered and tried.
const (
	maxPhones   = 16384 // known by S-TMSI or IMSI; the oldest give way
	maxKeys     = 8     // K_ASME candidates of a phone
	maxSearches = 4     // messages of a phone for which keys are tried that may be anybody's
	maxOverflow = 64    // NAS COUNT overflows tried there
	maxStrange  = 256   // phones whose contexts are tried there
)

// Options are what the observer knows beforehand.
type Options struct {
	Subscribers []Subscriber
	KASME       []secret.Key256
	PLMN        id.PLMN // serving network where the conversation does not tell, zero if not known
	// EEA and EIA are the algorithms of a conversation that begins behind its
	// Security Mode Command; nil if not known.
	EEA *nassec.EEA
	EIA *nassec.EIA
	// UL and DL are the lowest NAS COUNTs to expect there.
	UL, DL nassec.Count
}

// Subscriber is a SIM.
type Subscriber struct {
	IMSI   id.IMSI // zero: not known
	K, OPc secret.Key128
	XOR    bool // a test USIM: f1 to f5 of TS 34.108 §8.1.2, which have no OPc
}

// algorithm is that of the SIM.
func (s *Subscriber) algorithm() aka.Algorithm {
	if s.XOR {
		c, _ := xor.New(s.K, secret.MinRES) // a length that it takes; RES is not looked at
		return c
	}
	return milenage.New(s.K, s.OPc)
}

// Observer knows the phones of a conversation. It belongs to one goroutine.
type Observer struct {
	o      Options
	sims   []aka.Algorithm
	byTMSI *recent.Map[id.STMSI, *Phone]
	byIMSI *recent.Map[id.IMSI, *Phone]
	secure *recent.Map[*Phone, struct{}] // with a context, oldest first
}

// New makes an observer.
func New(o Options) *Observer {
	w := &Observer{o: o, byTMSI: recent.New[id.STMSI, *Phone](maxPhones), byIMSI: recent.New[id.IMSI, *Phone](maxPhones),
		secure: recent.New[*Phone, struct{}](maxStrange)}
	for _, s := range o.Subscribers {
		w.sims = append(w.sims, s.algorithm())
	}
	return w
}

// Keys reports whether there are any keys to work with.
func (w *Observer) Keys() bool { return len(w.sims)+len(w.o.KASME) > 0 }

// Phone is what is known of one phone.
type Phone struct {
	IMSI id.IMSI // zero: not known
	PLMN id.PLMN // of the network it talks to; zero: not known

	keys   []key    // candidates for K_ASME, newest last
	now    *context // in use
	before *context // that was, until the phone has taken the new one into use

	searches  int          // in vain
	connected nassec.Count // COUNT of the message that made it connected
	hasKeNB   bool         // connected is known
}

// key is a K_ASME with its identifier; anyKSI if that was not seen.
type key struct {
	kasme secret.Key256
	ksi   uint8
	from  string // for people: what it was derived from
}

const anyKSI = 0xff

// NewPhone is a phone of which nothing is known but the network it talks to.
func (w *Observer) NewPhone(plmn id.PLMN) *Phone { return &Phone{PLMN: plmn} }

// Find is the phone that was given an S-TMSI, nil if none was.
func (w *Observer) Find(s id.STMSI) *Phone {
	p, _ := w.byTMSI.Get(s)
	return p
}

// Secure reports whether a security context of p is known, with its key.
func (p *Phone) Secure() bool { return p.now != nil && p.now.mac != nil }

// KeNB reports whether k is the K_eNB of the phone's context and of the message
// that last made it connected, and the uplink COUNT of that (TS 33.401
// §7.2.6.1); known is false when one of them was not seen.
func (p *Phone) KeNB(k secret.Key256) (count nassec.Count, equal, known bool) {
	if !p.Secure() || !p.hasKeNB {
		return 0, false, false
	}
	return p.connected, p.now.kenb(p.connected).Equal(k), true
}

// challenge derives K_ASME for every SIM under which the code in AUTN is right
// and every network that may be serving.
func (w *Observer) challenge(p *Phone, r *eps.AuthenticationRequest) {
	for i, sim := range w.sims {
		_, ck, ik, ak := sim.F2345(r.RAND)
		var sqn [6]byte
		for j := range sqn {
			sqn[j] = r.AUTN[j] ^ ak[j]
		}
		if mac, _ := sim.F1(r.RAND, sqn, [2]byte(r.AUTN[6:8])); mac != [8]byte(r.AUTN[8:]) {
			continue
		}
		who := w.o.Subscribers[i].IMSI
		if p.IMSI.IsZero() {
			p.IMSI = who
		}
		for _, n := range w.networks(p, who) {
			p.addKey(key{kasmeOf(ck, ik, n, r), r.KSI.Value(), fmt.Sprintf("K and RAND, network %v", n)})
		}
		return
	}
}

// networks are those that may be serving p, the likeliest first.
func (w *Observer) networks(p *Phone, imsi id.IMSI) (all []id.PLMN) {
	candidates := []id.PLMN{w.o.PLMN, p.PLMN}
	if d := imsi.Digits(); len(d) > 6 {
		for _, n := range []int{5, 6} {
			home, err := id.ParsePLMN(d[:n])
			if err == nil {
				candidates = append(candidates, home)
			}
		}
	}
	for _, c := range candidates {
		if !c.IsZero() && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

func (p *Phone) addKey(k key) {
	same := func(o key) bool { return o.ksi == k.ksi && o.kasme.Equal(k.kasme) }
	p.keys = append(slices.DeleteFunc(p.keys, same), k)
	if len(p.keys) > maxKeys {
		p.keys = slices.Delete(p.keys, 0, 1)
	}
}

// candidates are the keys p may use under a key set identifier: newest first,
// then those given.
func (w *Observer) candidates(p *Phone, ksi uint8) (all []key) {
	for _, k := range slices.Backward(p.keys) {
		if ksi == anyKSI || k.ksi == ksi {
			all = append(all, k)
		}
	}
	for _, k := range w.o.KASME {
		all = append(all, key{k, ksi, "K_ASME as given"})
	}
	return all
}
