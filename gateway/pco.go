package gateway

import (
	"encoding/binary"
	"net/netip"

	"campanile.network/3gpp/eps"
)

// Containers of protocol configuration options (TS 24.008 §10.5.6.3).
const (
	pcoIPCP = 0x8021
	pcoDNS6 = 0x0003
	pcoDNS4 = 0x000d
	pcoMTU4 = 0x0010

	ipcpRequest, ipcpNak = 1, 3
	ipcpDNS1, ipcpDNS2   = 129, 131 // RFC 1877
)

// answerPCO answers a phone's protocol configuration options: name servers by
// containers 0x0003 and 0x000d or by IPCP, the link MTU of IPv4 by 0x0010 (of IPv6
// router advertisements tell it). nil when it asked for nothing we tell, or wrote
// nothing legible.
func answerPCO(asked []byte, servers []netip.Addr, mtu uint16) []byte {
	if len(asked) < 1 || asked[0]&0x80 == 0 {
		return nil
	}
	out := []byte{0x80} // extension 1, configuration protocol PPP
	put := func(container uint16, v []byte) {
		out = binary.BigEndian.AppendUint16(out, container)
		out = append(append(out, byte(len(v))), v...)
	}
	var dns, dns6 []netip.Addr
	for _, a := range servers {
		if a.Is4() {
			dns = append(dns, a)
		} else {
			dns6 = append(dns6, a)
		}
	}
	seen := map[eps.ContainerID]bool{}
	for c, v := range eps.PCO(asked).Units(eps.Uplink) {
		if seen[c] {
			continue
		}
		seen[c] = true
		switch c {
		case pcoDNS4:
			for _, a := range dns[:min(len(dns), 4)] {
				put(pcoDNS4, a.AsSlice())
			}
		case pcoDNS6:
			for _, a := range dns6[:min(len(dns6), 4)] {
				put(pcoDNS6, a.AsSlice())
			}
		case pcoMTU4:
			put(pcoMTU4, binary.BigEndian.AppendUint16(nil, mtu))
		case pcoIPCP:
			if nak := answerIPCP(v, dns); nak != nil {
				put(pcoIPCP, nak)
			}
		}
	}
	if len(out) == 1 {
		return nil
	}
	return out
}

// answerIPCP answers a Configure-Request that asks for name servers with a
// Configure-Nak that suggests ours (RFC 1332, RFC 1877).
func answerIPCP(p []byte, dns []netip.Addr) []byte {
	if len(p) < 4 || p[0] != ipcpRequest {
		return nil
	}
	size := int(binary.BigEndian.Uint16(p[2:]))
	if size < 4 || size > len(p) {
		return nil
	}
	nak := []byte{ipcpNak, p[1], 0, 0}
	for o := p[4:size]; len(o) >= 2 && int(o[1]) >= 2 && int(o[1]) <= len(o); o = o[o[1]:] {
		i := 0
		switch o[0] {
		case ipcpDNS2:
			i = 1
		case ipcpDNS1:
		default:
			continue
		}
		if i < len(dns) && len(nak) <= 16 {
			nak = append(append(nak, o[0], 6), dns[i].AsSlice()...)
		}
	}
	if len(nak) == 4 {
		return nil
	}
	binary.BigEndian.PutUint16(nak[2:], uint16(len(nak)))
	return nak
}
