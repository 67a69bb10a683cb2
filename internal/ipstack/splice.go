package ipstack

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var buffers = sync.Pool{New: func() any { return new([65536]byte) }}

// splice copies both ways until both ended, one failed, or nothing moved for
// idle.
func splice(a, b net.Conn, idle time.Duration) {
	var last atomic.Int64
	last.Store(time.Now().UnixNano())
	var wg sync.WaitGroup
	one := func(dst, src net.Conn) {
		if pump(dst, src, idle, &last) {
			if c, ok := dst.(interface{ CloseWrite() error }); ok {
				c.CloseWrite()
				return
			}
		}
		a.Close()
		b.Close()
	}
	wg.Go(func() { one(a, b) })
	one(b, a)
	wg.Wait()
}

// pump copies one way; true when src ended in good order.
func pump(dst, src net.Conn, idle time.Duration, last *atomic.Int64) bool {
	buf := buffers.Get().(*[65536]byte)
	defer buffers.Put(buf)
	for {
		src.SetReadDeadline(time.Now().Add(idle))
		n, err := src.Read(buf[:])
		if n > 0 {
			last.Store(time.Now().UnixNano())
			dst.SetWriteDeadline(time.Now().Add(idle))
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return false
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err):
			if time.Since(time.Unix(0, last.Load())) >= idle {
				return false
			}
		default:
			return errors.Is(err, io.EOF)
		}
	}
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// notPublic are the blocks that are no place for a phone's packets besides
// those netip has a word for (IANA special-purpose address registries). Of IPv6
// only 2000::/3 is public at all.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
}

var unicast6 = netip.MustParsePrefix("2000::/3")

// Public says that a destination is an ordinary address of the internet: not
// loopback, private, link-local, multicast, unspecified or reserved. A phone
// must not reach the machines around its gateway.
func Public(to netip.AddrPort) bool {
	a := to.Addr().Unmap()
	if a.Is6() && !unicast6.Contains(a) || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return to.Port() != 0
}
