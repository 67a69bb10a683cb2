package trace

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/netip"
)

// Blocks and options of pcapng (draft-ietf-opsawg-pcapng), and the link type of
// bare IP packets.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	optEnd         = 0
	optComment     = 1
	optName        = 2
	linkRawIP      = 101
)

// maxPayload is what fits an IP packet beside the headers made here.
const maxPayload = 65535 - 40 - 12 - 16

// Capture writes the events that were on a wire as a pcapng file: S1AP in SCTP and
// GTPv2-C in UDP, in IP packets made for them. Whether they were in such packets
// is another thing: an eNB may have come over SCTP in UDP. It belongs to one
// goroutine.
type Capture struct {
	w    io.Writer
	tsn  map[[2]netip.AddrPort]uint32
	keys string // to come with the next packet
}

// NewCapture writes the file's head; name is what it says it has captured.
func NewCapture(w io.Writer, name string) (*Capture, error) {
	le := binary.LittleEndian
	section := le.AppendUint32(nil, 0x1a2b3c4d)
	section = le.AppendUint16(section, 1)
	section = le.AppendUint16(section, 0)
	section = le.AppendUint64(section, ^uint64(0)) // length not known
	section = option(section, optComment, "S1AP and S11 of one phone as the MME had them, in packets made for them")
	link := le.AppendUint16(nil, linkRawIP)
	link = le.AppendUint16(link, 0)
	link = le.AppendUint32(link, 0)
	link = option(link, optName, name)
	if _, err := w.Write(block(blockSection, section)); err != nil {
		return nil, err
	}
	_, err := w.Write(block(blockInterface, link))
	return &Capture{w: w, tsn: map[[2]netip.AddrPort]uint32{}}, err
}

// Write adds an event, if it is one that was on a wire. Keys that came with NAS
// are a comment on the packet after it.
func (c *Capture) Write(e Event) error {
	if e.Kind == NAS && e.Keys != "" {
		c.keys = e.Keys
	}
	if e.Kind != S1AP && e.Kind != S11 || len(e.Data) > maxPayload || e.From.Addr().Is4() != e.To.Addr().Is4() {
		return nil
	}
	p := c.packet(e)
	le := binary.LittleEndian
	at := uint64(e.At.UnixMicro())
	b := le.AppendUint32(nil, 0)
	b = le.AppendUint32(b, uint32(at>>32))
	b = le.AppendUint32(b, uint32(at))
	b = le.AppendUint32(b, uint32(len(p)))
	b = le.AppendUint32(b, uint32(len(p)))
	b = append(b, p...)
	b = pad(b)
	if e.Text != "" {
		b = appendOption(b, optComment, e.Text)
	}
	if c.keys != "" {
		b = appendOption(b, optComment, c.keys)
		c.keys = ""
	}
	_, err := c.w.Write(block(blockPacket, append(b, 0, 0, 0, 0)))
	return err
}

// packet makes the IP packet.
func (c *Capture) packet(e Event) []byte {
	be := binary.BigEndian
	var b []byte
	protocol := byte(17)
	if e.Kind == S1AP {
		protocol = 132
		way := [2]netip.AddrPort{e.From, e.To}
		c.tsn[way]++
		b = be.AppendUint16(nil, e.From.Port())
		b = be.AppendUint16(b, e.To.Port())
		b = be.AppendUint32(b, 0x63616d70) // verification tag
		b = be.AppendUint32(b, 0)          // checksum
		b = append(b, 0, 3)                // DATA, a whole message
		b = be.AppendUint16(b, uint16(16+len(e.Data)))
		b = be.AppendUint32(b, c.tsn[way])
		b = be.AppendUint16(b, 1) // stream
		b = be.AppendUint16(b, uint16(c.tsn[way]))
		b = be.AppendUint32(b, 18)
		b = pad(append(b, e.Data...))
		binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	} else {
		b = be.AppendUint16(nil, e.From.Port())
		b = be.AppendUint16(b, e.To.Port())
		b = be.AppendUint16(b, uint16(8+len(e.Data)))
		b = be.AppendUint16(b, 0)
		b = append(b, e.Data...)
		sum := ^fold(sum16(sum16(uint32(17+len(b)), e.From.Addr().AsSlice()), e.To.Addr().AsSlice()), b)
		if sum == 0 {
			sum = 0xffff
		}
		be.PutUint16(b[6:], sum)
	}
	return append(header(e, protocol, len(b)), b...)
}

// header is IP's of either version.
func header(e Event, protocol byte, n int) []byte {
	be := binary.BigEndian
	if !e.From.Addr().Is4() {
		h := []byte{0x60, 0, 0, 0}
		h = be.AppendUint16(h, uint16(n))
		h = append(h, protocol, 64)
		return append(append(h, e.From.Addr().AsSlice()...), e.To.Addr().AsSlice()...)
	}
	h := []byte{0x45, 0}
	h = be.AppendUint16(h, uint16(20+n))
	h = append(h, 0, 0, 0x40, 0, 64, protocol, 0, 0)
	h = append(append(h, e.From.Addr().AsSlice()...), e.To.Addr().AsSlice()...)
	be.PutUint16(h[10:], ^fold(0, h))
	return h
}

func sum16(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold is the Internet checksum's sum (RFC 1071).
func fold(sum uint32, b []byte) uint16 {
	sum = sum16(sum, b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendOption(b []byte, code uint16, text string) []byte {
	text = text[:min(len(text), 4096)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	return pad(append(b, text...))
}

// option adds one and the end of options.
func option(b []byte, code uint16, text string) []byte {
	return append(appendOption(b, code, text), optEnd, 0, 0, 0)
}

func block(kind uint32, body []byte) []byte {
	le := binary.LittleEndian
	n := uint32(12 + len(body))
	b := le.AppendUint32(nil, kind)
	b = le.AppendUint32(b, n)
	b = append(b, body...)
	return le.AppendUint32(b, n)
}
