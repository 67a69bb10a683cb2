package sip

import (
	"testing"

	"campanile.network/wire/sip/sdp"
)

// TestTortureBodies: the descriptions in well-formed messages of RFC 4475 and RFC 5118
// can be read, and say where media go (RFC 5118 §4.6, §4.8, §4.9).
func TestTortureBodies(t *testing.T) {
	want := map[string][]string{
		"wsinv":            {"192.0.2.4:49217", "192.0.2.4:3227"},
		"unreason":         {"192.0.2.198:49217", "192.0.2.198:3227"},
		"inv2543":          {"192.0.2.5:49217"},
		"ipv6-in-sdp":      {"[2001:db8::20]:6000", "[2001:db8::20]:6024"},
		"mult-ip-in-sdp":   {"192.0.2.1:22334", "[2001:db8::1]:6024"},
		"ipv4-mapped-ipv6": {"192.0.2.2:6000", "192.0.2.2:6024"},
	}
	order, messages := published(t)
	read := 0
	for _, id := range order {
		m, err := Parse(messages[id], false)
		if err != nil || m.MediaType() != "application/sdp" {
			continue
		}
		s, err := sdp.Parse(m.Body)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		read++
		for i, addr := range want[id] {
			if got, ok := s.Addr(&s.Media[i]); !ok || got.String() != addr {
				t.Errorf("%s: media to %v, want %s", id, got, addr)
			}
		}
	}
	if read < 12 {
		t.Errorf("%d descriptions only", read)
	}
}
