// Package capture reads recorded traffic: pcap and pcapng files, the link and
// network layers in them, and out of those what travels on IP: the payload of
// UDP and SCTP, with fragments put together.
//
// It is not a dissector and not a capture tool: it knows nothing above IP but
// where UDP's payload begins, opens no device and needs no libpcap. Every
// octet it reads may be hostile: sizes are checked before memory is taken, and
// what it keeps between frames is bounded.
package capture

import (
	"fmt"
	"time"
)

// LinkType is how a frame begins: a LINKTYPE_ value of pcap and pcapng.
type LinkType uint16

// Link types that Network.Open reads.
const (
	LinkNull     LinkType = 0 // BSD loopback
	LinkEthernet LinkType = 1
	LinkRawBSD   LinkType = 12 // raw IP, as some systems wrote it
	LinkRawOBSD  LinkType = 14 // raw IP, as others did
	LinkRaw      LinkType = 101
	LinkLoop     LinkType = 108 // OpenBSD loopback
	LinkSLL      LinkType = 113 // Linux cooked
	LinkUser0    LinkType = 147 // to LinkUser15: messages without any network around them
	LinkUser15   LinkType = 162
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkUpperPDU LinkType = 252 // Wireshark's exported PDUs
	LinkSLL2     LinkType = 276 // Linux cooked, second version
)

// String names the link types that are read, and numbers the others.
func (l LinkType) String() string {
	switch l {
	case LinkNull, LinkLoop:
		return "loopback"
	case LinkEthernet:
		return "Ethernet"
	case LinkRaw, LinkRawBSD, LinkRawOBSD, LinkIPv4, LinkIPv6:
		return "raw IP"
	case LinkSLL, LinkSLL2:
		return "Linux cooked"
	case LinkUpperPDU:
		return "exported PDU"
	}
	if l >= LinkUser0 && l <= LinkUser15 {
		return fmt.Sprintf("user link type %d", uint16(l))
	}
	return fmt.Sprintf("link type %d", uint16(l))
}

// Packet is one recorded frame.
type Packet struct {
	Number int // counted from 1
	Time   time.Time
	Link   LinkType
	Data   []byte // valid until the next call of Next
	Length int    // octets on the wire; more than len(Data) when the capture cut it
}

// Error is a damaged file, and where: everything before that frame was read.
type Error struct {
	Frame int // the frame that could not be read
	What  string
}

func (e *Error) Error() string { return fmt.Sprintf("frame %d: %s", e.Frame, e.What) }
