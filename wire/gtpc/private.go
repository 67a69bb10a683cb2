package gtpc

import (
	"encoding/binary"
	"fmt"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Enterprise is the number under which our Private Extension travels: the one
// RFC 5612 sets aside for documentation, until the project has its own.
const Enterprise = 32473

// Private is what the MME tells the gateway beyond TS 29.274: the home's
// ticket and the MME's segment, as wire/proof made them. Both are opaque here.
type Private struct {
	Ticket  []byte
	Segment []byte
}

const (
	privateTicket  = 1
	privateSegment = 2
	maxPrivate     = 1024 // octets of one value
)

// IE is the Private Extension element (TS 29.274 §8.67): type, length of two
// octets each and value for each part; nil when there is nothing to tell. It
// fails when a part is longer than 1024 octets.
func (p Private) IE() (*ie.IE, error) {
	var b []byte
	for i, v := range [][]byte{p.Ticket, p.Segment} {
		if len(v) > maxPrivate {
			return nil, fmt.Errorf("gtpc: private extension: part %d has %d octets, more than %d", i+1, len(v), maxPrivate)
		}
		if len(v) > 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(privateTicket+i))
			b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
			b = append(b, v...)
		}
	}
	if b == nil {
		return nil, nil
	}
	return ie.NewPrivateExtension(Enterprise, b), nil
}

// ParsePrivate finds our Private Extension among elements. Other enterprises'
// extensions and unknown parts are passed over; a part that is cut off or
// repeated is an error.
func ParsePrivate(ies []*ie.IE) (Private, error) {
	var p Private
	for _, e := range ies {
		if e.Type != ie.PrivateExtension || len(e.Payload) < 2 || binary.BigEndian.Uint16(e.Payload) != Enterprise {
			continue
		}
		for b := e.Payload[2:]; len(b) > 0; {
			if len(b) < 4 {
				return p, fmt.Errorf("gtpc: private extension: %d octets left over", len(b))
			}
			t, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
			if n > len(b)-4 || n > maxPrivate {
				return p, fmt.Errorf("gtpc: private extension: part %d claims %d octets of %d", t, n, len(b)-4)
			}
			v := b[4 : 4+n]
			b = b[4+n:]
			dst := &p.Ticket
			switch t {
			case privateTicket:
			case privateSegment:
				dst = &p.Segment
			default:
				continue
			}
			if *dst != nil {
				return p, fmt.Errorf("gtpc: private extension: part %d twice", t)
			}
			*dst = append([]byte{}, v...)
		}
	}
	return p, nil
}
