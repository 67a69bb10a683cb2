package ipstack

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, name string, typ dnsmessage.Type) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNamesAreAnsweredHere(t *testing.T) {
	f := NewNames(NamesOptions{Names: map[string]netip.Addr{"web.campanile": netip.MustParseAddr("10.45.0.1"), "six.campanile": netip.MustParseAddr("2001:db8::1")}})
	for _, c := range []struct {
		name    string
		typ     dnsmessage.Type
		ours    bool
		answers int
	}{
		{"web.campanile.", dnsmessage.TypeA, true, 1},
		{"WEB.Campanile.", dnsmessage.TypeA, true, 1},
		{"web.campanile.", dnsmessage.TypeAAAA, true, 0}, // exists, has no such address
		{"six.campanile.", dnsmessage.TypeAAAA, true, 1},
		{"six.campanile.", dnsmessage.TypeA, true, 0},
		{"example.org.", dnsmessage.TypeA, false, 0},
	} {
		b, ok := f.known(query(t, c.name, c.typ))
		if ok != c.ours {
			t.Errorf("%s: ours %v", c.name, ok)
			continue
		}
		if !ok {
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil || m.ID != 7 || !m.Response || m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != c.answers {
			t.Errorf("%s %v: %+v, %v", c.name, c.typ, m, err)
		}
	}
	var m dnsmessage.Message
	if err := m.Unpack(failure(query(t, "example.org.", dnsmessage.TypeA))); err != nil || m.RCode != dnsmessage.RCodeServerFailure || len(m.Questions) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestNameserverOfResolvConf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	for text, want := range map[string]string{"# x\nsearch a\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n": "192.0.2.1:53", "nameserver 2001:db8::1\n": "[2001:db8::1]:53", "": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := nameserver(file); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func FuzzDNS(f *testing.F) {
	f.Add(query(f, "web.campanile.", dnsmessage.TypeA))
	f.Add([]byte{})
	fw := NewNames(NamesOptions{Names: map[string]netip.Addr{"web.campanile": netip.MustParseAddr("10.45.0.1")}})
	f.Fuzz(func(t *testing.T, b []byte) {
		res, ok := fw.known(b)
		if len(res) > 0 && !ok {
			t.Error("answered a query that is not ours")
		}
		failure(b)
	})
}
