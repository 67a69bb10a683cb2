package eps

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/id"
)

// Values at the ends of what an element can say: what lies beyond is read as the
// last one, or as nothing, never as something else.
func TestEdgesOfElements(t *testing.T) {
	for name, c := range map[string]struct{ got, want any }{
		"rate beyond 256 Mbit/s, reserved":     {extendedRate(255), 256 * id.Mbps},
		"rate of 256 Mbit/s":                   {extendedRate(250), 256 * id.Mbps},
		"rate beyond 10 Gbit/s, reserved":      {qosExtended2(255), 10 * id.Gbps},
		"longest paging time window":           {NewExtendedDRX(time.Hour, time.Hour, false).Window(false), 20480 * time.Millisecond},
		"longest eDRX cycle":                   {NewExtendedDRX(9999*time.Hour, 0, false).Cycle(), 10485760 * time.Millisecond},
		"a cycle shorter than all":             {NewExtendedDRX(0, 0, true).Cycle(), 5120 * time.Millisecond},
		"ciphered with new context":            {HeaderIntegrityCipheredNew.Ciphered(), true},
		"partly ciphered":                      {HeaderIntegrityPartlyCiphered.Ciphered(), false},
		"header compression of bearer 12":      {HeaderCompressionStatus(1 << 12).NotUsed(12), true},
		"header compression of bearer 4 not":   {HeaderCompressionStatus(1 << 12).NotUsed(4), false},
		"no TFT operation":                     {len(tft(t, 6<<5|2, 0x10, 1, 0, 0x11, 1, 0).Filters), 0},
		"extended DL rate of the third system": {QoS3G{12: 250, 14: 1}.Rate(QoS3GMaxDL), 256 * id.Mbps},
		"extended UL rate of the third system": {QoS3G{12: 250, 14: 74}.Rate(QoS3GMaxUL), 16 * id.Mbps},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if p, ok := (WUS{31}).PagingProbability(); p != 100 || !ok {
		t.Errorf("paging probability %d, %t", p, ok)
	}
}

func tft(t *testing.T, octets ...byte) TFT {
	t.Helper()
	var v TFT
	if err := v.decode(octets); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReplayedCapabilityIsNoLongerThanNeeded: GEA alone makes a fifth octet, and
// only if there is one (TS 24.301 §9.9.3.36).
func TestReplayedCapabilityIsNoLongerThanNeeded(t *testing.T) {
	c := NewUENetworkCapability(0, 2, 8+1, 8+2)
	for _, x := range []struct {
		ms   []byte
		want string
	}{{[]byte{0x65, 0x81}, "a060"}, {[]byte{0xe5, 0x81}, "a060000040"}, {[]byte{0x65, 0x83}, "a060000001"}} {
		var ms MSNetworkCapability
		if err := ms.decode(x.ms); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", c.Security(Some(ms)).Octets()); got != x.want {
			t.Errorf("%x: %s, want %s", x.ms, got, x.want)
		}
	}
}

// TestNameServersOfZeros: an address of zeros in IPCP asks for one and is
// none.
func TestNameServersOfZeros(t *testing.T) {
	p := PCO{}.With(ContainerDNSv4, []byte{0, 0, 0, 0}).With(ContainerDNSv4, []byte{9, 9, 9, 9}).
		With(ContainerIPCP, []byte{1, 0, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 9, 9, 9, 9, 129, 6, 8, 8, 8, 8}) // behind its length: padding
	if got := fmt.Sprint(p.DNS()); got != fmt.Sprint([]netip.Addr{netip.AddrFrom4([4]byte{9, 9, 9, 9})}) {
		t.Error(got)
	}
}

// TestRemoteUEAddressesAreWhole: a prefix of seven octets is none.
func TestRemoteUEAddressesAreWhole(t *testing.T) {
	for size := range 12 {
		rest := append([]byte{0, 2}, bytes.Repeat([]byte{0x20}, size)...)
		if u, err := decodeRemoteUE(rest, true); (err == nil) != (size >= 8) || err == nil && u.IPv6.String() != "2020:2020:2020:2020::/64" {
			t.Errorf("%d octets: %v, %v", size, u.IPv6, err)
		}
	}
}

// TestParseKeepsNoPartOfItsInput: a receiver may use its buffer again.
func TestParseKeepsNoPartOfItsInput(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, k := range kinds() {
		for share := range 4 {
			m := k.new()
			random(t, r, m, share*3)
			b, err := Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, 0x77, 3, 1, 2, 3) // not understood
			whole := bytes.Clone(b)
			got, err := Parse(k.dir, b)
			if err != nil {
				continue // a container to the end
			}
			for i := range b {
				b[i] = ^b[i]
			}
			if again, err := Append(nil, got); err != nil || !bytes.Equal(again, whole) {
				t.Errorf("%v: %x became %x, %v", k, whole, again, err)
			}
		}
	}
}
