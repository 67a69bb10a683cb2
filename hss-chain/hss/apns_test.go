package hss

import (
	"encoding/hex"
	"net/netip"
	"reflect"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// A subscription comes out of its blob as it went in, with further APNs and
// without; without, its octets are what they were before there were any.
func TestSubscriptionWithFurtherAPNs(t *testing.T) {
	imsi, _ := id.ParseIMSI("999700000000009")
	internet, _ := id.ParseAPN("internet")
	ims, _ := id.ParseAPN("ims")
	s := Subscription{IMSI: imsi, K: secret.Key128{1}, OPc: secret.Key128{2}, SQN: Array32,
		Profile: home.Profile{APN: internet, QCI: 9, ARP: 8, AMBRUL: id.Mbps, AMBRDL: id.Mbps, IPv4: netip.MustParseAddr("10.45.0.9")}}
	plain := len(s.append(nil))
	for _, change := range []func(*home.Profile){
		func(*home.Profile) {},
		func(p *home.Profile) { p.PDN = home.PDNIPv4 },
		func(p *home.Profile) {
			p.APNs = []home.APN{{Name: ims, QCI: 5, ARP: 1, AMBRUL: 3, AMBRDL: 4, PDN: home.PDNEither}, {Name: internet, QCI: 9, ARP: 2, IPv4: netip.MustParseAddr("10.46.0.9")}}
		},
	} {
		change(&s.Profile)
		b := s.append(nil)
		got, err := parseSubscription(blobVersion, b)
		if err != nil || !reflect.DeepEqual(got.Profile, s.Profile) {
			t.Errorf("%+v, %v\nwant %+v", got.Profile, err, s.Profile)
		}
		for n := range b {
			if _, err := parseSubscription(blobVersion, b[:n]); err == nil && n != plain {
				t.Errorf("%d octets of %d were read", n, len(b))
			}
		}
	}
	if plain != 1+8+32+16+1+9+18+5 {
		t.Errorf("%d octets without further APNs", plain)
	}
}

// Blobs of before there were other cards and passwords are read as they were, and
// are written the same where a subscription has neither; with them it is version 2.
func TestBlobVersions(t *testing.T) {
	const before = "01" + "0000000000000007" + "01000000000000000000000000000000" + "02000000000000000000000000000000" +
		"0f393939373030303030303030303039" + "0432313032" + "08696e7465726e6574" + "0908" + "00000000000f4240" + "00000000000f4240" + "00"
	old, err := hex.DecodeString(before)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSubscription(blobVersion, old)
	if err != nil || s.Algorithm != Milenage || s.App != (secret.Key128{}) || s.K[0] != 1 || s.OPc[0] != 2 || s.DIF != 7 || s.Profile.MSISDN.Digits() != "2102" {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := hex.EncodeToString(s.append(nil)); got != before || s.version() != blobVersion {
		t.Errorf("version %d\n%s\n%s", s.version(), got, before)
	}
	for _, change := range []func(*Subscription){
		func(s *Subscription) { s.Algorithm, s.OPc = COMP128v3, secret.Key128{} },
		func(s *Subscription) { s.App = secret.Key128{9} },
	} {
		n := s
		change(&n)
		b := n.append(nil)
		got, err := parseSubscription(n.version(), b)
		if err != nil || n.version() != blobVersion2 || !reflect.DeepEqual(got, n) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := parseSubscription(blobVersion2, append([]byte{9}, b[1:]...)); err == nil {
			t.Error("an algorithm nobody knows was read")
		}
	}
}
