package sctp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// RFC 9260 §8.5: a packet with a wrong verification tag changes nothing, ABORT and SHUTDOWN COMPLETE least of all.
func TestWrongTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{HBInterval: time.Hour}})
		a := p.open()
		for _, c := range []struct {
			tag   uint32
			chunk []byte
		}{
			{p.tag + 1, appendChunk(nil, ctAbort, 0)},
			{p.own, appendChunk(nil, ctAbort, 0)},     // the peer's own tag needs the T bit
			{p.tag, appendChunk(nil, ctAbort, flagT)}, // and ours forbids it
			{0, appendChunk(nil, ctAbort, flagT)},     //
			{p.tag + 1, dataChunk(100, 0, 0, 3, "x")}, //
			{p.tag + 1, appendChunk(nil, ctShutdown, 0, make([]byte, 4))},
			{p.tag + 1, appendChunk(nil, ctShutdownComplete, 0)},
			{p.tag + 1, appendChunk(nil, ctShutdownAck, 0)},
			{p.tag + 1, appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 8, 1, 2, 3, 4})},
			{p.own, sackChunk(p.cum+1, 0)},
		} {
			p.sendFrom(p.sock, c.tag, c.chunk)
		}
		p.silence(time.Second)
		if n := p.dropped(dropTag); n != 10 || a.Err() != nil {
			t.Errorf("%d packets dropped, association %v", n, a.Err())
		}
		p.send(p.data(0, 0, "alive"))
		wantRecv(t, a, "alive")
	})
}

// RFC 9260 §8.5.1 B: ABORT counts with our tag, or with the peer's own and the T bit. Its cause reaches the user.
func TestAbortReceived(t *testing.T) {
	for name, c := range map[string]struct {
		flags uint8
		cause Cause
		info  string
	}{
		"own tag":       {0, CauseUserAbort, "good night"},
		"T bit":         {flagT, 0, ""},
		"out of memory": {0, CauseOutOfResource, ""},
	} {
		inBubble(name, t, func(t *testing.T) {
			p := newScript(t, Options{})
			a := p.open()
			p.send(p.data(0, 0, "unread"))
			tag := p.tag
			if c.flags != 0 {
				tag = p.own
			}
			p.sendFrom(p.sock, tag, appendCause(nil, ctAbort, c.flags, c.cause, []byte(c.info)))
			<-a.Done()
			wantRecv(t, a, "unread")
			_, err := a.Recv(t.Context())
			var e *AbortError
			if !errors.As(err, &e) || e.Cause != c.cause || e.Reason != c.info || e.Local {
				t.Errorf("recv: %v", err)
			}
			if err := a.Send(t.Context(), 0, 18, []byte("x")); !errors.As(err, &e) {
				t.Errorf("send: %v", err)
			}
			if err := a.Shutdown(t.Context()); !errors.As(err, &e) {
				t.Errorf("shutdown: %v", err)
			}
		})
	}
}

// RFC 9260 §9.1: our ABORT carries the peer's tag and the reason.
func TestAbortSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		a.Abort("no more")
		r := p.recv(ctAbort)
		if r.h.tag != p.own || r.chunks[0].flags != 0 || causeOf(r.chunks[0]) != CauseUserAbort || string(r.chunks[0].value[4:]) != "no more" {
			t.Errorf("%+v", r)
		}
		var e *AbortError
		if !errors.As(a.Err(), &e) || !e.Local || !strings.Contains(e.Error(), "no more") {
			t.Errorf("%v", a.Err())
		}
		a.Abort("again")
		p.silence(time.Minute)
		if s := p.e.Stats(); s.Associations != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// RFC 9260 §8.4: packets of no association.
func TestOutOfTheBlue(t *testing.T) {
	for name, c := range map[string]struct {
		chunk []byte
		want  int // chunk type, -1 silence
	}{
		"DATA":              {dataChunk(1, 0, 0, 3, "x"), ctAbort},
		"SACK":              {sackChunk(1, 1), ctAbort},
		"HEARTBEAT":         {appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 4}), ctAbort},
		"SHUTDOWN":          {appendChunk(nil, ctShutdown, 0, []byte{0, 0, 0, 0}), ctAbort},
		"SHUTDOWN ACK":      {appendChunk(nil, ctShutdownAck, 0), ctShutdownComplete},
		"ABORT":             {appendChunk(nil, ctAbort, 0), -1},
		"SHUTDOWN COMPLETE": {appendChunk(nil, ctShutdownComplete, 0), -1},
		"COOKIE ACK":        {appendChunk(nil, ctCookieAck, 0), -1},
		"ERROR":             {appendCause(nil, ctError, 0, CauseStaleCookie, make([]byte, 4)), -1},
		"INIT ACK":          {appendInit(nil, ctInitAck, &initChunk{tag: 1, out: 1, in: 1}), -1},
	} {
		inBubble(name, t, func(t *testing.T) {
			p := newScript(t, Options{})
			p.sendFrom(p.sock, 0xabcd, c.chunk)
			if c.want < 0 {
				p.silence(time.Second)
			} else if r := p.recv(uint8(c.want)); r.h.tag != 0xabcd || r.chunks[0].flags != flagT {
				t.Errorf("tag %x flags %d, want the tag reflected and T", r.h.tag, r.chunks[0].flags)
			}
			if p.dropped(dropOutOfTheBlue) != 1 {
				t.Errorf("%+v", p.e.Stats())
			}
		})
	}
}

// RFC 9260 §6.8, §6.10: packets that are not packets.
func TestMalformedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{HBInterval: time.Hour}})
		a := p.open()
		good := append(appendPacket(nil, p.src, p.dst, p.tag), dataChunk(100, 0, 0, 3, "abcd")...)
		bad := map[drop]int{}
		put := func(b []byte, sealed bool, why drop) {
			if sealed {
				seal(b)
			}
			bad[why]++
			if err := p.sock.WriteTo(b, serverAddr); err != nil {
				t.Fatal(err)
			}
		}
		with := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), good...)) }
		put(good[:11], false, dropMalformed)
		put(good[:12], true, dropMalformed)
		put(with(func(b []byte) []byte { return b }), false, dropChecksum)
		put(with(func(b []byte) []byte { b[15] = 3; return b }), true, dropMalformed)
		put(with(func(b []byte) []byte { b[15] = 99; return b }), true, dropMalformed)
		put(with(func(b []byte) []byte { clear(b[:2]); return b }), true, dropMalformed)
		put(with(func(b []byte) []byte { return append(b, 3, 0) }), true, dropMalformed)
		p.silence(time.Second)
		for why, n := range bad {
			if p.dropped(why) != uint64(n) {
				t.Errorf("%s: %d, want %d", dropNames[why], p.dropped(why), n)
			}
		}
		p.send(p.data(0, 0, "alive"))
		wantRecv(t, a, "alive")
	})
}

// RFC 9260 §3.2: the two high bits of an unknown chunk type.
func TestUnknownChunks(t *testing.T) {
	for _, c := range []struct {
		typ          uint8
		report, skip bool
	}{{0x3f, false, false}, {0x7f, true, false}, {0xbf, false, true}, {0xfe, true, true},
		{0x0c, false, false}, {0x0d, false, false}, // ECNE, CWR
		{0x0f, false, false}, {0x40, true, false}, {0x82, false, true}, // AUTH, I-DATA, RE-CONFIG
		{0xc0, true, true}, {0xc1, true, true}, {0x80, false, true}} { // FORWARD TSN, ASCONF, ASCONF ACK
		inBubble("", t, func(t *testing.T) {
			p := newScript(t, Options{Timers: Timers{HBInterval: time.Hour, SACKDelay: 1}})
			a := p.open()
			unknown := appendChunk(nil, c.typ, 0, []byte("what?"))
			p.send(unknown, p.data(0, 0, "behind"))
			if c.report {
				r := p.recv(ctError)
				if causeOf(r.chunks[0]) != CauseUnrecognizedChunk || string(r.chunks[0].value[8:13]) != "what?" {
					t.Errorf("type %x: ERROR %x", c.typ, r.chunks[0].value)
				}
			}
			if c.skip {
				wantRecv(t, a, "behind")
				p.recv(ctSack)
			}
			p.silence(time.Second)
		})
	}
}

// RFC 9260 §8.3: HEARTBEAT is answered with its own content, to the address it came from, even one the peer only named in INIT.
func TestHeartbeatAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		p.open(0, ptIPv4, 0, 8, 192, 0, 2, 10)
		hb := appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 9, 1, 2, 3, 4, 5, 0, 0, 0})
		p.send(hb)
		if r := p.recv(ctHeartbeatAck); string(r.chunks[0].value) != string(hb[4:]) || r.h.tag != p.own {
			t.Errorf("%+v", r)
		}
		other := p.openSocket(netip.MustParseAddrPort("192.0.2.10:5555"))
		defer other.Close()
		p.sendFrom(other, p.tag, hb)
		p.recv(ctHeartbeatAck)
		stray := p.openSocket(netip.MustParseAddrPort("192.0.2.11:5555"))
		defer stray.Close()
		p.sendFrom(stray, p.tag, hb)
		p.recv(ctAbort) // not an address of the peer: out of the blue, and only the stray hears it
		p.send(hb)
		p.recv(ctHeartbeatAck)
	})
}

// RFC 6951 §5.4: answers follow the UDP port the peer's last good packet came from.
func TestEncapPortLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.sock.Close()
		p.sock = p.openSocket(netip.AddrPortFrom(scriptAddr.Addr(), 6666))
		if err := a.Send(t.Context(), 0, 18, []byte("lost")); err != nil {
			t.Fatal(err)
		}
		p.silence(100 * time.Millisecond)
		p.sendFrom(p.sock, p.tag+1, appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 4})) // wrong tag: not believed
		p.silence(100 * time.Millisecond)
		p.send(appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 4}))
		p.recv(ctHeartbeatAck)
		r := p.recv(ctData)
		if tsn := binary.BigEndian.Uint32(r.chunks[0].value); tsn != p.cum+1 {
			t.Errorf("TSN %d, want %d again", tsn, p.cum+1)
		}
	})
}
