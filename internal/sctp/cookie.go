package sctp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"net/netip"
	"slices"
	"time"
)

// cookie is everything needed to make an association from a COOKIE ECHO, so that INIT leaves no state behind (RFC 9260 §5.1.3).
type cookie struct {
	made              time.Time
	peer              netip.AddrPort // IP and SCTP port
	localPort         uint16
	localTag, peerTag uint32
	localTSN, peerTSN uint32
	peerRwnd          uint32
	out, in           uint16 // negotiated, from our side
	tieLocal, tiePeer uint32 // tags of an association that existed when the INIT came (RFC 9260 §5.2.2), else 0
	addrs             [maxPeerAddrs]netip.Addr
	naddrs            int
}

// cameFrom reports whether an address is one of the peer's: a COOKIE ECHO may come from another one than INIT did.
func (c *cookie) cameFrom(ip netip.Addr) bool {
	return c.peer.Addr() == ip || slices.Contains(c.addrs[:c.naddrs], ip)
}

const (
	cookieFixed = 8 + 16 + 2 + 2 + 7*4 + 2*2 + 1
	cookieMax   = cookieFixed + maxPeerAddrs*16 + sha256.Size
)

// keyLife is how long cookies are signed with one key.
const keyLife = time.Hour

// cookieKeys sign cookies: a random key, renewed now and then, while the one before is good for as long as a cookie is (RFC 9260 §5.1.3).
type cookieKeys struct {
	mac, last hash.Hash
	since     time.Time // of mac
}

func (k *cookieKeys) renew(random io.Reader, now time.Time) error {
	key := make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, key); err != nil {
		return err
	}
	k.mac, k.last, k.since = hmac.New(sha256.New, key), k.mac, now
	return nil
}

// signer is what a cookie made now is signed with. Only the reader calls it.
func (e *Userspace) signer(now time.Time) hash.Hash {
	if now.Sub(e.keys.since) > keyLife {
		e.rmu.Lock()
		err := e.keys.renew(e.o.Rand, now)
		e.rmu.Unlock()
		if err != nil {
			panic("sctp: random source failed: " + err.Error()) // crypto/rand never does
		}
	}
	return e.keys.mac
}

// openCookie reads a cookie that this endpoint has signed. Only the reader calls it.
func (e *Userspace) openCookie(b []byte) (cookie, error) {
	c, err := parseCookie(b, e.keys.mac)
	if err != nil && e.keys.last != nil && time.Since(e.keys.since) <= e.o.Timers.CookieLife {
		return parseCookie(b, e.keys.last)
	}
	return c, err
}

var errCookie = errors.New("cookie is not one of ours")

func appendCookie(b []byte, c *cookie, mac hash.Hash) []byte {
	be, start := binary.BigEndian, len(b)
	b = be.AppendUint64(b, uint64(c.made.UnixNano()))
	ip := c.peer.Addr().As16()
	b = append(b, ip[:]...)
	b = be.AppendUint16(b, c.peer.Port())
	b = be.AppendUint16(b, c.localPort)
	for _, v := range [...]uint32{c.localTag, c.peerTag, c.localTSN, c.peerTSN, c.peerRwnd, c.tieLocal, c.tiePeer} {
		b = be.AppendUint32(b, v)
	}
	b = be.AppendUint16(b, c.out)
	b = be.AppendUint16(b, c.in)
	b = append(b, byte(c.naddrs))
	for _, a := range c.addrs[:c.naddrs] {
		ip := a.As16()
		b = append(b, ip[:]...)
	}
	mac.Reset()
	mac.Write(b[start:])
	return mac.Sum(b)
}

// parseCookie checks the signature before it reads anything.
func parseCookie(b []byte, mac hash.Hash) (cookie, error) {
	var c cookie
	if len(b) < cookieFixed+sha256.Size || len(b) > cookieMax {
		return c, errCookie
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	var room [sha256.Size]byte
	mac.Reset()
	mac.Write(body)
	if !hmac.Equal(mac.Sum(room[:0]), sum) {
		return c, errCookie
	}
	be := binary.BigEndian
	c.made = time.Unix(0, int64(be.Uint64(body)))
	c.peer = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[8:24])).Unmap(), be.Uint16(body[24:]))
	c.localPort = be.Uint16(body[26:])
	for i, p := range [...]*uint32{&c.localTag, &c.peerTag, &c.localTSN, &c.peerTSN, &c.peerRwnd, &c.tieLocal, &c.tiePeer} {
		*p = be.Uint32(body[28+4*i:])
	}
	c.out, c.in = be.Uint16(body[56:]), be.Uint16(body[58:])
	c.naddrs = int(body[60])
	if c.naddrs > maxPeerAddrs || len(body) != cookieFixed+16*c.naddrs {
		return c, errCookie
	}
	for i := range c.naddrs {
		c.addrs[i] = netip.AddrFrom16([16]byte(body[cookieFixed+16*i:])).Unmap()
	}
	return c, nil
}
