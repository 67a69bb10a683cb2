package hss

import (
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
