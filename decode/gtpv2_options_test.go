package decode_test

import (
	"strings"
	"testing"

	"campanile.network/decode"
)

// Elements of flags, options and filters are shown in words: the same that
// tshark 4.0 has for these octets.
func TestGTPv2Options(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"indication":  {"4820000f000000010000010" + "0" + "4d000300" + "a10900", "Indication\n    DAF: true\n    HI: true\n    SGWCI: true\n    P: true\n    MSV: true\n"},
		"no flag":     {"4820000d000000010000010" + "0" + "4d000100" + "00", "Indication: no flag is set\n"},
		"later flags": {"48200016" + "0000000100000100" + "4d000a00" + "00000000000000000180", "Indication\n    EMCI: true\n    flags of later releases: 80\n"},
		"options of a phone": {"48200010" + "0000000100000100" + "4e000400" + "80000d00",
			"PCO\n    Configuration protocol: PPP for use with IP PDP type or IP PDN type (#0)\n    DNS Server IPv4 Address Request: no content\n"},
		"options of a network": {"48210014" + "0000000100000100" + "4e000800" + "80000d0408080808", "    DNS Server IPv4 Address: 8.8.8.8\n"},
		"extended options":     {"48210014" + "0000000100000100" + "c5000800" + "80000d0408080404", "    DNS Server IPv4 Address: 8.8.4.4\n"},
		"filters": {"485f0019" + "0000000100000100" + "5d000d00" + "54000900" + "213105053011" + "5013c4",
			"Bearer TFT\n      TFT operation code: create new TFT (#1)\n      Packet filter list\n        [0]\n          Packet filter identifier: 1\n" +
				"          Packet filter direction: bidirectional (#3)\n          Packet filter evaluation precedence: 5\n" +
				"          Protocol identifier/Next header: 17\n          Single remote port: 5060\n"},
		"bearer flags": {"485f000d" + "0000000100000100" + "61000100" + "06", "Bearer Flags\n    VB: true\n    Vind: true\n"},
		"flow":         {"485f0021" + "0000000100000100" + "51001500" + "05" + "00000003e8" + "00000007d0" + "0000000001" + "0100000000", "Flow QoS\n    QCI: 5\n    MBR for uplink: 1000 kbit/s\n    MBR for downlink: 2000 kbit/s\n    GBR for uplink: 1 kbit/s\n    GBR for downlink: 4294967296 kbit/s\n"},
		"container":    {"4885000f" + "0000000100000100" + "76000300" + "03aabb", "F-Container\n    Container Type: E-UTRAN transparent container (3)\n    F-Container field: aabb\n"},
	} {
		out, _, err := run(t, decode.Options{}, []byte(c.in))
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%swant\n%s", name, err, out, c.want)
		}
	}
	const password = "4820001d" + "0000000100000100" + "4e001100" + "80c0230d0101000d03626f620373657363"
	if out, _, err := run(t, decode.Options{Mask: true}, []byte(password)); err != nil || !strings.Contains(out, "PAP") || strings.Contains(out, "736573") {
		t.Errorf("masked: %v\n%s", err, out)
	}
	for _, in := range []string{"485f000d" + "0000000100000100" + "54000100" + "3f", "48200010" + "0000000100000100" + "51000400" + "05000000"} {
		if out, _, err := run(t, decode.Options{As: "gtpv2"}, []byte(in)); err == nil || !strings.Contains(out, "cannot be read") {
			t.Errorf("%s: %v\n%s", in, err, out)
		}
	}
}
