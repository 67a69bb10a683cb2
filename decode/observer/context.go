package observer

import (
	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

func kasmeOf(ck, ik secret.Key128, plmn id.PLMN, r *eps.AuthenticationRequest) secret.Key256 {
	return aka.KASME(ck, ik, plmn, aka.AUTN(r.AUTN))
}

// context is a NAS security context heard from aside.
type context struct {
	key   key
	known bool // the key is; otherwise only the algorithms are
	eea   nassec.EEA
	eia   nassec.EIA
	noEEA bool              // eea is not known
	mac   *nassec.Integrity // nil without key
	enc   *nassec.Cipher    // nil without key or algorithm
	next  [2]nassec.Count   // by direction, the lowest COUNT not heard yet
	heard [2]bool           // whether any was
}

// newContext makes a context under k; it fails on an algorithm that this
// program does not have.
func newContext(k key, eea nassec.EEA, eia nassec.EIA) (*context, error) {
	mac, err := nassec.NewIntegrity(eia, aka.AlgorithmKey(k.kasme, aka.NASInt, uint8(eia)))
	if err != nil {
		return nil, err
	}
	c := &context{key: k, known: true, eea: eea, eia: eia, mac: mac}
	return c, c.cipher(eea)
}

func (c *context) cipher(eea nassec.EEA) (err error) {
	c.eea, c.noEEA = eea, false
	c.enc, err = nassec.NewCipher(eea, aka.AlgorithmKey(c.key.kasme, aka.NASEnc, uint8(eea)))
	return err
}

func (c *context) kenb(count nassec.Count) secret.Key256 {
	return aka.KeNB(c.key.kasme, uint32(count))
}

// direction of an eps message as the algorithms want it.
func direction(d eps.Direction) nassec.Direction {
	if d == eps.Downlink {
		return nassec.Downlink
	}
	return nassec.Uplink
}

// verify finds the COUNT of a protected message: the lowest not heard yet that
// has its sequence number, one period lower (sent again), or, before any was
// heard in this direction, up to search overflows higher.
func (c *context) verify(d nassec.Direction, h nassec.Header, body []byte, search int) (nassec.Count, bool) {
	right := func(n nassec.Count) bool {
		return n <= nassec.MaxCount && c.mac.MAC(uint32(n), 0, d, body) == h.MAC
	}
	next := c.next[d]
	at := next + (nassec.Count(h.Sequence)-next)&255
	if right(at) {
		return at, true
	}
	if at >= 256 && right(at-256) {
		return at - 256, true
	}
	if c.heard[d] {
		return 0, false
	}
	for i := range nassec.Count(search) {
		if right(at + 256*(i+1)) {
			return at + 256*(i+1), true
		}
	}
	return 0, false
}

// maxMissed is how many periods of five bits a SERVICE REQUEST's COUNT is
// looked for ahead: its code has 16 bits only, so a long search finds anything.
const maxMissed = 8

// verifyShort finds the COUNT of a SERVICE REQUEST.
func (c *context) verifyShort(r nassec.ServiceRequest, head []byte) (nassec.Count, bool) {
	right := func(n nassec.Count) bool {
		m := c.mac.MAC(uint32(n), 0, nassec.Uplink, head)
		return n <= nassec.MaxCount && [2]byte(m[2:]) == r.MAC
	}
	next := c.next[nassec.Uplink]
	at := next + (nassec.Count(r.Sequence)-next)&31
	if right(at) {
		return at, true
	}
	if at >= 32 && right(at-32) {
		return at - 32, true
	}
	for i := range nassec.Count(maxMissed) {
		if right(at + 32*(i+1)) {
			return at + 32*(i+1), true
		}
	}
	return 0, false
}

// use marks a COUNT as heard; again is true when it was before.
func (c *context) use(d nassec.Direction, n nassec.Count) (again bool) {
	again = c.heard[d] && n < c.next[d]
	c.heard[d] = true
	c.next[d] = max(c.next[d], n+1)
	return again
}

// decipher gives the plain form of a ciphered payload; nil when the algorithm
// is not known and none, or more than one, makes sense of it.
func (c *context) decipher(d nassec.Direction, n nassec.Count, payload []byte) []byte {
	if !c.noEEA {
		return c.plain(c.enc, d, n, payload)
	}
	var found []byte
	var by nassec.EEA
	for _, eea := range []nassec.EEA{nassec.EEA0, nassec.EEA1, nassec.EEA2, nassec.EEA3} {
		enc, err := nassec.NewCipher(eea, aka.AlgorithmKey(c.key.kasme, aka.NASEnc, uint8(eea)))
		if err != nil {
			continue
		}
		plain := c.plain(enc, d, n, payload)
		if _, err := eps.Parse(d == nassec.Downlink, plain); err != nil {
			continue
		}
		if found != nil {
			return nil
		}
		found, by = plain, eea
	}
	if found != nil && c.cipher(by) != nil {
		return nil
	}
	return found
}

func (c *context) plain(enc *nassec.Cipher, d nassec.Direction, n nassec.Count, payload []byte) []byte {
	b := append([]byte(nil), payload...)
	enc.Apply(uint32(n), 0, d, b)
	return b
}
