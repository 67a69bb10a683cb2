package sip

import (
	"net/netip"
	"slices"
	"strings"
)

// Equal compares URIs as RFC 3261 §19.1.4 does: user and password exactly, the
// rest in any case; user, ttl, method, maddr and transport must be in both or in neither,
// other parameters only agree where both have them, headers all must agree. A
// tel URI is its number without visual separators (RFC 3966 §4). It differs
// from §19.1.4 in this: what is escaped equals the same unescaped, always.
func (u URI) Equal(v URI) bool {
	if u.Scheme != v.Scheme {
		return false
	}
	switch u.Scheme {
	case "sip", "sips":
		return u.User == v.User && u.Password == v.Password && u.Port == v.Port && sameHost(u.Host, v.Host) &&
			agree(u.Params, v.Params) && agree(v.Params, u.Params) && sameHeaders(u.Headers, v.Headers)
	case "tel":
		n := u.Number()
		return (n != "" && n == v.Number() || u.User == v.User) && sameAll(u.Params, v.Params)
	}
	return u.Opaque == v.Opaque
}

func sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	return err == nil && err2 == nil && x == y
}

// agree reports whether what a has goes with b.
func agree(a, b Params) bool {
	for _, p := range a {
		v, ok := b.Lookup(p.Name)
		if ok && !strings.EqualFold(v, p.Value) {
			return false
		}
		if !ok && slices.ContainsFunc([]string{"user", "ttl", "method", "maddr", "transport"}, func(s string) bool { return strings.EqualFold(s, p.Name) }) {
			return false
		}
	}
	return true
}

func sameAll(a, b Params) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(p Param) bool {
		v, ok := b.Lookup(p.Name)
		return !ok || !strings.EqualFold(v, p.Value)
	})
}

// sameHeaders compares headers of a URI, in any order.
func sameHeaders(a, b Params) bool {
	key := func(p Params) []string {
		k := make([]string, 0, len(p))
		for _, h := range p {
			k = append(k, strings.ToLower(h.Name)+"\x00"+h.Value)
		}
		slices.Sort(k)
		return k
	}
	return slices.Equal(key(a), key(b))
}
