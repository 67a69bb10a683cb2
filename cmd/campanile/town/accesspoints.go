package town

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/wire/home"

	pb "campanile.network/wire/corepb"
)

// parseAPNs reads the further access points of the network.
func parseAPNs(names []string, first id.APN) (out []id.APN, err error) {
	for _, n := range names {
		a, err := id.ParseAPN(n)
		switch {
		case err != nil:
			return nil, err
		case a == id.AnyAPN:
			return nil, fmt.Errorf("%q is for subscriptions, not the name of an access point", n)
		case a == first || slices.Contains(out, a):
			return nil, fmt.Errorf("%q is named twice", n)
		}
		out = append(out, a)
	}
	return out, nil
}

// pdnTypes are the words for what addresses a subscriber may have.
var pdnTypes = map[string]home.PDNType{"": home.PDNAny, "ipv4": home.PDNIPv4, "ipv6": home.PDNIPv6, "ipv4v6": home.PDNBoth, "either": home.PDNEither}

// accessPoint reads what a subscriber is to have at one; what is not said is like at
// another.
func (s *settings) accessPoint(m *pb.AccessPoint, like home.APN) (a home.APN, err error) {
	a = like
	a.IPv4 = netip.Addr{}
	if a.Name, err = id.ParseAPN(m.Name); err != nil {
		return a, err
	}
	if serves := s.apns(); a.Name != id.AnyAPN && !slices.Contains(serves, a.Name) {
		return a, fmt.Errorf("no gateway of this network serves APN %q: it has %v; add it to network.more_apns", m.Name, serves)
	}
	pdn, ok := pdnTypes[strings.ToLower(m.Pdn)]
	switch {
	case !ok:
		return a, fmt.Errorf("APN %q: PDN type %q: want ipv4, ipv6, ipv4v6 or either", m.Name, m.Pdn)
	case m.Qci > 254 || m.Arp > 15:
		return a, fmt.Errorf("APN %q: QCI %d, ARP %d: want at most 254 and 15", m.Name, m.Qci, m.Arp)
	case m.Ipv4 != "":
		if a.IPv4, err = netip.ParseAddr(m.Ipv4); err != nil || !a.IPv4.Is4() {
			return a, fmt.Errorf("APN %q: %q is no IPv4 address", m.Name, m.Ipv4)
		}
		if a.Name == id.AnyAPN || pdn == home.PDNIPv6 {
			return a, fmt.Errorf("APN %q: a fixed IPv4 address needs a name and IPv4", m.Name)
		}
	}
	a.PDN = pdn
	if m.Qci != 0 {
		a.QCI = id.QCI(m.Qci)
	}
	if m.Arp != 0 {
		a.ARP = uint8(m.Arp)
	}
	return a, nil
}

// setAccessPoints gives a profile access points, the default one first.
func (s *settings) setAccessPoints(p *home.Profile, list []*pb.AccessPoint) error {
	if len(list) > home.MaxAPNs+1 {
		return fmt.Errorf("%d access points, at most %d", len(list), home.MaxAPNs+1)
	}
	like := p.Default()
	p.APNs = nil
	names := map[id.APN]bool{}
	for i, m := range list {
		a, err := s.accessPoint(m, like)
		switch {
		case err != nil:
			return err
		case names[a.Name]:
			return fmt.Errorf("APN %q is named twice", m.Name)
		case i == 0 && a.Name == id.AnyAPN:
			return fmt.Errorf("the first APN is the default and needs a name; %q may follow", m.Name)
		case i == 0:
			p.APN, p.QCI, p.ARP, p.IPv4, p.PDN = a.Name, a.QCI, a.ARP, a.IPv4, a.PDN
		default:
			p.APNs = append(p.APNs, a)
		}
		names[a.Name] = true
	}
	return nil
}

// accessPoints tells a profile's, the default one first.
func accessPoints(p home.Profile) (out []*pb.AccessPoint) {
	for _, a := range append([]home.APN{p.Default()}, p.APNs...) {
		m := &pb.AccessPoint{Name: a.Name.String(), Qci: uint32(a.QCI), Arp: uint32(a.ARP)}
		for word, pdn := range pdnTypes {
			if pdn == a.PDN {
				m.Pdn = word
			}
		}
		if a.IPv4.IsValid() {
			m.Ipv4 = a.IPv4.String()
		}
		out = append(out, m)
	}
	return out
}

// ParseAccessPoints reads words such as ims,qci=5,pdn=ipv6.
func ParseAccessPoints(words []string) (out []*pb.AccessPoint, err error) {
	for _, w := range words {
		name, rest, more := strings.Cut(w, ",")
		a := &pb.AccessPoint{Name: name}
		for more {
			var part string
			part, rest, more = strings.Cut(rest, ",")
			key, value, _ := strings.Cut(part, "=")
			switch key {
			case "qci", "arp":
				n, err := strconv.ParseUint(value, 10, 8)
				if err != nil || n == 0 {
					return nil, fmt.Errorf("%s: %s is no number from 1 to 255", w, part)
				}
				if key == "qci" {
					a.Qci = uint32(n)
				} else {
					a.Arp = uint32(n)
				}
			case "pdn":
				a.Pdn = value
			case "ip":
				a.Ipv4 = value
			default:
				return nil, fmt.Errorf("%s: %q is unknown; write qci=, arp=, pdn= or ip=", w, key)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// accessPointWords writes what ParseAccessPoints reads: of each what it has other
// than the default one.
func accessPointWords(p home.Profile) (words []string) {
	list := accessPoints(p)
	for i, a := range list {
		w := a.Name
		say := func(key, value string, differs bool) {
			if differs {
				w += "," + key + "=" + value
			}
		}
		say("qci", strconv.Itoa(int(a.Qci)), i > 0 && a.Qci != list[0].Qci)
		say("arp", strconv.Itoa(int(a.Arp)), i > 0 && a.Arp != list[0].Arp)
		say("pdn", a.Pdn, a.Pdn != "")
		say("ip", a.Ipv4, a.Ipv4 != "")
		words = append(words, w)
	}
	return words
}

// setAPNs is what the console asks for of a phone that the MME knows.
func (t *Town) setAPNs(ctx context.Context, phone string, words []string) (string, error) {
	d, ok := (phones{t: t}).find(phone)
	if !ok || !strings.HasPrefix(phone, "p") {
		return "", fmt.Errorf("no phone has the id %q", phone)
	}
	list, err := ParseAccessPoints(words)
	if err != nil {
		return "", err
	}
	r, err := (&admin{handset: handset{t}, t: t}).SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: d.IMSI.Digits(), Apns: list})
	if s, ok := status.FromError(err); err != nil && ok {
		return "", errors.New(s.Message())
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("On the ledger since block %d. The phone has it from its next attach on.", r.Height), nil
}

// apnSetter is nil where no subscribers are.
func (t *Town) apnSetter() func(context.Context, string, []string) (string, error) {
	if t.hss == nil {
		return nil
	}
	return t.setAPNs
}
