package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Block types of pcapng.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
)

const (
	maxBlock      = MaxPacket + 64<<10 // octets of a block that is kept: a frame and its options
	maxInterfaces = 4096
	optResolution = 9  // if_tsresol
	optOffset     = 14 // if_tsoffset
)

// ngInterface is what an Interface Description Block says.
type ngInterface struct {
	link   LinkType
	snap   uint32
	binary bool  // time counts in 2^-exp seconds, otherwise in 10^-exp
	exp    uint8 // 0..63 or 0..19
	offset int64 // seconds to add
}

// nextBlock reads blocks of pcapng up to one with a frame.
func (c *Reader) nextBlock() (Packet, error) {
	for {
		var h [8]byte
		n, err := io.ReadFull(c.r, h[:])
		if n == 0 && errors.Is(err, io.EOF) {
			return Packet{}, io.EOF
		}
		if err != nil {
			c.frames++
			return Packet{}, c.damage(err, "a block's header")
		}
		p, found, err := c.block(h)
		if err != nil || found {
			return p, err
		}
	}
}

// block reads the block that h begins; found says that it held a frame.
func (c *Reader) block(h [8]byte) (p Packet, found bool, err error) {
	if binary.BigEndian.Uint32(h[:]) == blockHeader { // the same in both orders
		return p, false, c.section(h)
	}
	typ, size := c.order.Uint32(h[:]), c.order.Uint32(h[4:])
	if size < 12 || size%4 != 0 {
		c.frames++
		return p, false, &Error{c.frames, fmt.Sprintf("a block claims %d octets", size)}
	}
	switch typ {
	case blockInterface, blockPacket, blockSimple, blockEnhanced:
	default: // names, statistics, secrets, what is not known
		if _, err := io.CopyN(io.Discard, c.r, int64(size)-8); err != nil {
			c.frames++
			return p, false, c.damage(err, "the block before it")
		}
		return p, false, nil
	}
	c.frames++ // until it is known to be an interface, errors name the frame
	if size > maxBlock {
		return p, false, &Error{c.frames, fmt.Sprintf("its block claims %d octets, more than any frame has", size)}
	}
	if int(size) > cap(c.buf) {
		c.buf = make([]byte, max(int(size), 2048))
	}
	b := c.buf[:size-8]
	if _, err := io.ReadFull(c.r, b); err != nil {
		return p, false, c.damage(err, "its block")
	}
	if end := c.order.Uint32(b[len(b)-4:]); end != size {
		return p, false, &Error{c.frames, fmt.Sprintf("its block says %d octets at its beginning and %d at its end", size, end)}
	}
	b = b[:len(b)-4]
	if typ == blockInterface {
		err = c.addInterface(b)
		c.frames--
		return p, false, err
	}
	p, err = c.frame(typ, b)
	return p, err == nil, err
}

// section begins a section: the byte order is its own, and interfaces begin
// anew.
func (c *Reader) section(h [8]byte) error {
	var b [16]byte
	if _, err := io.ReadFull(c.r, b[:]); err != nil {
		c.frames++
		return c.damage(err, "a section's header")
	}
	c.order = binary.LittleEndian
	if b[0] == 0x1a {
		c.order = binary.BigEndian
	}
	size := c.order.Uint32(h[4:])
	if c.order.Uint32(b[:]) != 0x1a2b3c4d || size < 28 || size%4 != 0 {
		return &Error{c.frames + 1, "the section's header before it is damaged"}
	}
	if major := c.order.Uint16(b[4:]); major != 1 {
		return &Error{c.frames + 1, fmt.Sprintf("pcapng version %d, only 1 is known", major)}
	}
	c.interfaces = c.interfaces[:0]
	if _, err := io.CopyN(io.Discard, c.r, int64(size)-24); err != nil {
		c.frames++
		return c.damage(err, "a section's header")
	}
	return nil
}

func (c *Reader) addInterface(b []byte) error {
	if len(b) < 8 || len(c.interfaces) == maxInterfaces {
		return &Error{c.frames, "the interface description before it is damaged"}
	}
	i := ngInterface{link: LinkType(c.order.Uint16(b)), snap: c.order.Uint32(b[4:]), exp: 6}
	for b = b[8:]; len(b) >= 4; {
		code, n := c.order.Uint16(b), int(c.order.Uint16(b[2:]))
		if code == 0 || n > len(b)-4 {
			break
		}
		v := b[4 : 4+n]
		b = b[min(4+(n+3)&^3, len(b)):]
		switch {
		case code == optResolution && n == 1:
			i.binary, i.exp = v[0]&0x80 != 0, v[0]&0x7f
			if i.binary && i.exp > 63 || !i.binary && i.exp > 19 {
				return &Error{c.frames, "the interface description before it counts time finer than is possible"}
			}
		case code == optOffset && n == 8:
			i.offset = int64(c.order.Uint64(v))
		}
	}
	c.interfaces = append(c.interfaces, i)
	return nil
}

// frame reads the packet in the body of a packet block.
func (c *Reader) frame(typ uint32, b []byte) (Packet, error) {
	short := &Error{c.frames, "its block is too short for what it claims"}
	p := Packet{Number: c.frames}
	var id, captured uint32
	var ticks uint64
	head := 20
	switch {
	case typ == blockSimple && len(b) >= 4:
		head = 4
		p.Length = int(c.order.Uint32(b))
		captured = uint32(min(p.Length, len(b)-head))
	case typ != blockSimple && len(b) >= head:
		id = c.order.Uint32(b)
		if typ == blockPacket {
			id = uint32(c.order.Uint16(b)) // a count of drops follows
		}
		ticks = uint64(c.order.Uint32(b[4:]))<<32 | uint64(c.order.Uint32(b[8:]))
		captured, p.Length = c.order.Uint32(b[12:]), int(c.order.Uint32(b[16:]))
	default:
		return p, short
	}
	if uint64(id) >= uint64(len(c.interfaces)) {
		return p, &Error{c.frames, fmt.Sprintf("it is of interface %d, and %d are described", id, len(c.interfaces))}
	}
	i := c.interfaces[id]
	if typ == blockSimple && i.snap != 0 {
		captured = min(captured, i.snap)
	}
	if uint64(captured) > uint64(len(b)-head) || captured > MaxPacket {
		return p, short
	}
	p.Link, p.Data = i.link, b[head:head+int(captured)]
	p.Length = max(p.Length, len(p.Data))
	if typ != blockSimple {
		p.Time = i.time(ticks)
	}
	return p, nil
}

// time is ticks of the interface's clock since 1970.
func (i ngInterface) time(ticks uint64) time.Time {
	if i.binary {
		hi, lo := bits.Mul64(ticks&(1<<i.exp-1), 1e9)
		ns, _ := bits.Div64(hi, lo, 1<<i.exp) // the fraction is below 1<<exp: the quotient is below 1e9
		return time.Unix(int64(ticks>>i.exp)+i.offset, int64(ns)).UTC()
	}
	unit := uint64(1)
	for range i.exp {
		unit *= 10
	}
	hi, lo := bits.Mul64(ticks%unit, 1e9)
	ns, _ := bits.Div64(hi, lo, unit)
	return time.Unix(int64(ticks/unit)+i.offset, int64(ns)).UTC()
}
