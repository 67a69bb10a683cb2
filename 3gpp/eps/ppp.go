package eps

import (
	"fmt"
	"iter"
	"net/netip"

	"campanile.network/3gpp/tree"
)

// Options of IPCP (RFC 1332, RFC 1877).
const (
	ipcpAddress = 3
	ipcpDNS1    = 129
	ipcpNBNS1   = 130
	ipcpDNS2    = 131
	ipcpNBNS2   = 132
)

// The codes of the protocols that protocol configuration options carry (RFC
// 1661, RFC 1334, RFC 1994).
var (
	controlCodes = []string{1: "Configure-Request", 2: "Configure-Ack", 3: "Configure-Nak", 4: "Configure-Reject", 5: "Terminate-Request",
		6: "Terminate-Ack", 7: "Code-Reject", 8: "Protocol-Reject", 9: "Echo-Request", 10: "Echo-Reply", 11: "Discard-Request"}
	papCodes  = []string{1: "Authenticate-Request", 2: "Authenticate-Ack", 3: "Authenticate-Nak"}
	chapCodes = []string{1: "Challenge", 2: "Response", 3: "Success", 4: "Failure"}
	ipcpNames = map[uint8]string{ipcpAddress: "IP-Address", ipcpDNS1: "Primary-DNS-Address", ipcpNBNS1: "Primary-NBNS-Address",
		ipcpDNS2: "Secondary-DNS-Address", ipcpNBNS2: "Secondary-NBNS-Address"}
)

// pppBody is what follows code, identifier and length, which counts these four
// octets too.
func pppBody(b []byte) []byte {
	if len(b) < 4 {
		return nil
	}
	n := int(b[2])<<8 | int(b[3])
	return b[4:min(max(n, 4), len(b))]
}

// pppOptions gives type and content of the options of LCP or IPCP.
func pppOptions(b []byte) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for o := pppBody(b); len(o) >= 2 && int(o[1]) >= 2 && int(o[1]) <= len(o); o = o[o[1]:] {
			if !yield(o[0], o[2:o[1]]) {
				return
			}
		}
	}
}

// pppNode shows addresses; names, passwords and challenges are hidden.
func pppNode(c ContainerID, b []byte) tree.Node {
	codes := map[ContainerID][]string{ContainerLCP: controlCodes, ContainerIPCP: controlCodes, ContainerPAP: papCodes, ContainerCHAP: chapCodes}[c]
	n := bitNodes(c.String(), b, []bitField{{"Code", 0, 8, codes}, {"Identifier", 8, 8, nil}})
	if len(b) < 4 {
		return n
	}
	body, code := pppBody(b), b[0]
	switch {
	case c == ContainerPAP && code == 1:
		n.Nodes = append(n.Nodes, counteds(body, "Peer-ID", "Password")...)
	case c == ContainerPAP:
		n.Nodes = append(n.Nodes, counteds(body, "Message")...)
	case c == ContainerCHAP && code <= 2:
		value := counteds(body, "Value")
		if n.Nodes = append(n.Nodes, value...); len(value) > 0 {
			n.Nodes = append(n.Nodes, hidden("Name", body[1+int(body[0]):]))
		}
	case c == ContainerCHAP || code > 4:
		n.Nodes = append(n.Nodes, hidden("Data", body))
	default:
		n.Nodes = append(n.Nodes, optionNodes(c, b)...)
	}
	return n
}

// counteds are parts with a length octet each, as far as they are whole. They
// are shown as text.
func counteds(b []byte, names ...string) []tree.Node {
	var list []tree.Node
	for _, name := range names {
		val, rest, ok := counted(b)
		if !ok {
			break
		}
		n := hidden(name, val)
		if name != "Value" {
			n.Value = string(val)
		}
		list = append(list, n)
		b = rest
	}
	return list
}

func optionNodes(c ContainerID, b []byte) []tree.Node {
	var list []tree.Node
	for kind, o := range pppOptions(b) {
		name, known := ipcpNames[kind]
		address, ok := netip.AddrFromSlice(o)
		if known && ok && c == ContainerIPCP {
			list = append(list, tree.Leaf(name, address))
		} else {
			list = append(list, hidden(fmt.Sprintf("Option %d", kind), o))
		}
	}
	return list
}
