// Package xdp is the fast data path: GTP-U between towers and the packet network
// in programs on the kernel's earliest hook, before a packet is anything to the
// rest of it. Control is in Go: who has which bearer, where neighbours are, what
// is told.
//
// It is no whole data path. What its programs do not do themselves they pass,
// untouched, to the kernel and so to a userspace path on the same socket and TUN
// device, which charges the same records: echoes, error indications, end
// markers, unknown TEIDs, fragments, packets that are too big or too old,
// missing neighbours, idle phones, redirects, tunnels to other gateways, phones
// that talk to each other, and everything where addresses are translated.
//
// A packet counts when the driver has taken it: the kernel tells on a tracepoint
// what it did not, and that is taken back.
//
// Frames with VLAN tags that the device does not strip, outer IPv4 headers with
// options, and devices other than the two named go the slow way. The outer UDP
// checksum of uplink is not looked at; the inner packet has its own.
package xdp
