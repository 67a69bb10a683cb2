package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxPacket is how many octets of one frame are read at most; what libpcap and
// Wireshark write is never more.
const MaxPacket = 256 << 10

// Magic numbers: as they stand in a file of that byte order.
const (
	magicMicro  = 0xa1b2c3d4
	magicNano   = 0xa1b23c4d
	blockHeader = 0x0a0d0d0a // pcapng's section header
)

// Is reports whether a file that begins so is a capture: pcap, pcapng, or
// either behind gzip. Four octets are enough.
func Is(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}) {
		return true
	}
	l, b := binary.LittleEndian.Uint32(head), binary.BigEndian.Uint32(head)
	return l == magicMicro || l == magicNano || b == magicMicro || b == magicNano || b == blockHeader
}

// Reader gives the frames of a capture in their order.
type Reader struct {
	r      *bufio.Reader
	buf    []byte
	frames int
	next   func() (Packet, error)

	order binary.ByteOrder
	nano  bool     // of pcap: times in nanoseconds
	link  LinkType // of pcap

	interfaces []ngInterface // of pcapng's section
}

// NewReader reads the file's header. The error says what is wrong with it.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, 64<<10)}
	head, err := c.r.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("no capture: %d octets", len(head))
	}
	if head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(c.r)
		if err != nil {
			return nil, fmt.Errorf("no capture: %w", err)
		}
		c.r = bufio.NewReaderSize(z, 64<<10)
		if head, err = c.r.Peek(4); err != nil {
			return nil, fmt.Errorf("no capture: %d octets behind gzip", len(head))
		}
	}
	if binary.BigEndian.Uint32(head) == blockHeader {
		c.next = c.nextBlock
		return c, nil
	}
	c.next = c.nextRecord
	return c, c.fileHeader()
}

// Next gives the next frame; io.EOF at the file's end, an *Error where the
// file is damaged, after which there is nothing more.
func (c *Reader) Next() (Packet, error) { return c.next() }

// Waiting reports that the next frame has not arrived yet, of a capture that
// is still being made: time to show what there is.
func (c *Reader) Waiting() bool { return c.r.Buffered() == 0 }

func (c *Reader) fileHeader() error {
	var h [24]byte
	if n, err := io.ReadFull(c.r, h[:]); err != nil {
		return fmt.Errorf("no capture: %d octets, the header of a pcap has %d", n, len(h))
	}
	c.order = binary.LittleEndian
	if h[0] == 0xa1 {
		c.order = binary.BigEndian
	}
	switch c.order.Uint32(h[:]) {
	case magicMicro:
	case magicNano:
		c.nano = true
	default:
		return errors.New("no capture: it begins neither as pcap nor as pcapng does")
	}
	if major := c.order.Uint16(h[4:]); major != 2 {
		return fmt.Errorf("pcap version %d, only 2 is known", major)
	}
	c.link = LinkType(c.order.Uint32(h[20:])) // the upper half is about checksums
	return nil
}

// nextRecord reads a record of pcap.
func (c *Reader) nextRecord() (Packet, error) {
	var h [16]byte
	n, err := io.ReadFull(c.r, h[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return Packet{}, io.EOF
	}
	c.frames++
	if err != nil {
		return Packet{}, c.damage(err, "the record's header")
	}
	frac := int64(c.order.Uint32(h[4:]))
	if !c.nano {
		frac *= 1000
	}
	p := Packet{Number: c.frames, Link: c.link, Length: int(c.order.Uint32(h[12:])), Time: time.Unix(int64(c.order.Uint32(h[:])), frac).UTC()}
	p.Data, err = c.octets(c.order.Uint32(h[8:]))
	p.Length = max(p.Length, len(p.Data))
	return p, err
}

// octets reads the n octets of a frame.
func (c *Reader) octets(n uint32) ([]byte, error) {
	if n > MaxPacket {
		return nil, &Error{c.frames, fmt.Sprintf("it claims %d octets, more than any frame has", n)}
	}
	if int(n) > cap(c.buf) {
		c.buf = make([]byte, max(int(n), 2048))
	}
	b := c.buf[:n:n]
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, c.damage(err, "it")
	}
	return b, nil
}

func (c *Reader) damage(err error, inside string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{c.frames, "the file ends inside " + inside}
	}
	return &Error{c.frames, err.Error()}
}
