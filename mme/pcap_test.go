package mme

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// captured is one S1AP message of a capture.
type captured struct {
	frame int
	at    time.Duration // since the first packet
	from  netip.Addr
	data  []byte
}

// readS1AP gives the S1AP messages in a capture file: pcap or pcapng, Ethernet,
// IPv4, SCTP on IP protocol 132, DATA chunks that are whole messages.
func readS1AP(file string) ([]captured, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []captured
	type tsn struct {
		from netip.Addr
		tag  uint32
		n    uint32
	}
	seen := map[tsn]bool{}
	frame := 0
	var first time.Duration
	err = packets(b, func(at time.Duration, p []byte) {
		if frame++; frame == 1 {
			first = at
		}
		if len(p) < 34 || p[12] != 8 || p[13] != 0 || p[23] != 132 {
			return
		}
		ip := p[14:]
		from := netip.AddrFrom4([4]byte(ip[12:16]))
		sctp := ip[int(ip[0]&15)*4 : binary.BigEndian.Uint16(ip[2:])]
		for c := sctp[12:]; len(c) >= 16; {
			n := int(binary.BigEndian.Uint16(c[2:]))
			if c[0] == 0 && c[1]&3 == 3 && binary.BigEndian.Uint32(c[12:]) == ppid {
				if k := (tsn{from, binary.BigEndian.Uint32(sctp[4:]), binary.BigEndian.Uint32(c[4:])}); !seen[k] {
					seen[k] = true
					out = append(out, captured{frame, at - first, from, c[16:n]})
				}
			}
			c = c[min((n+3)&^3, len(c)):]
		}
	})
	return out, err
}

// packets calls f with every packet of a little-endian pcap or pcapng file whose
// times are in microseconds.
func packets(b []byte, f func(time.Duration, []byte)) error {
	le := binary.LittleEndian
	switch {
	case len(b) > 24 && le.Uint32(b) == 0xa1b2c3d4:
		for b = b[24:]; len(b) >= 16; {
			n := le.Uint32(b[8:])
			f(time.Duration(le.Uint32(b))*time.Second+time.Duration(le.Uint32(b[4:]))*time.Microsecond, b[16:16+n])
			b = b[16+n:]
		}
		return nil
	case len(b) > 28 && le.Uint32(b) == 0x0a0d0d0a:
		for len(b) >= 12 {
			n := le.Uint32(b[4:])
			if le.Uint32(b) == 6 { // Enhanced Packet Block
				at := uint64(le.Uint32(b[12:]))<<32 | uint64(le.Uint32(b[16:]))
				f(time.Duration(at)*time.Microsecond, b[28:28+le.Uint32(b[20:])])
			}
			b = b[n:]
		}
		return nil
	}
	return fmt.Errorf("neither pcap nor pcapng")
}
