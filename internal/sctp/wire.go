package sctp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// Chunk types, RFC 9260 §3.2.
const (
	ctData             = 0
	ctInit             = 1
	ctInitAck          = 2
	ctSack             = 3
	ctHeartbeat        = 4
	ctHeartbeatAck     = 5
	ctAbort            = 6
	ctShutdown         = 7
	ctShutdownAck      = 8
	ctError            = 9
	ctCookieEcho       = 10
	ctCookieAck        = 11
	ctShutdownComplete = 14
	ctPad              = 0x84 // RFC 4820 §3
)

// Parameter types, RFC 9260 §3.3.2 and §3.3.3.
const (
	ptHeartbeatInfo = 1
	ptIPv4          = 5
	ptIPv6          = 6
	ptCookie        = 7
	ptUnrecognized  = 8
	ptPreservative  = 9
	ptHostName      = 11
	ptAddressTypes  = 12
)

// Cause is an error cause code of RFC 9260 §3.3.10.
type Cause uint16

// Error causes used or understood here, RFC 9260 §3.3.10.
const (
	CauseInvalidStream     Cause = 1
	CauseMissingParameter  Cause = 2
	CauseStaleCookie       Cause = 3
	CauseOutOfResource     Cause = 4
	CauseUnresolvable      Cause = 5
	CauseUnrecognizedChunk Cause = 6
	CauseInvalidParameter  Cause = 7
	CauseUnrecognizedParam Cause = 8
	CauseNoUserData        Cause = 9
	CauseCookieInShutdown  Cause = 10
	CauseRestartNewAddress Cause = 11
	CauseUserAbort         Cause = 12
	CauseProtocolViolation Cause = 13
)

// String names the cause as RFC 9260 does.
func (c Cause) String() string {
	names := [...]string{"no cause given", "invalid stream identifier", "missing mandatory parameter", "stale cookie", "out of resource",
		"unresolvable address", "unrecognized chunk type", "invalid mandatory parameter", "unrecognized parameters", "no user data",
		"cookie received while shutting down", "restart with new addresses", "user-initiated abort", "protocol violation"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("cause %d", uint16(c))
}

const (
	headerLen     = 12
	chunkHeader   = 4
	dataHeader    = 16 // chunk header included
	sackLen       = 16 // chunk header included, without blocks
	initFixed     = 16
	flagT         = 1 // ABORT and SHUTDOWN COMPLETE: the tag is the sender's own (RFC 9260 §8.5.1)
	flagE         = 1 // DATA: last fragment
	flagB         = 2 // DATA: first fragment
	flagU         = 4 // DATA: unordered
	flagI         = 8 // DATA: acknowledge at once (RFC 7053)
	maxPeerAddrs  = 8
	maxUnknownLen = 256 // bytes of unrecognized parameters reported at most
)

var (
	errShort    = errors.New("shorter than an SCTP packet")
	errChecksum = errors.New("CRC32c does not match")
	errChunk    = errors.New("chunk length does not fit the packet")
	errBundle   = errors.New("INIT, INIT ACK or SHUTDOWN COMPLETE is not alone in its packet")
	errParam    = errors.New("parameter length does not fit the chunk")
	errInit     = errors.New("INIT shorter than its fixed part")
)

// before reports whether serial number a comes before b (RFC 1982 arithmetic, RFC 9260 §1.6).
func before(a, b uint32) bool { return int32(a-b) < 0 }

func pad4(n int) int { return (n + 3) &^ 3 }

// header is the SCTP common header, RFC 9260 §3.1.
type header struct {
	src, dst uint16
	tag      uint32
}

// chunk is one chunk inside a packet; raw includes the header, without padding.
type chunk struct {
	typ, flags uint8
	value, raw []byte
}

// parsePacket checks checksum and framing of a whole packet (RFC 9260 §6.8, §6.10) and returns its header and the chunks' bytes. The checksum
// field of p is zeroed.
func parsePacket(p []byte) (header, []byte, error) {
	if len(p) < headerLen+chunkHeader {
		return header{}, nil, errShort
	}
	sum := binary.LittleEndian.Uint32(p[8:])
	if checksum(p) != sum {
		return header{}, nil, errChecksum
	}
	h := header{binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint32(p[4:])}
	n, alone := 0, false
	for rest := p[headerLen:]; len(rest) > 0; n++ {
		c, r, ok := nextChunk(rest)
		if !ok {
			return h, nil, errChunk
		}
		if c.typ == ctInit || c.typ == ctInitAck || c.typ == ctShutdownComplete {
			alone = true
		}
		rest = r
	}
	if alone && n > 1 {
		return h, nil, errBundle
	}
	return h, p[headerLen:], nil
}

// checksum zeroes the checksum field of p and returns the CRC32c of the packet (RFC 9260 Appendix A).
func checksum(p []byte) uint32 {
	binary.LittleEndian.PutUint32(p[8:], 0)
	return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
}

// nextChunk takes the first chunk of b. Missing padding behind the last chunk is forgiven.
func nextChunk(b []byte) (c chunk, rest []byte, ok bool) {
	if len(b) < chunkHeader {
		return c, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < chunkHeader || n > len(b) {
		return c, nil, false
	}
	c = chunk{b[0], b[1], b[chunkHeader:n:n], b[:n:n]}
	return c, b[min(pad4(n), len(b)):], true
}

// nextParam takes the first parameter or error cause of b (RFC 9260 §3.2.1); the last one may lack its padding.
func nextParam(b []byte) (typ uint16, value, raw, rest []byte, err error) {
	if len(b) < 4 {
		return 0, nil, nil, nil, errParam
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 4 || n > len(b) {
		return 0, nil, nil, nil, errParam
	}
	return binary.BigEndian.Uint16(b), b[4:n:n], b[:n:n], b[min(pad4(n), len(b)):], nil
}

// initChunk is what INIT and INIT ACK say, RFC 9260 §3.3.2 and §3.3.3.
type initChunk struct {
	tag, rwnd, tsn uint32
	out, in        uint16
	cookie         []byte // aliases the packet
	addrs          [maxPeerAddrs]netip.Addr
	naddrs         int
	hostName       bool
	unknown        []byte // parameters to report (RFC 9260 §3.2.2), padded
}

// parseInit reads INIT or INIT ACK. Parameters not known here are skipped, or end the list, as their high bits say (RFC 9260 §3.2.1).
func parseInit(v []byte) (initChunk, error) {
	if len(v) < initFixed {
		return initChunk{}, errInit
	}
	be := binary.BigEndian
	c := initChunk{tag: be.Uint32(v), rwnd: be.Uint32(v[4:]), out: be.Uint16(v[8:]), in: be.Uint16(v[10:]), tsn: be.Uint32(v[12:])}
	for rest := v[initFixed:]; len(rest) > 0; {
		typ, val, raw, r, err := nextParam(rest)
		if err != nil {
			return c, err
		}
		rest = r
		switch typ {
		case ptIPv4, ptIPv6:
			if ip, ok := netip.AddrFromSlice(val); ok && c.naddrs < maxPeerAddrs {
				c.addrs[c.naddrs] = ip.Unmap()
				c.naddrs++
			}
		case ptCookie:
			c.cookie = val
		case ptHostName:
			c.hostName = true
		case ptPreservative, ptAddressTypes, ptUnrecognized:
		default:
			if typ&0x4000 != 0 && len(c.unknown)+pad4(len(raw)) <= maxUnknownLen {
				c.unknown = append(c.unknown, raw...)
				c.unknown = append(c.unknown, make([]byte, pad4(len(raw))-len(raw))...)
			}
			if typ&0x8000 == 0 {
				return c, nil
			}
		}
	}
	return c, nil
}

// appendPacket starts a packet; seal ends it.
func appendPacket(b []byte, src, dst uint16, tag uint32) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, src)
	b = be.AppendUint16(b, dst)
	b = be.AppendUint32(b, tag)
	return append(b, 0, 0, 0, 0)
}

// seal writes the checksum into a finished packet.
func seal(p []byte) { binary.LittleEndian.PutUint32(p[8:], checksum(p)) }

// appendChunk appends a chunk with its padding.
func appendChunk(b []byte, typ, flags uint8, value ...[]byte) []byte {
	start := len(b)
	b = append(b, typ, flags, 0, 0)
	for _, v := range value {
		b = append(b, v...)
	}
	n := len(b) - start
	binary.BigEndian.PutUint16(b[start+2:], uint16(n))
	return appendPad(b, n)
}

func appendPad(b []byte, n int) []byte {
	var zero [3]byte
	return append(b, zero[:pad4(n)-n]...)
}

// appendParam appends a parameter or an error cause with its padding.
func appendParam(b []byte, typ uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(value)))
	b = append(b, value...)
	return appendPad(b, len(value))
}

// appendInit appends INIT or INIT ACK.
func appendInit(b []byte, typ uint8, c *initChunk) []byte {
	start, be := len(b), binary.BigEndian
	b = append(b, typ, 0, 0, 0)
	b = be.AppendUint32(b, c.tag)
	b = be.AppendUint32(b, c.rwnd)
	b = be.AppendUint16(b, c.out)
	b = be.AppendUint16(b, c.in)
	b = be.AppendUint32(b, c.tsn)
	n := len(b) - start // padding of the last parameter does not count, §3.2
	if c.cookie != nil {
		b = appendParam(b, ptCookie, c.cookie)
		n = len(b) - start - pad4(len(c.cookie)) + len(c.cookie)
	}
	for rest := c.unknown; len(rest) >= 4; {
		_, _, raw, r, err := nextParam(rest)
		if err != nil {
			break
		}
		b = appendParam(b, ptUnrecognized, raw)
		n = len(b) - start - pad4(len(raw)) + len(raw)
		rest = r
	}
	be.PutUint16(b[start+2:], uint16(n))
	return b
}

// appendCause appends an ABORT or ERROR chunk with one cause.
func appendCause(b []byte, typ, flags uint8, cause Cause, info []byte) []byte {
	if cause == 0 {
		return appendChunk(b, typ, flags)
	}
	info = info[:min(len(info), maxUnknownLen)]
	n := 4 + len(info)
	h := [4]byte{byte(cause >> 8), byte(cause), byte(n >> 8), byte(n)}
	return appendChunk(b, typ, flags, h[:], info)
}
