package town

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"campanile.network/3gpp/eps"
)

// ParseFilters reads packet filters as people write them, each a line of words: "up",
// "down" or "both"; "udp", "tcp", "icmp" or "proto N"; "remote PREFIX", "local PREFIX";
// "port N" or "port N-M" of the remote end, "local-port" of the phone's; "tos N/MASK".
// Earlier ones are evaluated first. They are an operation that creates, or without any
// filter nothing.
func ParseFilters(lines []string) (t eps.TFT, err error) {
	t.Operation = eps.TFTCreate
	if len(lines) > 15 {
		return t, fmt.Errorf("%d filters: at most 15", len(lines))
	}
	for i, line := range lines {
		f := eps.PacketFilter{Direction: eps.FilterBidirectional, ID: uint8(i), Precedence: uint8(100 + i)}
		if err := parseFilter(strings.Fields(line), &f); err != nil {
			return t, fmt.Errorf("filter %q: %w", line, err)
		}
		t.Filters = append(t.Filters, f)
	}
	return t, nil
}

func parseFilter(words []string, f *eps.PacketFilter) error {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch word {
		case "up":
			f.Direction = eps.FilterUplink
			continue
		case "down":
			f.Direction = eps.FilterDownlink
			continue
		case "both":
			continue
		case "udp", "tcp", "icmp":
			f.Components = f.Components.With(eps.FilterProtocol, map[string]byte{"udp": 17, "tcp": 6, "icmp": 1}[word])
			continue
		}
		if len(words) == 0 {
			return fmt.Errorf("%q: want up, down, both, udp, tcp, icmp, or proto, remote, local, port, local-port or tos with a value", word)
		}
		value := words[0]
		words = words[1:]
		c, err := component(f.Components, word, value)
		if err != nil {
			return err
		}
		f.Components = c
	}
	if len(f.Components) == 0 {
		return fmt.Errorf("it says nothing of packets")
	}
	return nil
}

func component(c eps.FilterComponents, word, value string) (eps.FilterComponents, error) {
	switch word {
	case "proto":
		n, err := strconv.ParseUint(value, 10, 8)
		return c.With(eps.FilterProtocol, byte(n)), err
	case "remote", "local":
		return addresses(c, word, value)
	case "port", "local-port":
		one, span := eps.FilterRemotePort, eps.FilterRemotePortRange
		if word == "local-port" {
			one, span = eps.FilterLocalPort, eps.FilterLocalPortRange
		}
		low, high, two := strings.Cut(value, "-")
		a, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return c, err
		}
		b := binary.BigEndian.AppendUint16(nil, uint16(a))
		if !two {
			return c.With(one, b...), nil
		}
		z, err := strconv.ParseUint(high, 10, 16)
		return c.With(span, binary.BigEndian.AppendUint16(b, uint16(z))...), err
	case "tos":
		v, mask, _ := strings.Cut(value, "/")
		a, err := strconv.ParseUint(v, 0, 8)
		if err != nil {
			return c, err
		}
		m := uint64(255)
		if mask != "" {
			m, err = strconv.ParseUint(mask, 0, 8)
		}
		return c.With(eps.FilterTypeOfService, byte(a), byte(m)), err
	}
	return c, fmt.Errorf("%q is no word for packets", word)
}

func addresses(c eps.FilterComponents, word, value string) (eps.FilterComponents, error) {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return c, err
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	a := p.Masked().Addr()
	if a.Is6() {
		kind := eps.FilterIPv6RemotePrefix
		if word == "local" {
			kind = eps.FilterIPv6LocalPrefix
		}
		return c.With(kind, append(a.AsSlice(), byte(p.Bits()))...), nil
	}
	kind := eps.FilterIPv4Remote
	if word == "local" {
		kind = eps.FilterIPv4Local
	}
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))
	return c.With(kind, append(a.AsSlice(), mask...)...), nil
}
