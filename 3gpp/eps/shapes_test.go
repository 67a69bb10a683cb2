package eps

import (
	"math/rand/v2"
	"testing"
	"time"

	"campanile.network/3gpp/gsm7"
)

// shapes write the values of elements whose content random octets do not make:
// octets laid out as the clause says, whatever the Go type of the element is.
var shapes = map[string]func(r *rand.Rand, dir Direction) []byte{
	"NAS message container": shapeSMS,
	"Generic message container type": func(r *rand.Rand, _ Direction) []byte { // not 2, location services: the content is LPP
		return []byte{[]byte{1, 1, 3, 255}[r.IntN(4)]}
	},
	"Generic message container": func(r *rand.Rand, _ Direction) []byte { // RequestCapabilities or none, TS 37.355 §6.2
		return []byte{0x90, byte(r.IntN(128)), byte(r.IntN(2)) << 7, 8}
	},
	"Additional information": func(r *rand.Rand, _ Direction) []byte { return randomOctets(r, 4) }, // the correlation identifier of TS 29.171 §7.4.28
	"Mobile station classmark 3": func(r *rand.Rand, _ Direction) []byte { // TS 24.008 §10.5.1.7: no bands, A5/4 to A5/7, nothing else
		return append([]byte{byte(r.IntN(16))}, make([]byte, 10)...)
	},
	"MS network capability":  func(r *rand.Rand, _ Direction) []byte { return randomOctets(r, 2+r.IntN(3)) }, // TS 24.008 §10.5.5.12: the rest is spare
	"TFT":                    shapeTFT,
	"Traffic flow aggregate": shapeTFT,
	"Supported Codecs": func(r *rand.Rand, _ Direction) []byte { // TS 24.008 §10.5.4.32
		b := append([]byte{0, 2}, randomOctets(r, 2)...)
		return append(b, append([]byte{4, 2}, randomOctets(r, 2)...)...)
	},
	"Emergency number list": func(r *rand.Rand, _ Direction) (b []byte) { // TS 24.008 §10.5.3.13
		for range 1 + r.IntN(5) {
			n := 2 + r.IntN(4)
			b = append(append(b, byte(1+n), byte(r.IntN(32))), randomDigits(r, n)...)
		}
		return b
	},
	"Extended emergency number list": func(r *rand.Rand, _ Direction) []byte { // TS 24.301 §9.9.3.37A
		b := []byte{byte(r.IntN(2))}
		for range 1 + r.IntN(4) {
			n := 2 + r.IntN(4)
			b = append(append(b, byte(n)), randomDigits(r, n)...)
			service := gsm7.PackUSSD(nil, []byte([]string{"", "police", "fire", "mountain"}[r.IntN(4)])) // these letters are ASCII there
			b = append(append(b, byte(len(service))), service...)
		}
		return b
	},
	"Ciphering key data":                   shapeCipheringKeys,
	"Requested WUS assistance information": func(r *rand.Rand, _ Direction) []byte { return []byte{byte(r.IntN(21))} }, // TS 24.301 §9.9.3.62
	"Negotiated WUS assistance information": func(r *rand.Rand, _ Direction) []byte {
		return []byte{byte(r.IntN(21))}
	},
	"N1 UE network capability": func(r *rand.Rand, _ Direction) []byte { return []byte{byte(r.IntN(64))} },     // TS 24.301 §9.9.3.57
	"UE radio capability ID":   func(r *rand.Rand, _ Direction) []byte { return randomDigits(r, 6+r.IntN(8)) }, // TS 24.301 §9.9.3.60
	"Paging restriction": func(r *rand.Rand, _ Direction) []byte { // TS 24.301 §9.9.3.66
		if kind := byte(1 + r.IntN(4)); kind > 2 {
			return []byte{kind, byte(r.IntN(256)) &^ 31, byte(r.IntN(256))}
		} else {
			return []byte{kind}
		}
	},
	"CLI": func(r *rand.Rand, _ Direction) []byte { // TS 24.008 §10.5.4.9
		if r.IntN(2) == 0 {
			return append([]byte{0x11, 0x80}, randomDigits(r, 2+r.IntN(8))...)
		}
		return append([]byte{0x91}, randomDigits(r, 2+r.IntN(8))...)
	},
	"LCS client identity": func(r *rand.Rand, _ Direction) []byte { return []byte{0x30, 3, 0x80, 1, byte(r.IntN(4))} }, // TS 29.002 §17.7.13: LCS-ClientID, lcsClientType
	"NBIFOM container": func(r *rand.Rand, _ Direction) []byte { // TS 24.161 §6.1: mode, default access, status
		return []byte{1, 1, byte(r.IntN(2)), 2, 1, byte(1 + r.IntN(2)), 3, 1, byte(r.IntN(8))}
	},
	"Header compression configuration": func(r *rand.Rand, _ Direction) []byte { // TS 24.301 §9.9.4.22
		b := append([]byte{byte(r.IntN(128))}, randomOctets(r, 2)...)
		if r.IntN(2) == 0 {
			b = append(append(b, byte(r.IntN(9))), randomOctets(r, 1+r.IntN(9))...)
		}
		return b
	},
	"Remote UE Context Connected":    shapeRemoteUEs,
	"Remote UE Context Disconnected": shapeRemoteUEs,
	"ProSe Key Management Function address": func(r *rand.Rand, _ Direction) []byte { // TS 24.301 §9.9.4.21
		if r.IntN(2) == 0 {
			return append([]byte{1}, randomOctets(r, 4)...)
		}
		return append([]byte{2}, randomOctets(r, 16)...)
	},
	"Transaction identifier": func(r *rand.Rand, _ Direction) []byte { // TS 24.008 §10.5.6.7
		if v := byte(r.IntN(128)); v > 6 {
			return []byte{byte(r.IntN(2))<<7 | 0x70, 0x80 | v}
		} else {
			return []byte{byte(r.IntN(2))<<7 | v<<4}
		}
	},
	"Protocol configuration options":          shapePCO,
	"Extended protocol configuration options": shapePCO,
	"Universal time and local time zone": func(r *rand.Rand, _ Direction) []byte {
		v := NewTimeAndZone(time.Unix(r.Int64N(1<<32), 0).In(time.FixedZone("", (r.IntN(159)-79)*900)))
		return v.encode(nil)
	},
	"Full name for network":  shapeName,
	"Short name for network": shapeName,
}

// shapeName is the default alphabet's name of TS 24.008 §10.5.3.5a: three bits
// spare behind three characters.
func shapeName(r *rand.Rand, _ Direction) []byte {
	s := make([]byte, 1+r.IntN(12))
	for i := range s {
		s[i] = 'a' + byte(r.IntN(26))
	}
	name := NewNetworkName(string(s))
	return name.encode(nil)
}

// shapePCO is containers of TS 24.008 §10.5.6.3: asked for by the UE, answered
// by the network.
func shapePCO(r *rand.Rand, dir Direction) []byte {
	p := PCO{}
	for range r.IntN(6) {
		c := []struct {
			id   ContainerID
			size int // of the answer
		}{
			{ContainerIPCP, 0}, {ContainerPCSCFv6, 16}, {ContainerDNSv6, 16}, {ContainerPCSCFv4, 4}, {ContainerDNSv4, 4}, {ContainerIPv4LinkMTU, 2}, {ContainerNonIPLinkMTU, 2},
		}[r.IntN(7)]
		b := randomOctets(r, c.size)
		switch {
		case c.id == ContainerIPCP: // Configure-Request or -Nak with both name servers (RFC 1877)
			code := map[Direction]byte{Uplink: 1, Downlink: 3}[dir]
			b = append([]byte{code, byte(r.Uint32()), 0, 16, 129, 6}, randomOctets(r, 4)...)
			b = append(append(b, 131, 6), randomOctets(r, 4)...)
		case dir == Uplink:
			b = nil
		}
		p = p.With(c.id, b)
	}
	return p.encode(nil)
}

// shapeTFT is packet filters of TS 24.008 §10.5.6.12.
func shapeTFT(r *rand.Rand, _ Direction) []byte {
	t := TFT{Operation: TFTOperation(1 + r.IntN(5))}
	if t.Operation != TFTDelete {
		for i := range 1 + r.IntN(5) {
			f := PacketFilter{Direction: byte(1 + r.IntN(3)), ID: byte(i), Precedence: byte(r.Uint32())}
			if t.Operation == TFTDeleteFilters {
				f = PacketFilter{ID: byte(i)}
			} else {
				f.Components = f.Components.With(FilterIPv4Remote, randomOctets(r, 8)...).With(FilterProtocol, randomOctets(r, 1)...).With(FilterRemotePortRange, randomOctets(r, 4)...)
			}
			t.Filters = append(t.Filters, f)
		}
	}
	return t.encode(nil)
}

// shapeSMS is a CP-ACK or CP-ERROR of TS 24.011 §7.2.
func shapeSMS(r *rand.Rand, _ Direction) []byte {
	ti := byte(r.IntN(7))<<4 | byte(r.IntN(2))<<7
	if r.IntN(2) == 0 {
		return []byte{ti | 9, 4}
	}
	return []byte{ti | 9, 16, 111}
}

// shapeCipheringKeys is data sets of TS 24.301 §9.9.3.56.
func shapeCipheringKeys(r *rand.Rand, _ Direction) (b []byte) {
	for range 1 + r.IntN(4) {
		b = append(b, randomOctets(r, 18)...) // set ID and key
		n := 1 + r.IntN(16)
		b = append(append(b, byte(n)), randomOctets(r, n)...) // c0
		sibs := randomOctets(r, 4)
		sibs[3] &= 0xf0
		b = append(b, sibs...)
		b = append(b, semiOctets(r.IntN(100)), semiOctets(1+r.IntN(12)), semiOctets(1+r.IntN(28)), semiOctets(r.IntN(24)), semiOctets(r.IntN(60)))
		b = append(b, randomOctets(r, 2)...) // duration
		tais := shapeTAIs(r)
		if r.IntN(2) == 0 {
			tais = nil
		}
		b = append(append(b, byte(len(tais))), tais...)
	}
	return b
}

// shapeRemoteUEs is contexts of TS 24.301 §9.9.4.20.
func shapeRemoteUEs(r *rand.Rand, _ Direction) []byte {
	b := []byte{byte(1 + r.IntN(3))}
	for range b[0] {
		c := []byte{1, 8, byte(r.IntN(10))<<4 | 8 | byte(2+r.IntN(3))} // one user identity of 15 digits: IMSI, MSISDN or IMEI
		c = append(c, randomDigits(r, 7)...)
		if r.IntN(2) == 0 {
			c = append(append(c, 1), randomOctets(r, 6)...) // IPv4 address and port
		} else {
			c = append(append(c, 2), randomOctets(r, 8)...) // IPv6 prefix
		}
		b = append(append(b, byte(len(c))), c...)
	}
	return b
}

func randomOctets(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// semiOctets is two digits, the first in bits 1 to 4.
func semiOctets(v int) byte { return byte(v%10)<<4 | byte(v/10) }

func randomDigits(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = semiOctets(r.IntN(100))
	}
	return b
}

// An instance is a message with the elements that a test wants in it.
type instance struct {
	kind kind
	m    Message
}

// valid makes an instance of k that is right in every element, also in those
// this package carries without looking into them, and without elements that
// skip names.
func valid(tb testing.TB, r *rand.Rand, k kind, share int, skip func(*table, *row) bool) instance {
	tb.Helper()
	m := k.new()
	random(tb, r, m, share)
	t := m.table()
	for i := range t.rows {
		row := &t.rows[i]
		if row.get == nil {
			continue
		}
		el, has := row.get(m)
		if has != nil && skip(t, row) {
			*has = false
		}
		if has != nil && !*has {
			continue
		}
		if b := shape(tb, r, k, row, el, share, skip); b != nil {
			if err := el.decode(b); err != nil {
				tb.Fatalf("%v: %s: %x: %v", k, row.name, b, err)
			}
		}
	}
	return instance{k, m}
}

// shape is the value of an element that chance does not make, or nil.
func shape(tb testing.TB, r *rand.Rand, k kind, row *row, el element, share int, skip func(*table, *row) bool) []byte {
	tb.Helper()
	var inner []kind
	switch el.(type) {
	case *ESMContainer:
		inner = kindsIn(k.dir, func(m Message) bool { _, ok := m.(ESM); return ok })
	case *EMMContainer: // TS 24.301 §5.4.3.3: the message that began the procedure
		inner = kindsIn(k.dir, func(m Message) bool {
			return m.MessageType() == TypeAttachRequest || m.MessageType() == TypeTrackingAreaUpdateRequest
		})
	default:
		if f := shapes[row.name]; f != nil {
			return f(r, k.dir)
		}
		return nil
	}
	in := valid(tb, r, inner[r.IntN(len(inner))], share, skip)
	b, err := Append(nil, in.m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func kindsIn(dir Direction, want func(Message) bool) []kind {
	var all []kind
	for _, k := range kinds() {
		if k.dir == dir && want(k.new()) {
			all = append(all, k)
		}
	}
	return all
}
