package town

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/config"
)

// What [gateway] says arrives in the gateway's types; what is wrong with it is told with
// its key.
func TestGatewayConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), ConfigFile)
	load := func(text string) (settings, error) {
		c := DefaultConfig()
		c.file = file
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.Load(file, &c); err != nil {
			return settings{}, err
		}
		return c.resolve()
	}
	s, err := load(`
[network]
emergency_apn = "sos"
more_apns = ["mms", "ims"]
[gateway]
pool6 = "fd45::/48"
dns = ["10.45.0.1", "2001:db8::53"]
dscp = [[9, 8]]
phone_kbps = 128
gateways = ["192.0.2.0/28"]
[[gateway.apns]]
name = "ims"
pool = ["10.46.0.0/16"]
single_address = true
[gateway.apns.static]
001010000000001 = "10.46.0.9, fd46:0:0:9::/64"
[[gateway.apns]]
name = "partner"
pgw = "192.0.2.7"
`)
	if err != nil {
		t.Fatal(err)
	}
	o := s.gatewayOptions
	if n := o.Networks; len(n) != 3 || len(n[0].Also) != 2 || len(n[0].DNS) != 2 || n[0].IPv6[0] != netip.MustParsePrefix("fd45::/48") || !n[1].Single || len(n[1].Static) != 1 ||
		n[2].PGW != netip.MustParseAddr("192.0.2.7") || o.Policy.DSCP[9] != 8 || o.Policy.DSCP[1] != 46 || o.Policy.Guaranteed != 128_000 || len(o.Gateways) != 1 {
		t.Errorf("%+v", o)
	}
	for text, want := range map[string]string{
		"pool6 = 'fd45::/80'":                              "gateway.router6",
		"pool6 = 'fd45::/24'":                              "gateway.apns",
		"router6 = '10.45.0.2'":                            "gateway.router6",
		"mtu = 1279\npool6 = 'fd45::/48'":                  "gateway.mtu",
		"dns = ['nine']":                                   "gateway.dns",
		"dns = ['fe80::1%eth0']":                           "gateway.dns",
		"redirect = '1m'\nportal = '%0'":                   "gateway.portal",
		"[[gateway.apns.static]]":                          "names something in a list",
		"mtu = 99":                                         "gateway.mtu",
		"nat = 'yes'":                                      "gateway.nat",
		"dscp = [[9]]":                                     "gateway.dscp",
		"phone_qcis = [0]":                                 "gateway.phone_qcis",
		"router = '10.99.0.1'":                             "gateway.router",
		"gateways = ['somewhere']":                         "gateway.gateways",
		"towers = ['somewhere']":                           "gateway.towers",
		"apns = [{ name = 'ims' }]":                        "gateway.apns",
		"apns = [{ name = 'x', pool = ['10.45.3.0/24'] }]": "gateway.apns",
		"apns = [{ name = 'x', pgw = 'there' }]":           "gateway.apns.pgw",
		"apns = [{ name = 'x', pool = ['10.47.0.0/16'], static = { 1 = '10.47.0.9' } }]":             "gateway.apns.static",
		"apns = [{ name = 'x', pool = ['10.47.0.0/16'], static = { 001010000000001 = 'fd00::1' } }]": "gateway.apns.static",
	} {
		if _, err := load("[gateway]\n" + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to name %s", text, err, want)
		}
	}
}

// Packet filters as people write them.
func TestParseFilters(t *testing.T) {
	tft, err := ParseFilters([]string{"down udp remote 203.0.113.7 port 5060-5070 tos 0xb8/0xfc", "both tcp local-port 8080", "up proto 50 remote 2001:db8::/32"})
	if err != nil || len(tft.Filters) != 3 {
		t.Fatalf("%+v, %v", tft, err)
	}
	b := tft.AppendTo(nil)
	if again, err := eps.ParseTFT(b); err != nil || len(again.Filters) != 3 {
		t.Errorf("%x: %v", b, err)
	}
	f, err := datapath.FilterOf(tft.Filters[0])
	if err != nil || f.Up || !f.Down || f.Remote != netip.MustParsePrefix("203.0.113.7/32") || f.RemotePorts != (datapath.PortRange{Lo: 5060, Hi: 5070}) || f.Protocol != 17 || f.TOS != 0xb8 || f.Mask != 0xfc {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := datapath.FilterOf(tft.Filters[2]); err != nil || !f.Up || f.Down || f.Remote != netip.MustParsePrefix("2001:db8::/32") || f.Protocol != 50 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"", "down", "sideways udp", "port", "port x", "port 1-x", "proto 300", "remote here", "tos 999"} {
		if _, err := ParseFilters([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := ParseFilters(make([]string, 16)); err == nil {
		t.Error("16 filters are taken")
	}
}
