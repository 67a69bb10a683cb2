package sctp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// FuzzParse: no bytes make the parsers panic, and what is accepted is framed right.
func FuzzParse(f *testing.F) {
	for _, name := range captures {
		for i, p := range readCapture(f, name) {
			if i < 40 {
				f.Add(p.data)
			}
		}
	}
	mac := hmac.New(sha256.New, make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = slices.Clone(b)
		if len(b) >= headerLen {
			binary.LittleEndian.PutUint32(b[8:], 0)
			binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		}
		_, rest, err := parsePacket(b)
		if err != nil {
			return
		}
		for len(rest) > 0 {
			c, r, ok := nextChunk(rest)
			if !ok || len(c.raw) != len(c.value)+chunkHeader || len(r) >= len(rest) {
				t.Fatalf("chunk %+v of %x", c, rest)
			}
			rest = r
			if i, err := parseInit(c.value); err == nil {
				if i.naddrs > maxPeerAddrs || len(i.unknown) > maxUnknownLen {
					t.Fatalf("unbounded: %+v", i)
				}
				i.addrs, i.naddrs = [maxPeerAddrs]netip.Addr{}, 0
				out := appendInit(nil, ctInitAck, &i)
				if n := int(binary.BigEndian.Uint16(out[2:])); pad4(n) != len(out) {
					t.Fatalf("INIT ACK of %d bytes says %d", len(out), n)
				}
			}
			if _, err := parseCookie(c.value, mac); err == nil {
				t.Fatal("a cookie was forged")
			}
		}
	})
}

// sink is Datagrams that hands out nothing and swallows everything, remembering the last packet.
type sink struct {
	done chan struct{}
	last []byte
}

func (s *sink) ReadFrom([]byte) (int, netip.AddrPort, error) {
	<-s.done
	return 0, netip.AddrPort{}, net.ErrClosed
}
func (s *sink) WriteTo(p []byte, _ netip.AddrPort) error {
	s.last = append(s.last[:0], p...)
	return nil
}
func (s *sink) LocalAddr() netip.AddrPort { return serverAddr }
func (s *sink) Close() error              { close(s.done); return nil }

// counter is a repeatable random source.
type counter struct{ n byte }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		c.n += 37
		p[i] = c.n
	}
	return len(p), nil
}

// overSink is an established association over a sink.
func overSink(t *testing.T) (*Userspace, *assoc) {
	s := &sink{done: make(chan struct{})}
	e, err := NewUDP(Options{Conn: s, Rand: &counter{}, ReceiveBuffer: 20000, MaxMessage: 10000, SendBuffer: 20000, CloseTimeout: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a := newAssoc(e, netip.AddrPortFrom(scriptAddr.Addr(), 1000), 36412, scriptAddr)
	l, err := e.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	ck := cookie{localTag: 7, peerTag: 8, localTSN: 1<<32 - 2, peerTSN: 100, peerRwnd: 100000, out: 4, in: 4}
	if !e.accept(l.(*listener), a, &ck) {
		t.Fatal("not accepted")
	}
	return e, a
}

// FuzzAssociation feeds chunks with valid checksum and tag into an established association that also sends and receives.
func FuzzAssociation(f *testing.F) {
	f.Add(dataChunk(100, 0, 0, 3, "hello"), uint8(0))
	f.Add(append(dataChunk(101, 1, 0, flagB, "frag"), dataChunk(102, 1, 0, flagE, "ment")...), uint8(1))
	f.Add(append(sackChunk(1, 5000, 2, 3), appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 4})...), uint8(2))
	f.Add(append(appendChunk(nil, ctShutdown, 0, []byte{0, 0, 0, 1}), appendChunk(nil, ctShutdownAck, 0)...), uint8(3))
	f.Add(append(appendCause(nil, ctError, 0, CauseStaleCookie, make([]byte, 4)), appendChunk(nil, 0xc1, 0, []byte("?"))...), uint8(4))
	f.Fuzz(func(t *testing.T, chunks []byte, how uint8) {
		e, a := overSink(t)
		defer e.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if how&1 != 0 { // something outstanding
			for range 5 {
				_ = a.Send(ctx, 1, 18, make([]byte, 3000))
			}
		}
		if how&2 != 0 {
			a.startShutdown()
		}
		base := a.initTSN
		for len(chunks) > 0 {
			c, rest, ok := nextChunk(chunks)
			if !ok {
				break
			}
			chunks = rest
			raw := slices.Clone(c.raw)
			if (c.typ == ctSack || c.typ == ctShutdown) && len(raw) >= 8 { // relative, or it would never fit
				binary.BigEndian.PutUint32(raw[4:], base-1+binary.BigEndian.Uint32(raw[4:]))
			}
			tag := a.localTag
			if c.typ == ctInit {
				tag = 0
			}
			p := append(appendPacket(nil, 1000, 36412, tag), raw...)
			p = appendPad(p, len(raw))
			seal(p)
			e.input(p, scriptAddr)
			checkInvariants(t, a)
		}
		for {
			if _, err := a.Recv(ctx); err != nil {
				break
			}
		}
		if a.used < 0 || len(a.frags) == 0 && len(a.held) == 0 && a.used != 0 {
			t.Fatalf("%d bytes charged for nothing", a.used)
		}
	})
}

// checkInvariants compares the association's sums with what they sum.
func checkInvariants(t *testing.T, a *assoc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.e.held.Load(); len(a.e.assocs) == 1 && a.state != closed && held != int64(a.used+a.queued) {
		t.Fatalf("the endpoint holds %d bytes, its only association %d and %d", held, a.used, a.queued)
	}
	flight, rtx, gapped, queued, leads := 0, 0, 0, 0, 0
	for i := range a.q.n {
		c := a.q.at(i)
		queued += c.n
		switch {
		case i >= a.sent:
		case c.acked:
			gapped++
		case c.rtx:
			rtx++
		default:
			flight += c.n
		}
		if c.lead {
			leads++
		}
	}
	if flight != a.flight || rtx != a.rtx || gapped != a.gapped || queued != a.queued || leads != a.leads {
		t.Fatalf("sender sums: flight %d %d, rtx %d %d, gapped %d %d, queued %d %d, leads %d %d", a.flight, flight, a.rtx, rtx, a.gapped, gapped,
			a.queued, queued, a.leads, leads)
	}
	used := 0
	for _, f := range a.frags {
		used += len(f.data) + chunkOverhead
	}
	for _, m := range a.held {
		used += len(m.Data) + chunkOverhead
	}
	for i := range a.ready.n {
		used += len(a.ready.at(i).Data) + chunkOverhead
	}
	if used != a.used || used > 4*a.e.o.ReceiveBuffer {
		t.Fatalf("receiver charges %d, holds %d", a.used, used)
	}
	if a.state != closed && a.sent > 0 && !a.running(tData) {
		t.Fatal("DATA outstanding and T3 not running")
	}
	if before(a.high, a.cum) {
		t.Fatalf("high %d before cum %d", a.high, a.cum)
	}
}
