package mme

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// Codecs of what a phone's record has, see record.go.

func imsiCodec() codec[id.IMSI] {
	c := parsed(id.IMSI.Digits, id.ParseIMSI)
	return codec[id.IMSI]{c.put, func(r *tlvReader) id.IMSI {
		r.imsi = c.get(r)
		return r.imsi
	}}
}

func apnCodec() codec[id.APN] {
	return codec[id.APN]{func(b []byte, v id.APN) []byte { return append(b, v.String()...) }, func(r *tlvReader) id.APN {
		v, err := r.restore.apns.parse(r.take(len(r.b)))
		if err != nil {
			r.fail("%w", err)
		}
		return v
	}}
}

// apns are those that many phones have. Nil knows none.
type apns struct {
	mu    sync.RWMutex
	known map[string]id.APN
}

// maxAPNs bounds what is known of them.
const maxAPNs = 1024

func (a *apns) parse(b []byte) (id.APN, error) {
	if a == nil {
		return id.ParseAPN(string(b))
	}
	a.mu.RLock()
	v, ok := a.known[string(b)]
	a.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := id.ParseAPN(string(b))
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.known) < maxAPNs {
			a.known[v.String()] = v
		}
	}
	return v, err
}

func rateCodec() codec[id.BitRate] { return number[id.BitRate](1<<63 - 1) }

func ebiCodec() codec[id.EBI] {
	return fixed(1, func(b []byte, v id.EBI) []byte { return append(b, byte(v)) }, func(b []byte) (id.EBI, error) { return id.MakeEBI(b[0]) })
}

func teidCodec() codec[id.TEID] { return number[id.TEID](1<<32 - 1) }

func taiCodec() codec[id.TAI] {
	return fixed(5, func(b []byte, v id.TAI) []byte {
		p := v.PLMN.Octets()
		return binary.BigEndian.AppendUint16(append(b, p[:]...), uint16(v.TAC))
	}, func(b []byte) (id.TAI, error) {
		p, err := id.DecodePLMN([3]byte(b))
		return id.TAI{PLMN: p, TAC: id.TAC(binary.BigEndian.Uint16(b[3:]))}, err
	})
}

func cellCodec() codec[id.ECGI] {
	return fixed(7, func(b []byte, v id.ECGI) []byte {
		o := v.Octets()
		return append(b, o[:]...)
	}, func(b []byte) (id.ECGI, error) { return id.DecodeECGI([7]byte(b)) })
}

func enbCodec() codec[id.GlobalENBID] {
	return fixed(8, func(b []byte, v id.GlobalENBID) []byte {
		p := v.PLMN.Octets()
		return binary.BigEndian.AppendUint32(append(append(b, p[:]...), byte(v.Type)), v.ID)
	}, func(b []byte) (id.GlobalENBID, error) {
		p, err := id.DecodePLMN([3]byte(b))
		if err != nil {
			return id.GlobalENBID{}, err
		}
		return id.MakeGlobalENBID(p, id.ENBType(b[3]), binary.BigEndian.Uint32(b[4:]))
	})
}

func towerCodec() codec[proof.TowerKey] {
	return fixed(32, func(b []byte, v proof.TowerKey) []byte { return append(b, v[:]...) },
		func(b []byte) (proof.TowerKey, error) { return proof.TowerKey(b), nil })
}

func keyCodec() codec[secret.Key256] {
	return fixed(32, func(b []byte, v secret.Key256) []byte { return append(b, v[:]...) },
		func(b []byte) (secret.Key256, error) { return secret.Key256(b), nil })
}

func drxCodec() codec[eps.DRX] {
	return fixed(2, func(b []byte, v eps.DRX) []byte { return append(b, v[:]...) },
		func(b []byte) (eps.DRX, error) { return eps.DRX(b), nil })
}

func capabilityCodec() codec[eps.UESecurityCapability] {
	return rest(func(b []byte, v eps.UESecurityCapability) []byte { return append(b, v.Octets()...) }, eps.MakeUESecurityCapability)
}

func addressCodec() codec[netip.Addr] {
	return rest(func(b []byte, v netip.Addr) []byte { return append(b, v.AsSlice()...) }, func(b []byte) (netip.Addr, error) {
		v, ok := netip.AddrFromSlice(b)
		if !ok {
			return v, errors.New("no address")
		}
		return v, nil
	})
}

func peerCodec() codec[netip.AddrPort] {
	return rest(func(b []byte, v netip.AddrPort) []byte {
		return append(binary.BigEndian.AppendUint16(b, v.Port()), v.Addr().AsSlice()...)
	}, func(b []byte) (netip.AddrPort, error) {
		if len(b) < 2 {
			return netip.AddrPort{}, errors.New("no address and port")
		}
		v, ok := netip.AddrFromSlice(b[2:])
		if !ok {
			return netip.AddrPort{}, errors.New("no address")
		}
		return netip.AddrPortFrom(v, binary.BigEndian.Uint16(b)), nil
	})
}

// qosCodec is QCI, ARP and the four rates.
func qosCodec() codec[gtpc.QoS] {
	const can, may = 0x80, 0x40
	return codec[gtpc.QoS]{func(b []byte, v gtpc.QoS) []byte {
		arp := v.ARP.Level
		if v.ARP.CanPreempt {
			arp |= can
		}
		if v.ARP.Preemptable {
			arp |= may
		}
		b = append(b, byte(v.QCI), arp)
		for _, rate := range []id.BitRate{v.MBRUL, v.MBRDL, v.GBRUL, v.GBRDL} {
			b = binary.AppendUvarint(b, uint64(rate))
		}
		return b
	}, func(r *tlvReader) (v gtpc.QoS) {
		h := r.take(2)
		v.QCI, v.ARP = id.QCI(h[0]), gtpc.ARP{Level: h[1] & 15, CanPreempt: h[1]&can != 0, Preemptable: h[1]&may != 0}
		for _, rate := range []*id.BitRate{&v.MBRUL, &v.MBRDL, &v.GBRUL, &v.GBRDL} {
			*rate = id.BitRate(r.uvarint(1<<63 - 1))
		}
		return v
	}}
}

// keysetCodec writes the mark in the place of the downlink COUNT, which is where
// the reader goes on, and folds what it reads.
func keysetCodec() codec[*keyset] {
	c := nested(keysetRows)
	return codec[*keyset]{func(b []byte, k *keyset) []byte {
		s := k.State()
		k.kept = true
		return c.put(b, &keyset{folded: s, mark: max(k.mark, s.DL), grant: k.grant})
	}, func(r *tlvReader) *keyset {
		k := c.get(r)
		k.kept = true
		s := &k.folded
		s.Role, s.DL = nassec.Network, k.mark
		if s.EIA == nassec.EIA0 && !s.AllowNullIntegrity || s.EIA != nassec.EIA0 && s.KASME.Equal(secret.Key256{}) {
			r.fail("NAS context without key or integrity")
		}
		return k
	}}
}

// leaseCodec reads a lease; nil if its ticket is of another ledger, or for another
// operator, than this MME's: the phone's home is asked anew.
func leaseCodec() codec[*lease] {
	c := nested(leaseRows)
	return codec[*lease]{c.put, func(r *tlvReader) *lease {
		l := c.get(r)
		if r.err != nil {
			return nil
		}
		t, err := r.restore.ticket(l.raw)
		if err != nil {
			return nil
		}
		l.ticket = t
		r.lease = l
		return l
	}}
}

// toldCodec writes a lease by the number of its ticket, and reads the phone's, if it is
// that one: the phone's is the last before in a record. Else it is nil.
func toldCodec() codec[*lease] {
	return codec[*lease]{func(b []byte, l *lease) []byte { return append(b, l.ticket.ID[:]...) }, func(r *tlvReader) *lease {
		if t := proof.TicketID(r.take(16)); r.lease != nil && r.lease.ticket.ID == t {
			return r.lease
		}
		return nil
	}}
}

// pdnCodec reads a PDN connection; one without bearers is none.
func pdnCodec() codec[*pdn] {
	c := nested(pdnRows)
	return codec[*pdn]{c.put, func(r *tlvReader) *pdn {
		p := c.get(r)
		if r.err == nil && (p.session == nil || len(p.bearers) == 0 || p.bearers[0].ebi != p.session.EBI) {
			r.fail("without session or default bearer")
		}
		return p
	}}
}

func closingCodec() codec[*closing] {
	c := sessionCodec()
	return codec[*closing]{func(b []byte, v *closing) []byte { return c.put(b, v.session) },
		func(r *tlvReader) *closing { return &closing{session: c.get(r)} }}
}

func sessionCodec() codec[*s11.Session] {
	return codec[*s11.Session]{func(b []byte, s *s11.Session) []byte {
		v := s.State()
		return sessionRows.append(b, &v)
	}, func(r *tlvReader) *s11.Session {
		r.state = s11.State{}
		sessionRows.read(r, &r.state)
		r.state.IMSI = r.imsi
		if r.err != nil {
			return nil
		}
		s, err := r.restore.session(r.state)
		if err != nil {
			r.fail("%w", err)
		}
		return s
	}}
}

// tftCodec is a bearer's template.
func tftCodec() codec[*eps.TFT] {
	return rest(func(b []byte, v *eps.TFT) []byte { return v.AppendTo(b) }, func(b []byte) (*eps.TFT, error) {
		v, err := eps.ParseTFT(slices.Clone(b))
		return &v, err
	})
}

// value is a codec of values made of one of pointers.
func value[V any](c codec[*V]) codec[V] {
	return codec[V]{func(b []byte, v V) []byte { return c.put(b, &v) }, func(r *tlvReader) (v V) {
		if p := c.get(r); p != nil {
			v = *p
		}
		return v
	}}
}

// some is a codec of an octet that is there.
func some[V ~uint8]() codec[eps.Opt[V]] {
	return fixed(1, func(b []byte, v eps.Opt[V]) []byte { return append(b, byte(v.V)) },
		func(b []byte) (eps.Opt[V], error) { return eps.Some(V(b[0])), nil })
}
