package gtpu

import (
	"encoding/binary"
	"fmt"
)

// InnerLen gives the length of an IPv4 or IPv6 packet by its own header, in
// octets: what is metered for a T-PDU. The packet must be whole; octets behind
// it are padding and do not count. ErrInner for anything else, an IPv6 jumbogram
// included.
func InnerLen(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("%w: empty", ErrInner)
	}
	n := 0
	switch v := packet[0] >> 4; v {
	case 4:
		header := int(packet[0]&0x0f) * 4
		if header < 20 || len(packet) < header {
			return 0, fmt.Errorf("%w: IPv4 header of %d octets in %d", ErrInner, header, len(packet))
		}
		if n = int(binary.BigEndian.Uint16(packet[2:])); n < header {
			return 0, fmt.Errorf("%w: IPv4 total length %d below its header of %d", ErrInner, n, header)
		}
	case 6:
		if len(packet) < 40 {
			return 0, fmt.Errorf("%w: IPv6 header in %d octets", ErrInner, len(packet))
		}
		payload := int(binary.BigEndian.Uint16(packet[4:]))
		if payload == 0 && packet[6] == 0 {
			return 0, fmt.Errorf("%w: IPv6 jumbogram", ErrInner)
		}
		n = 40 + payload
	default:
		return 0, fmt.Errorf("%w: IP version %d", ErrInner, v)
	}
	if n > len(packet) {
		return 0, fmt.Errorf("%w: total length %d, only %d octets there", ErrInner, n, len(packet))
	}
	return n, nil
}
