package town

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"campanile.network/gateway"
	"campanile.network/internal/config"
)

// FuzzGatewayConfig reads what may be written under [gateway]: it is refused with the
// place of the mistake, or something that a gateway can be made of.
func FuzzGatewayConfig(f *testing.F) {
	for _, text := range []string{
		"pool6 = 'fd45::/48'\nrouter6 = 'fd45::1'\ndns = ['10.45.0.1', '2001:db8::53']\ndscp = [[9, 8]]\nphone_kbps = 128\ngateways = ['192.0.2.0/28']\ntowers = ['::/0']",
		"[[gateway.apns]]\nname = 'ims'\npool = ['10.46.0.0/16', '10.47.0.0/30']\npool6 = ['fd46::/64']\nmtu = 9000\nsingle_address = true\n[gateway.apns.static]\n001010000000001 = '10.46.0.9, fd46:0:0:9::/64'",
		"[[gateway.apns]]\nname = 'partner'\npgw = '192.0.2.7'",
		"[[gateway.services]]\nname = 'films'\nhosts = ['203.0.113.0/24', '::1']\nprotocol = 'tcp'\nports = ['443', '8000-9000']\ngroup = 10\n[[gateway.services]]\nname = 'town hall'\nhosts = ['198.51.100.7']\nfree = true",
		"redirect = '1m'\nportal = '%0X'", "redirect = '10m'\nportal = 'http://pay.example/x'\nportal_hosts = ['203.0.113.9']",
		"[[gateway.apns.static]]", "[gateway.services.name]",
		"nat = 'both'\npool6 = 'fd45::/48'\nworkers = -1\ndata_path = 'tun'\nxdp_mode = 'generic'",
		"pool = '10.45.0.0/31'\nrouter = '10.45.0.1'", "pool = '0.0.0.0/0'\nrouter = '1.1.1.1'", "pool = '::/8'\nrouter = '::1'", "pool6 = 'ffff::/16'\ndns = ['fe80::1%eth0']",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := DefaultConfig()
		c.file = "campanile.toml"
		if config.Parse(c.file, []byte("[gateway]\n"+text), &c) != nil {
			return
		}
		s, err := c.resolve()
		if err != nil {
			if e := (*config.Error)(nil); !errors.As(err, &e) || e.What == "" {
				t.Errorf("%v: no place is named", err)
			}
			return
		}
		o := s.gatewayOptions
		if err := gateway.CheckNetworks(o.Networks); err != nil {
			t.Errorf("taken, and then: %v", err)
		}
		for _, n := range o.Networks {
			for _, a := range append(slices.Clone(n.DNS), n.Router, n.Router6, n.PGW) {
				if a.Zone() != "" {
					t.Errorf("%v is of a device that phones and gateways have not", a)
				}
			}
			if n.PGW.IsValid() != (len(n.IPv4)+len(n.IPv6) == 0) {
				t.Errorf("%+v", n)
			}
		}
		if !s.pool.Contains(s.router) || !s.router.Is4() || slices.ContainsFunc(o.Gateways, func(p netip.Prefix) bool { return !p.IsValid() }) {
			t.Errorf("router %v of %v, gateways %v", s.router, s.pool, o.Gateways)
		}
	})
}
