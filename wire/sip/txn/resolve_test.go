package txn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"campanile.network/wire/sip"
)

// zone is a resolver that knows few names, and notes what it is asked.
type zone struct{ asked []string }

func (z *zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	q := "_" + service + "._" + proto + "." + name
	z.asked = append(z.asked, q)
	switch q {
	case "_sip._udp.both.example":
		return "", []*net.SRV{{Target: "a.example", Port: 5070}, {Target: "gone.example", Port: 5060}, {Target: "b.example", Port: 5080}}, nil
	case "_sips._tcp.both.example":
		return "", []*net.SRV{{Target: "a.example", Port: 5071}}, nil
	case "_sip._tcp.never.example":
		return "", []*net.SRV{{Target: ".", Port: 0}}, nil
	}
	return "", nil, &net.DNSError{IsNotFound: true}
}

func (z *zone) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	z.asked = append(z.asked, host)
	switch host {
	case "a.example":
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
	case "b.example", "plain.example", "never.example":
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.2")}, nil
	case "empty.example":
		return nil, nil
	}
	return nil, &net.DNSError{IsNotFound: true}
}

// TestResolve is RFC 3263 §4 without NAPTR.
func TestResolve(t *testing.T) {
	for _, c := range []struct{ uri, want, asked string }{
		{"sip:a@192.0.2.9", "UDP 192.0.2.9:5060", ""},
		{"sip:a@[2001:db8::9]:5070;transport=tcp", "TCP [2001:db8::9]:5070", ""},
		{"sips:a@192.0.2.9", "TLS 192.0.2.9:5061", ""},
		{"sips:a@192.0.2.9;transport=tcp", "TLS 192.0.2.9:5061", ""},
		{"sip:a@x.example;maddr=192.0.2.8", "UDP 192.0.2.8:5060", ""},
		{"sip:both.example", "UDP 192.0.2.1:5070, UDP [2001:db8::1]:5070, UDP 192.0.2.2:5080, TLS 192.0.2.1:5071, TLS [2001:db8::1]:5071",
			"_sip._udp.both.example a.example gone.example b.example _sip._tcp.both.example _sips._tcp.both.example a.example"},
		{"sip:both.example;transport=tls", "TLS 192.0.2.1:5071, TLS [2001:db8::1]:5071", "_sips._tcp.both.example a.example"},
		{"sip:both.example:5099", "", "both.example"},
		{"sip:plain.example:5099;transport=TCP", "TCP 192.0.2.2:5099", "plain.example"},
		{"sips:plain.example", "TLS 192.0.2.2:5061", "_sips._tcp.plain.example plain.example"},
		{"sip:never.example;transport=tcp", "TCP 192.0.2.2:5060", "_sip._tcp.never.example never.example"},
		{"sip:empty.example:5060", "", "empty.example"},
		{"sip:a@192.0.2.9;transport=sctp", "", ""},
		{"sips:a@192.0.2.9;transport=udp", "", ""},
		{"tel:+4930123456", "", ""},
	} {
		u, err := sip.ParseURI(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		z := &zone{}
		list, err := Resolve(t.Context(), z, &u)
		var got []string
		for _, x := range list {
			got = append(got, fmt.Sprint(x.Transport, " ", x.Addr))
			if x.Name != strings.Trim(u.Host, "[]") && !u.Params.Has("maddr") {
				t.Errorf("%s: certificate for %q", c.uri, x.Name)
			}
		}
		if s := strings.Join(got, ", "); s != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s leads to %q, %v; want %q", c.uri, s, err, c.want)
		}
		if s := strings.Join(z.asked, " "); s != c.asked {
			t.Errorf("%s asks %q, want %q", c.uri, s, c.asked)
		}
	}
	u := sip.URI{Scheme: "tel"}
	if _, err := Resolve(t.Context(), &zone{}, &u); !errors.Is(err, ErrNoTarget) {
		t.Error(err)
	}
}
