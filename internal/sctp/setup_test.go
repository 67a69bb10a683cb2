package sctp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// RFC 9260 §5.1: four messages; DATA may ride with COOKIE ECHO.
func TestSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{OutStreams: 7, InStreams: 5})
		i := p.init()
		if i.tag == 0 || i.out != 7 || i.in != 5 || i.rwnd == 0 || len(i.cookie) == 0 {
			t.Fatalf("INIT ACK %+v", i)
		}
		if n := p.e.Stats().Associations; n != 0 {
			t.Fatalf("%d associations after INIT, want none before COOKIE ECHO", n)
		}
		p.tag = i.tag
		p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie), p.data(0, 0, "early"), p.data(4, 0, "bird"))
		p.recv(ctCookieAck)
		a, err := p.l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out, in := a.Streams(); out != 7 || in != 5 { // smaller of 7 and their 10; smaller of 5 and their 10
			t.Errorf("streams %d out, %d in", out, in)
		}
		wantRecv(t, a, "early", "bird")
		if s := viewSack(p.recv(ctSack).chunks[0]); s.cum != 101 {
			t.Errorf("SACK %+v, want 101", s)
		}
	})
}

// RFC 9260 §5.1.3: INIT must not cost state.
func TestInitFloodKeepsNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		for n := range 5000 {
			p.src, p.own = uint16(n+1), uint32(n+1)
			p.sendFrom(p.sock, 0, p.initChunk())
		}
		for range 5000 {
			p.recv(ctInitAck)
		}
		if s := p.e.Stats(); s.Associations != 0 || s.Established != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// RFC 9260 §5.1.5, §5.2.6: what is wrong with a cookie.
func TestCookieRefused(t *testing.T) {
	inBubble("stale", t, func(t *testing.T) {
		p := newScript(t, Options{})
		i := p.init()
		time.Sleep(61 * time.Second)
		p.tag = i.tag
		p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie))
		r := p.recv(ctError)
		us := time.Duration(binary.BigEndian.Uint32(r.chunks[0].value[4:])) * time.Microsecond
		if causeOf(r.chunks[0]) != CauseStaleCookie || r.h.tag != p.own || us < time.Second || us > 2*time.Second {
			t.Errorf("ERROR %v staleness %v tag %x", causeOf(r.chunks[0]), us, r.h.tag)
		}
	})
	for name, mangle := range map[string]func(p *script, cookie []byte) drop{
		"forged":        func(p *script, c []byte) drop { c[30] ^= 1; return dropCookieMAC },
		"wrong tag":     func(p *script, c []byte) drop { p.tag++; return dropCookieTag },
		"another port":  func(p *script, c []byte) drop { p.src++; return dropCookieTag },
		"another local": func(p *script, c []byte) drop { p.dst++; return dropCookieTag },
	} {
		inBubble(name, t, func(t *testing.T) {
			p := newScript(t, Options{})
			i := p.init()
			p.tag = i.tag
			want := mangle(p, i.cookie)
			p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie))
			p.silence(time.Second)
			if p.dropped(want) != 1 || p.e.Stats().Associations != 0 {
				t.Errorf("%+v", p.e.Stats())
			}
		})
	}
}

// RFC 9260 §5.1.3: the key that signs cookies is renewed; a cookie made just before is good for its life, and somebody who learns an old key can make
// none.
func TestCookieKeyRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		first := p.e.keys.mac
		time.Sleep(keyLife - 10*time.Second)
		i := p.init()
		time.Sleep(11 * time.Second)
		p.src++
		p.init() // renews it
		synctest.Wait()
		if p.e.keys.mac == first {
			t.Fatal("an hour later the key is the same")
		}
		time.Sleep(40 * time.Second)
		p.src--
		p.tag, p.cum = i.tag, i.tsn-1
		p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie))
		p.recv(ctCookieAck)

		time.Sleep(21 * time.Second)
		p.src, p.tag = p.src+10, 7
		forged := cookie{made: time.Now(), peer: netip.AddrPortFrom(scriptAddr.Addr(), p.src), localPort: p.dst, localTag: p.tag, peerTag: p.own, peerRwnd: 9999, out: 1, in: 1}
		p.send(appendChunk(nil, ctCookieEcho, 0, appendCookie(nil, &forged, first)))
		p.silence(time.Second)
		if n := p.dropped(dropCookieMAC); n != 1 {
			t.Errorf("%d cookies refused as not ours", n)
		}
	})
}

// INITs that get no INIT ACK. RFC 9260 §3.3.2, §5.1, §8.5.1.
func TestInitRefused(t *testing.T) {
	for name, c := range map[string]struct {
		mangle func(p *script, init []byte) []byte
		tag    uint32
		cause  int // -1 silence
	}{
		"no listener":     {func(p *script, i []byte) []byte { p.dst = 99; return i }, 0, 0},
		"tag in header":   {func(p *script, i []byte) []byte { return i }, 7, -1},
		"initiate tag 0":  {func(p *script, i []byte) []byte { clear(i[4:8]); return i }, 0, -1},
		"no out streams":  {func(p *script, i []byte) []byte { clear(i[12:14]); return i }, 0, int(CauseInvalidParameter)},
		"no in streams":   {func(p *script, i []byte) []byte { clear(i[14:16]); return i }, 0, int(CauseInvalidParameter)},
		"host name":       {func(p *script, i []byte) []byte { return p.initChunk(0, ptHostName, 0, 8, 'a', '.', 'b', 0) }, 0, int(CauseUnresolvable)},
		"bad parameter":   {func(p *script, i []byte) []byte { return p.initChunk(0, 5, 0, 3) }, 0, -1},
		"longer than all": {func(p *script, i []byte) []byte { return p.initChunk(0, 5, 0, 99) }, 0, -1},
		"bundled":         {func(p *script, i []byte) []byte { return append(i, ctCookieAck, 0, 0, 4) }, 0, -1},
		"too short":       {func(p *script, i []byte) []byte { i[3] = 16; return i[:16] }, 0, -1},
	} {
		inBubble(name, t, func(t *testing.T) {
			p := newScript(t, Options{})
			init := c.mangle(p, p.initChunk())
			p.sendFrom(p.sock, c.tag, init)
			if c.cause < 0 {
				p.silence(time.Second)
				if len(p.e.Stats().Dropped) == 0 {
					t.Error("not counted")
				}
				return
			}
			r := p.recv(ctAbort)
			if r.h.tag != p.own || r.chunks[0].flags != 0 || causeOf(r.chunks[0]) != Cause(c.cause) {
				t.Errorf("ABORT tag %x flags %d %v", r.h.tag, r.chunks[0].flags, causeOf(r.chunks[0]))
			}
		})
	}
}

// RFC 9260 §3.2.1: unknown parameters are handled by their two high bits; those others send are tolerated, also a last one without padding.
func TestInitParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		i := p.init(
			0, ptIPv4, 0, 8, 10, 0, 0, 1,
			0, ptPreservative, 0, 8, 0, 0, 1, 0,
			0x80, 0, 0, 4, // ECN: skip
			0xc0, 0, 0, 4, // FORWARD-TSN: skip and report
			0x80, 8, 0, 9, 192, 193, 128, 129, 130, 0, 0, 0, // supported extensions, padded
			0x40, 0x77, 0, 5, 1, 0, 0, 0, // stop and report
			0xc0, 1, 0, 4, // not reached
			0, ptAddressTypes, 0, 6, 0, 5) // not padded
		want := []byte{0xc0, 0, 0, 4, 0x40, 0x77, 0, 5, 1, 0, 0, 0}
		if i.unknown != nil {
			t.Errorf("INIT ACK itself has unknown parameters %x", i.unknown)
		}
		p.sendFrom(p.sock, 0, p.initChunk(0xc0, 0, 0, 4, 0x40, 0x77, 0, 5, 1, 0, 0, 0, 0xc0, 1, 0, 4))
		r := p.recv(ctInitAck)
		var got []byte
		for rest := r.chunks[0].value[initFixed:]; len(rest) > 0; {
			typ, val, _, next, err := nextParam(rest)
			if err != nil {
				t.Fatal(err)
			}
			if rest = next; typ == ptUnrecognized {
				got = append(got, val...)
				got = appendPad(got, len(val))
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("reported %x, want %x", got, want)
		}
	})
}

// RFC 9260 §5.2.4 table, rows A to D and the rest, for an established association.
func TestCookieCollision(t *testing.T) {
	inBubble("A: peer restarted", t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.send(p.data(0, 0, "before"))
		p.own, p.tsn = 0x99, 5000
		b := p.open()
		wantRecv(t, a, "before")
		wantEnd(t, a, ErrRestarted)
		p.send(p.data(0, 0, "after"))
		wantRecv(t, b, "after")
		if s := p.e.Stats(); s.Restarted != 1 || s.Associations != 1 {
			t.Errorf("%+v", s)
		}
	})
	inBubble("C: late cookie of the same peer tag", t, func(t *testing.T) {
		p := newScript(t, Options{})
		early := p.init()
		a := p.open()
		p.sendFrom(p.sock, early.tag, appendChunk(nil, ctCookieEcho, 0, early.cookie))
		p.silence(time.Second)
		if p.dropped(dropCookieTag) != 1 || a.Err() != nil {
			t.Errorf("%+v, %v", p.e.Stats(), a.Err())
		}
	})
	inBubble("D: COOKIE ACK was lost, even when the cookie is stale by now", t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{HBInterval: time.Hour}})
		i := p.init()
		p.tag = i.tag
		for range 2 {
			p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie))
			p.recv(ctCookieAck)
			time.Sleep(2 * time.Minute)
		}
		if s := p.e.Stats(); s.Established != 1 {
			t.Errorf("%+v", s)
		}
	})
	inBubble("other: cookie from before an earlier association", t, func(t *testing.T) {
		p := newScript(t, Options{})
		p.own = 0x55
		old := p.init()
		p.own = 0x66
		a := p.open()
		p.sendFrom(p.sock, old.tag, appendChunk(nil, ctCookieEcho, 0, old.cookie))
		p.silence(time.Second)
		if a.Err() != nil {
			t.Error(a.Err())
		}
	})
}

// RFC 9260 §5.2.1: both sides dial at once with the same ports, and make one association.
func TestSimultaneousOpen(t *testing.T) {
	for _, lag := range []time.Duration{0, 400 * time.Microsecond, 900 * time.Microsecond} {
		inBubble(lag.String(), t, func(t *testing.T) {
			n := sctptest.New(1, sctptest.Conditions{Delay: time.Millisecond})
			var ends [2]*Userspace
			addrs := [2]netip.AddrPort{serverAddr, scriptAddr}
			for i := range ends {
				s, err := n.Open(addrs[i])
				if err != nil {
					t.Fatal(err)
				}
				if ends[i], err = NewUDP(Options{Conn: s}); err != nil {
					t.Fatal(err)
				}
				defer ends[i].Close()
			}
			type result struct {
				a   Association
				err error
			}
			first, second := make(chan result, 1), make(chan result, 1)
			dial := func(i int, out chan result) {
				other := addrs[1-i]
				a, err := ends[i].Dial(t.Context(), netip.AddrPortFrom(other.Addr(), 7), DialOptions{LocalPort: 7, EncapPort: other.Port()})
				out <- result{a, err}
			}
			go dial(0, first)
			time.Sleep(lag)
			go dial(1, second)
			x, y := <-first, <-second
			if x.err != nil || y.err != nil {
				t.Fatal(x.err, y.err)
			}
			for i, text := range []string{"one", "two"} {
				if err := x.a.Send(t.Context(), uint16(i), 18, []byte(text)); err != nil {
					t.Fatal(err)
				}
				wantRecv(t, y.a, text)
				if err := y.a.Send(t.Context(), 0, 18, []byte(text)); err != nil {
					t.Fatal(err)
				}
				wantRecv(t, x.a, text)
			}
			if s := ends[0].Stats(); s.Established != 1 || s.Associations != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// RFC 9260 §5.1.6: INIT is repeated with doubled timeouts, Max.Init.Retransmits times.
func TestDialUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{MaxInitRetr: 3}})
		start := time.Now()
		_, err := p.e.Dial(t.Context(), netip.AddrPortFrom(scriptAddr.Addr(), 1), DialOptions{EncapPort: scriptAddr.Port()})
		if !errors.Is(err, ErrNoAnswer) || time.Since(start) != 15*time.Second { // 1+2+4+8
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for range 4 {
			if r := p.recv(ctInit); r.h.tag != 0 {
				t.Errorf("INIT with tag %x", r.h.tag)
			}
		}
		p.silence(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := p.e.Dial(ctx, netip.AddrPortFrom(scriptAddr.Addr(), 1), DialOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial within 100 ms: %v", err)
		}
		if s := p.e.Stats(); s.Associations != 0 {
			t.Errorf("%+v", s)
		}
	})
}
