package media

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func secure(t *testing.T, suite Suite) (b *bench, theirs *sealer, ours *opener) {
	b = newBench(t)
	in, out := NewCrypto(1, suite), NewCrypto(1, suite)
	b.peer(0, Peer{Addr: phone, Receives: []Format{PCMU}, Decrypt: in, Encrypt: out})
	b.peer(1, Peer{Addr: cell, Receives: []Format{PCMU}})
	ours, theirs, err := newCrypt(out, in)
	if err != nil {
		t.Fatal(err)
	}
	return b, theirs, ours
}

func TestSRTPBothWays(t *testing.T) {
	for _, suite := range []Suite{AESCM80, AESCM32} {
		b, theirs, ours := secure(t, suite)
		speech := bytes.Repeat([]byte{1, 2, 3, 4}, 40)
		var last []byte
		for i := range 70000 { // the sequence number goes round
			sealed, err := theirs.rtp(nil, rtp(0, uint16(60000+i), uint32(i)*160, 5, speech))
			if err != nil {
				t.Fatal(err)
			}
			if i > 100 && i < 69900 && i%50 != 0 {
				continue
			}
			b.give(0, phone, sealed)
			last = sealed
			got := b.taken(1)
			if len(got) != 1 || !bytes.Equal(got[0].payload, speech) {
				t.Fatalf("%s: packet %d: %d packets, %v", suite, i, len(got), b.s.Leg(0).Stats().Dropped)
			}
		}
		b.give(0, phone, last)
		b.give(0, phone, rtp(0, 5000, 1, 5, speech)) // in clear
		last[20] ^= 1
		last[3]++
		b.give(0, phone, last)
		b.give(0, phone, last[:14])
		if st := b.s.Leg(0).Stats(); st.Dropped != [drops]uint64{Garbage: 1, Forged: 2, Replayed: 1} {
			t.Errorf("%s: %v", suite, st.Dropped)
		}
		b.sent = nil
		b.give(1, cell, rtp(0, 1, 1, 6, speech))
		var p packet
		if len(b.sent) != 1 || bytes.Contains(b.sent[0].b, speech[:16]) || !p.parse(b.sent[0].b, true) || len(p.payload) != 160+suite.tag() {
			t.Fatalf("%s: %+v", suite, b.sent)
		}
		clear, _, ok := ours.open(nil, &p)
		if !ok || !bytes.Equal(clear[headerSize:], speech) {
			t.Errorf("%s: % x", suite, clear)
		}
	}
}

// What libsrtp 2.5.0 makes of a packet and of a report under the key of RFC 4568 §9.1.
func TestAgainstLibsrtp(t *testing.T) {
	digits := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	clear, report := digits("8000000700000009000012340505050505050505"), digits("80c80006000012340000000000000000000000050000000100000002")
	const sealedReport = "80c8000600001234f82f6b999cefb34428eb1e0e36b5ef40604b56b98000000148f482dddc594bda5373"
	for suite, want := range map[Suite]string{
		AESCM80: "800000070000000900001234bec4c4a008aa8d5d7e1347f6ade2d0fe197f",
		AESCM32: "800000070000000900001234bec4c4a008aa8d5d7e1347f6",
	} {
		key, err := ParseCrypto("1 " + suite.String() + " inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")
		if err != nil {
			t.Fatal(err)
		}
		o, s, err := newCrypt(key, key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.rtp(nil, clear); err != nil || !bytes.Equal(got, digits(want)) {
			t.Errorf("%s: %x, %v", suite, got, err)
		}
		if got, err := s.rtcp(nil, report); err != nil || !bytes.Equal(got, digits(sealedReport)) {
			t.Errorf("%s: report %x, %v", suite, got, err)
		}
		var p packet
		p.parse(digits(want), true)
		if got, reason, ok := o.open(nil, &p); !ok || !bytes.Equal(got, clear) {
			t.Errorf("%s: opened %x, %s", suite, got, reason)
		}
		if got, reason, ok := o.openRTCP(nil, digits(sealedReport)); !ok || !bytes.Equal(got, report) {
			t.Errorf("%s: opened report %x, %s", suite, got, reason)
		}
	}
}

// The same keys again keep what is known of the streams; others end the old.
func TestSRTPRekeying(t *testing.T) {
	b, theirs, _ := secure(t, AESCM80)
	one, _ := theirs.rtp(nil, rtp(0, 1, 1, 5, make([]byte, 160)))
	b.give(0, phone, one)
	b.peer(0, b.s.Leg(0).peer)
	b.give(0, phone, one)
	if d := b.s.Leg(0).Stats().Dropped; d[Replayed] != 1 {
		t.Errorf("after the same keys: %v", d)
	}
	p := b.s.Leg(0).peer
	p.Decrypt, p.Encrypt = NewCrypto(1, AESCM80), NewCrypto(1, AESCM80)
	b.peer(0, p)
	two, _ := theirs.rtp(nil, rtp(0, 2, 1, 5, make([]byte, 160)))
	b.give(0, phone, two)
	if d := b.s.Leg(0).Stats().Dropped; d[Forged] != 1 {
		t.Errorf("after other keys: %v", d)
	}
	p.Encrypt = nil
	if err := b.s.Leg(0).SetPeer(p); err == nil {
		t.Error("one key is enough")
	}
}

// Who does not have the key leaves nothing behind, and cannot become the source.
func TestSRTPForgeriesLeaveNothing(t *testing.T) {
	b := newBench(t)
	nat := netip.MustParseAddrPort("203.0.113.9:999")
	b.peer(0, Peer{Addr: netip.MustParseAddrPort("10.1.1.1:4000"), Signalling: nat.Addr(), Receives: []Format{PCMU}, Decrypt: NewCrypto(1, AESCM80), Encrypt: NewCrypto(1, AESCM80)})
	for i := range 1000 {
		b.give(0, nat, rtp(0, 1, 1, rand.Uint32(), make([]byte, 170)))
		b.s.Leg(0).report(append(senderReportOf(uint32(i), 1), make([]byte, 14)...), b.at)
	}
	l := b.s.Leg(0)
	if len(l.decrypt.known) != 0 || l.source.source.IsValid() || l.stats.Dropped[Forged] != 2000 {
		t.Errorf("%d sources, %v, %v", len(l.decrypt.known), l.source, l.stats.Dropped)
	}
}

func TestCryptoAttribute(t *testing.T) {
	// The example of RFC 4568 §9.1 with its lifetime, as far as one key.
	const example = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20"
	c, err := ParseCrypto(example)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Attribute(); got != strings.TrimSuffix(example, "|2^20") {
		t.Error(got)
	}
	if again, err := ParseCrypto(c.Attribute()); err != nil || !again.equal(c) {
		t.Errorf("%v %v", again, err)
	}
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%x %#v %+v %s", c, c, c, c), slog.AnyValue(c).Resolve().String()} {
		if strings.Contains(s, "WVNf") || strings.Contains(s, "59535f") || !strings.Contains(s, "redacted") {
			t.Errorf("printed: %s", s)
		}
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 30))
	for _, bad := range []string{
		"", "1", "x AES_CM_128_HMAC_SHA1_80 inline:" + key, "1 AES_CM_256 inline:" + key,
		"1 AES_CM_128_HMAC_SHA1_80 " + key, "1 AES_CM_128_HMAC_SHA1_80 inline:" + key[:20],
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4", "1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " UNENCRYPTED_SRTP",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + ";inline:" + key, "-1 AES_CM_128_HMAC_SHA1_32 inline:" + key,
	} {
		if c, err := ParseCrypto(bad); err == nil {
			t.Errorf("%q is %s", bad, c.Attribute())
		}
	}
}
