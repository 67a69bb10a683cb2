package hss

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/comp128"
	"campanile.network/wire/home"
	"campanile.network/wire/sip/digest"
)

// Algorithm is what a card computes with.
type Algorithm uint8

// The algorithms. A card of COMP128 is a SIM of GSM: it cannot be authenticated
// to LTE (TS 33.401 §6.1.1).
const (
	Milenage Algorithm = iota // TS 35.206, with K and OPc
	COMP128v1
	COMP128v2
	COMP128v3
)

var algorithmNames = [...]string{"milenage", "comp128v1", "comp128v2", "comp128v3"}

func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ParseAlgorithm reads what String writes.
func ParseAlgorithm(s string) (Algorithm, error) {
	for i, n := range algorithmNames {
		if strings.EqualFold(s, n) {
			return Algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("algorithm %q: want %s", s, strings.Join(algorithmNames[:], ", "))
}

// maxCOMP128v1 is how many challenges a card of version 1 gets of this node in
// its life. The attack on version 1 finds Ki from some 2^17 challenges that the
// attacker has chosen. Ours are drawn at random, which helps him little, but
// what can be overheard in all is to stay below that even where four nodes
// answer for the card. At one an hour it is three years and nine months.
const maxCOMP128v1 = 1 << 15

// capable says whether a subscriber's card can be asked this way.
func (h *HSS) capable(s *subscriber, m home.Method) error {
	switch {
	case m > home.GSM:
		return refusal(home.NotSubscribed, "%v is unknown", m)
	case s.Algorithm == Milenage:
		return nil
	case m != home.GSM:
		return refusal(home.NotSubscribed, "the card is a SIM of GSM")
	case s.Algorithm == COMP128v1 && !h.o.AllowCOMP128v1:
		return refusal(home.NotSubscribed, "the card computes COMP128v1, which gives its key away; change it, or allow it in [hss]")
	case s.Algorithm == COMP128v1 && s.spent >= maxCOMP128v1:
		return refusal(home.NotSubscribed, "the card computes COMP128v1 and has had its %d challenges; change it", maxCOMP128v1)
	}
	return nil
}

// draw fills a challenge with a vector of its method, under a RAND that nobody
// has seen: there is no other way to one than this.
func (h *HSS) draw(c *challenge) error {
	var nonce aka.RAND
	rand.Read(nonce[:])
	if c.method == home.GSM {
		if _, err := h.tick(); err != nil { // a ticket needs a clock too
			return err
		}
		if err := h.spend(c.sub); err != nil {
			return err
		}
		c.vector.RAND = nonce // the triplet comes later: see Challenge
		return nil
	}
	ind, amf := h.o.Slot, aka.AMFEPS()
	if c.method == home.UMTS {
		// IND 12 to 15 is IMS's and EAP's; the separation bit keeps CK and IK from
		// ever making a K_ASME (TS 33.102 §H).
		ind, amf = ind+12, aka.AMF{}
	}
	sqn, err := h.nextSQN(c.sub, ind)
	if err != nil {
		return err
	}
	c.vector = aka.Generate(c.sub.cipher, nonce, sqn, amf)
	return nil
}

// triplet is what the subscriber's card makes of a RAND in GSM.
func (s *subscriber) triplet(nonce aka.RAND) aka.Triplet {
	t := aka.Triplet{RAND: nonce}
	switch s.Algorithm {
	case COMP128v1:
		t.SRES, t.Kc = comp128.V1(s.K, nonce)
	case COMP128v2:
		t.SRES, t.Kc = comp128.V2(s.K, nonce)
	case COMP128v3:
		t.SRES, t.Kc = comp128.V3(s.K, nonce)
	default: // a USIM in a cell of GSM (TS 33.102 §6.8.1.5)
		res, ck, ik, _ := s.cipher.F2345(nonce)
		t.SRES, t.Kc = aka.C2(res), aka.C3(ck, ik)
	}
	return t
}

// keys gives a lease those of the challenge.
func (c *challenge) keys(l *home.Lease) {
	switch c.method {
	case home.EPS:
		l.KASME = c.vector.KASME(c.plmn)
	case home.UMTS:
		l.CK, l.IK = c.vector.CK, c.vector.IK
	case home.GSM:
		l.Kc = c.triplet.Kc
	}
}

// right says whether an answer is the card's: RES or SRES itself, or a digest
// whose password it is.
func (c *challenge) right(r home.ProveRequest) bool {
	a := r.Digest
	if a == nil {
		if c.method == home.GSM {
			return c.triplet.SRES.Equal(r.RES)
		}
		return c.vector.XRES.Equal(r.RES)
	}
	if nonce, _, err := digest.ReadNonce(a.Nonce); err != nil || nonce != c.vector.RAND || c.method == home.EPS {
		return false
	}
	ok := false
	for _, p := range c.passwords(a.Algorithm) {
		ok = c.sub.named(*a, a.Realm, p) || ok
	}
	return ok
}

// passwords are the forms in which an answer is hashed: octets under AKAv1-MD5
// (RFC 3310 §3.3), hexadecimal digits of an SRES in OpenBTS, some builds of
// which write them large or lose the zeros in front.
func (c *challenge) passwords(a digest.Algorithm) []string {
	octets := c.vector.XRES.Bytes()
	if c.method == home.GSM {
		octets = c.triplet.SRES[:]
	}
	if a == digest.AKAv1MD5 {
		return []string{string(octets)}
	}
	if c.method != home.GSM {
		return nil
	}
	text := hex.EncodeToString(octets)
	short := strings.TrimLeft(text[:7], "0") + text[7:]
	return []string{text, strings.ToUpper(text), short, strings.ToUpper(short)}
}

// named verifies a digest under the name that it has, if that is one of the
// subscriber's.
func (s *subscriber) named(a digest.Answer, realm, password string) bool {
	if a.Userhash {
		for _, n := range s.names() {
			if a.VerifyPassword(n, realm, password) {
				return true
			}
		}
		return false
	}
	user, _, _ := strings.Cut(a.Username, "@") // an IMPI or an address (TS 23.003 §13.3)
	for _, n := range s.names() {
		if subtle.ConstantTimeCompare([]byte(user), []byte(n)) == 1 {
			return a.VerifyPassword(a.Username, realm, password)
		}
	}
	return false
}

// names are a subscriber's user names: IMSI, as OpenBTS writes it, and number.
func (s *subscriber) names() []string {
	imsi := s.IMSI.Digits()
	out := []string{imsi, "IMSI" + imsi}
	if n := s.Profile.MSISDN.Digits(); n != "" {
		out = append(out, n, "+"+n)
	}
	return out
}

// spentAhead is how many challenges the count on disk runs ahead.
const spentAhead = 64

// spend counts a challenge of a COMP128v1 card, on disk before it is used.
func (h *HSS) spend(s *subscriber) error {
	if s.Algorithm != COMP128v1 {
		return nil
	}
	if s.spent%spentAhead == 0 {
		if err := h.store.setSpent(s.id, s.spent+spentAhead); err != nil {
			return refusal(home.Unavailable, "store: %v", err)
		}
	}
	s.spent++
	return nil
}
