package town

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/gateway"
	"campanile.network/sdr/sim"
)

// Phones of IPv4, of IPv6 and of both attach to one process without root. Each finds the
// gateway's page by name, at the name server that it was told of, moves megabytes both
// ways, and has pings of the size of an Ethernet frame answered. What they moved is what
// was counted.
func TestIPVersions(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, func(c *Config) {
		c.Gateway.Pool6, c.Gateway.MTU, c.Radio.Phones = "fd45:2::/48", 1500, 3
	}), core())
	if err := w.enb.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		pdn eps.PDNType
		v4  bool
		v6  bool
	}{{eps.PDNTypeIPv4, true, false}, {eps.PDNTypeIPv6, false, true}, {eps.PDNTypeIPv4v6, true, true}} {
		t.Run(c.pdn.String(), func(t *testing.T) {
			p, err := sim.NewPhone(sim.PhoneOptions{SIM: w.cards[i], ENB: w.enb, PDN: c.pdn, IP: true, Log: w.role("phone")})
			if err != nil {
				t.Fatal(err)
			}
			defer p.SwitchOff()
			s, err := attach(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			if s.Address.IsValid() != c.v4 || (s.IID != [8]byte{}) != c.v6 || c.v4 && s.MTU != 1500 {
				t.Fatalf("%+v", s)
			}
			var own []netip.Addr
			if c.v4 {
				own = append(own, netip.MustParseAddr("10.45.0.1"))
			}
			if c.v6 {
				own = append(own, netip.MustParseAddr("fd45:2::1"))
				a, err := p.Host().Addr6(ctx)
				if err != nil || !netip.MustParsePrefix("fd45:2::/48").Contains(a) || netip.MustParsePrefix("fd45:2::/64").Contains(a) {
					t.Fatalf("made the address %v, %v", a, err)
				}
			}
			if fmt.Sprint(s.DNS) != fmt.Sprint(own) {
				t.Errorf("told of the name servers %v, want %v", s.DNS, own)
			}
			base := "http://web.campanile"
			browseAt(t, ctx, p, base)
			for _, a := range own {
				if err := p.Host().Ping(ctx, a, bytes.Repeat([]byte{0xca}, 1472)); err != nil {
					t.Error(err)
				}
				browseAt(t, ctx, p, "http://"+net.JoinHostPort(a.String(), "80"))
			}
			if err := quiet(ctx, p); err != nil {
				t.Fatal(err)
			}
			ul, dl := p.Counted()
			eventually(t, ctx, "the gateway to have counted the same", func() bool {
				return someSession(w.gateway.Sessions(), func(x gateway.SessionInfo) bool {
					return x.IMSI == w.cards[i].IMSI && x.Count.ULOctets+x.Count.LostOctets == ul && x.Count.DLOctets == dl // lost over its rate
				})
			})
			if err := p.Detach(ctx, false); err != nil {
				t.Error(err)
			}
		})
	}
}

func someSession(all []gateway.SessionInfo, ok func(gateway.SessionInfo) bool) bool {
	for _, s := range all {
		if ok(s) {
			return true
		}
	}
	return false
}

// browseAt moves two megabytes each way and looks at every octet.
func browseAt(t *testing.T, ctx context.Context, p *sim.Phone, base string) {
	t.Helper()
	const size = 2 << 20
	tr := &http.Transport{DisableKeepAlives: true, DialContext: p.Host().DialContext}
	defer tr.CloseIdleConnections()
	web := &http.Client{Transport: tr}
	fetch := func(r *http.Request, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", r.URL, res.Status, err)
		}
		return b
	}
	want := sha256.New()
	io.CopyN(want, pattern{}, size)
	got := sha256.Sum256(fetch(http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/bytes?n=%d", base, size), nil)))
	if !bytes.Equal(got[:], want.Sum(nil)) {
		t.Errorf("%s: other octets have come than were sent", base)
	}
	if b := fetch(http.NewRequestWithContext(ctx, http.MethodPost, base+"/sink", io.LimitReader(pattern{}, size))); string(b) != fmt.Sprintf("%d\n", size) {
		t.Errorf("%s: took %q", base, b)
	}
}
