package ipstack

import "testing"

// The MTU of a link is what its router advertises, within what the host was made for.
func TestAdvertisedMTU(t *testing.T) {
	advert := func(mtu uint16) []byte {
		b := make([]byte, 56, 72)
		b[0], b[6], b[7], b[40] = 0x60, 58, 255, 134
		return append(b, 1, 1, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, byte(mtu>>8), byte(mtu))
	}
	for said, want := range map[uint16]uint32{1279: 0, 1280: 1280, 1400: 1400, 1500: 1500, 1501: 0} {
		b := advert(said)
		if got, _ := advertisedMTU(b, 1500); got != want {
			t.Errorf("%d: taken as %d, want %d", said, got, want)
		}
		for n := range b {
			if _, ok := advertisedMTU(b[:n], 1500); ok {
				t.Errorf("the first %d octets are enough", n)
			}
		}
		b[7] = 254
		if _, ok := advertisedMTU(b, 1500); ok {
			t.Error("taken from beyond the link")
		}
	}
}
