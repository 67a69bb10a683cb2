package userspace

import (
	"bytes"
	"encoding/binary"

	"campanile.network/gateway/datapath"
)

// A kernel hands over and takes TCP in packets of up to 64 KiB that stand for
// several. An offload in front (struct virtio_net_hdr) says how such a one is to be
// cut. What crosses the tunnel, and what is counted, are the pieces.
type offload struct {
	flags, kind  uint8
	head         uint16 // octets of all headers
	piece        uint16 // payload of each
	start, place uint16 // of the checksum: from where on, and where it is from there
}

const (
	offloadLen = 10

	needsChecksum = 1 // flag
	cutTCP4       = 1 // kinds
	cutTCP6       = 4
	cutECN        = 0x80 // with them: CWR is in the first alone

	tcpPSH, tcpACK, tcpCWR = 8, 16, 128
	tcpSum                 = 16 // offset
)

func readOffload(b []byte) offload {
	e := binary.NativeEndian
	return offload{b[0], b[1], e.Uint16(b[2:]), e.Uint16(b[4:]), e.Uint16(b[6:]), e.Uint16(b[8:])}
}

func (o offload) put(b []byte) {
	e := binary.NativeEndian
	b[0], b[1] = o.flags, o.kind
	e.PutUint16(b[2:], o.head)
	e.PutUint16(b[4:], o.piece)
	e.PutUint16(b[6:], o.start)
	e.PutUint16(b[8:], o.place)
}

// finish writes the checksum that was left to the device, where the pseudo header's
// sum is; false if it has no place in the packet.
func (o offload) finish(pkt []byte) bool {
	at := int(o.start) + int(o.place)
	switch {
	case o.flags&needsChecksum == 0:
		return true
	case at+2 > len(pkt):
		return false
	}
	sum := fold(checksum(0, pkt[o.start:]))
	if sum == 0 {
		sum = 0xffff // to UDP 0 is no checksum, and otherwise they are the same
	}
	binary.BigEndian.PutUint16(pkt[at:], sum)
	return true
}

// cut appends the frames that a packet of TCP stands for; they are in arena, which
// is given back grown. false if it is not what the offload says.
func (o offload) cut(frames [][]byte, arena, pkt []byte) (_ [][]byte, _ []byte, ok bool) {
	t := int(o.start)
	if t < 20 || len(pkt) < t+20 || pkt[0]>>4 == 4 && t != int(pkt[0]&15)*4 || pkt[0]>>4 == 6 && t < 40 {
		return frames, arena, false
	}
	head := t + int(pkt[t+12]>>4)*4
	if head < t+20 || head >= len(pkt) || o.piece == 0 {
		return frames, arena, false
	}
	seq, id := binary.BigEndian.Uint32(pkt[t+4:]), binary.BigEndian.Uint16(pkt[4:])
	for off := head; off < len(pkt); off += int(o.piece) {
		end := min(off+int(o.piece), len(pkt))
		at := len(arena)
		arena = append(append(append(arena, make([]byte, frameRoom)...), pkt[:head]...), pkt[off:end]...)
		f := arena[at:len(arena):len(arena)]
		b := f[frameRoom:]
		if end < len(pkt) {
			b[t+13] &^= tcpFIN | tcpPSH
		}
		if off > head && o.kind&cutECN != 0 {
			b[t+13] &^= tcpCWR
		}
		binary.BigEndian.PutUint32(b[t+4:], seq+uint32(off-head))
		if b[0]>>4 == 4 {
			binary.BigEndian.PutUint16(b[4:], id)
			id++
		}
		resize(b, t, len(b))
		binary.BigEndian.PutUint16(b[t+tcpSum:], 0)
		binary.BigEndian.PutUint16(b[t+tcpSum:], fold(checksum(pseudo(b, t, len(b)), b[t:])))
		frames = append(frames, f)
	}
	return frames, arena, true
}

// resize makes a packet's header, t octets, say that it is of so many octets.
func resize(head []byte, t, octets int) {
	if head[0]>>4 == 6 {
		binary.BigEndian.PutUint16(head[4:], uint16(octets-40))
		return
	}
	binary.BigEndian.PutUint16(head[2:], uint16(octets))
	binary.BigEndian.PutUint16(head[10:], 0)
	binary.BigEndian.PutUint16(head[10:], fold(checksum(0, head[:t])))
}

// pseudo is the sum of the pseudo header of TCP that begins at t in a packet of so
// many octets (RFC 9293 §3.1).
func pseudo(head []byte, t, octets int) uint32 {
	sum := uint32(datapath.ProtoTCP) + uint32(octets-t)
	if head[0]>>4 == 6 {
		return checksum(sum, head[8:40])
	}
	return checksum(sum, head[12:20])
}

// mergeable says that a packet is TCP with nothing but data, which a packet for
// several could stand for, and where its TCP header and its data begin.
func mergeable(b []byte) (t, head int, ok bool) {
	switch {
	case len(b) >= 60 && b[0]>>4 == 6 && b[6] == datapath.ProtoTCP:
		t = 40
	case len(b) >= 40 && b[0] == 0x45 && b[6] == 0x40 && b[7] == 0 && b[9] == datapath.ProtoTCP: // to be fragmented by nobody
		t = 20
	default:
		return 0, 0, false
	}
	head = t + int(b[t+12]>>4)*4
	return t, head, head >= t+20 && head < len(b) && b[t+13]&^tcpPSH == tcpACK
}

// sound says that the checksums of a mergeable packet are right: none is made right
// on the way.
func sound(b []byte, t int) bool {
	return (t == 40 || fold(checksum(0, b[:t])) == 0) && fold(checksum(pseudo(b, t, len(b)), b[t:])) == 0
}

// train is packets of one flow that follow each other, as long as the first or, the
// last of them, shorter.
type train struct {
	first         []byte
	t, head, n    int
	octets, piece int
	ended, proven bool
}

// begin makes b the first.
func (r *train) begin(b []byte) {
	*r = train{first: b, n: 1, octets: len(b)}
	t, head, ok := mergeable(b)
	r.t, r.head, r.piece, r.ended = t, head, len(b)-head, !ok || b[t+13]&tcpPSH != 0
}

// join says whether b is the next, and takes it in then.
func (r *train) join(b []byte) bool {
	if r.ended {
		return false
	}
	t, head, ok := mergeable(b)
	a, n := r.first, len(b)-head
	if !ok || t != r.t || head != r.head || n > r.piece || r.octets+n > maxDatagram ||
		binary.BigEndian.Uint32(b[t+4:]) != binary.BigEndian.Uint32(a[t+4:])+uint32(r.octets-head) ||
		!bytes.Equal(b[t:t+4], a[t:t+4]) || !bytes.Equal(b[t+8:t+13], a[t+8:t+13]) || // ports; what is acknowledged
		!bytes.Equal(b[t+14:t+16], a[t+14:t+16]) || !bytes.Equal(b[t+18:head], a[t+18:head]) || !sameWay(a, b) {
		return false
	}
	if !r.proven {
		r.proven, r.ended = true, !sound(a, t)
	}
	if r.ended || !sound(b, t) {
		r.ended = true
		return false
	}
	r.n++
	r.octets += n
	r.ended = n < r.piece || b[t+13]&tcpPSH != 0
	return true
}

// sameWay compares addresses, type of service and hops.
func sameWay(a, b []byte) bool {
	if a[0]>>4 == 6 {
		return bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[7:40], b[7:40])
	}
	return a[1] == b[1] && a[8] == b[8] && bytes.Equal(a[12:20], b[12:20])
}

// merged appends the offload and the headers of the packet that stands for the
// train, whose last packet is given.
func (r *train) merged(dst, last []byte) []byte {
	o := offload{flags: needsChecksum, kind: cutTCP4, head: uint16(r.head), piece: uint16(r.piece), start: uint16(r.t), place: tcpSum}
	if r.t == 40 {
		o.kind = cutTCP6
	}
	at := len(dst)
	dst = append(append(dst, make([]byte, offloadLen)...), r.first[:r.head]...)
	o.put(dst[at:])
	h := dst[at+offloadLen:]
	resize(h, r.t, r.octets)
	h[r.t+13] |= last[r.t+13]
	binary.BigEndian.PutUint16(h[r.t+tcpSum:], ^fold(pseudo(h, r.t, r.octets)))
	return dst
}
