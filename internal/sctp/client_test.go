package sctp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// dialled lets the endpoint dial the script and returns where the result will come. The script's ports and tags are set from the INIT.
func (p *script) dialled() chan error {
	result := make(chan error, 1)
	go func() {
		_, err := p.e.Dial(p.t.Context(), netip.AddrPortFrom(scriptAddr.Addr(), 1000), DialOptions{EncapPort: scriptAddr.Port()})
		result <- err
	}()
	p.wantInit()
	return result
}

func (p *script) wantInit() {
	p.t.Helper()
	r := p.recv(ctInit)
	i, err := parseInit(r.chunks[0].value)
	if err != nil || r.h.tag != 0 || i.tag == 0 || i.out != 16 || i.in != 2048 {
		p.t.Fatalf("INIT %+v %v", i, err)
	}
	p.dst, p.tag, p.cum = r.h.src, i.tag, i.tsn-1
}

func (p *script) initAck(f func(*initChunk)) []byte {
	i := initChunk{tag: p.own, rwnd: 100000, out: 5, in: 6, tsn: p.tsn, cookie: []byte("biscuit")}
	if f != nil {
		f(&i)
	}
	return appendInit(nil, ctInitAck, &i)
}

func (p *script) wantCookie() received {
	p.t.Helper()
	r := p.recv(ctCookieEcho)
	if r.h.tag != p.own || string(r.chunks[0].value) != "biscuit" {
		p.t.Fatalf("COOKIE ECHO %+v", r)
	}
	return r
}

// RFC 9260 §5.1 from the side that opens; unknown parameters of INIT ACK are reported with COOKIE ECHO (§3.2.2).
func TestDialSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		result := p.dialled()
		ack := p.initAck(nil)
		ack = append(ack, 0x80, 0, 0, 4, 0xc0, 0, 0, 4)
		binary.BigEndian.PutUint16(ack[2:], uint16(len(ack)))
		p.send(ack)
		r := p.recv(ctCookieEcho, ctError)
		if causeOf(r.chunks[1]) != CauseUnrecognizedParam || string(r.chunks[1].value[4:]) != "\xc0\x00\x00\x04" {
			t.Errorf("ERROR %x", r.chunks[1].value)
		}
		p.send(p.initAck(func(i *initChunk) { i.tag++ })) // §5.2.3: a second INIT ACK is ignored
		p.send(appendChunk(nil, ctCookieAck, 0), p.data(0, 0, "first"))
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		p.recv(ctSack)
		p.send(appendChunk(nil, ctCookieAck, 0)) // and so is another COOKIE ACK, §5.2.5
		p.silence(time.Second)
	})
}

// RFC 9260 §5.2.6: a stale cookie starts setup again.
func TestDialStaleCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{MaxInitRetr: 2}})
		result := p.dialled()
		for range 2 {
			p.send(p.initAck(nil))
			p.wantCookie()
			p.send(appendCause(nil, ctError, 0, CauseStaleCookie, make([]byte, 4)))
			p.wantInit()
		}
		p.send(p.initAck(nil))
		p.wantCookie()
		p.send(appendCause(nil, ctError, 0, CauseStaleCookie, make([]byte, 4)))
		if err := <-result; !errors.Is(err, ErrNoAnswer) {
			t.Errorf("the third stale cookie: %v", err)
		}
	})
}

// INIT ACKs that end the attempt. RFC 9260 §3.3.3, §5.1.
func TestDialBadInitAck(t *testing.T) {
	for name, c := range map[string]struct {
		mangle func(*initChunk)
		cause  Cause
	}{
		"no streams":  {func(i *initChunk) { i.out = 0 }, CauseInvalidParameter},
		"no cookie":   {func(i *initChunk) { i.cookie = nil }, CauseMissingParameter},
		"no own tag":  {func(i *initChunk) { i.tag = 0 }, CauseProtocolViolation},
		"no response": {nil, 0},
	} {
		inBubble(name, t, func(t *testing.T) {
			p := newScript(t, Options{Timers: Timers{MaxInitRetr: 1}})
			result := p.dialled()
			if c.mangle != nil {
				p.send(p.initAck(c.mangle))
			}
			if c.cause == CauseProtocolViolation {
				p.silence(time.Second / 2) // there is no tag to abort with
			} else if c.cause != 0 {
				if r := p.recv(ctAbort); causeOf(r.chunks[0]) != c.cause || r.h.tag != p.own {
					t.Errorf("ABORT %v", causeOf(r.chunks[0]))
				}
			}
			var e *AbortError
			if err := <-result; c.cause != 0 && (!errors.As(err, &e) || e.Cause != c.cause) || c.cause == 0 && !errors.Is(err, ErrNoAnswer) {
				t.Errorf("dial: %v", err)
			}
		})
	}
}

// RFC 9260 §8.5.1 rule E: SHUTDOWN ACK while opening is from an earlier life of the peer, and is put to rest.
func TestDialMeetsOldAssociation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		result := p.dialled()
		p.sendFrom(p.sock, 0x4711, appendChunk(nil, ctShutdownAck, 0))
		if r := p.recv(ctShutdownComplete); r.h.tag != 0x4711 || r.chunks[0].flags != flagT {
			t.Errorf("%+v", r)
		}
		p.send(p.initAck(nil))
		p.wantCookie()
		p.send(appendChunk(nil, ctCookieAck, 0))
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// RFC 9260 §9.2 from our side: SHUTDOWN carries the TSN received (not our own); DATA that crosses it is taken and answered at once.
func TestShutdownSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.send(p.data(0, 0, "one"))
		p.recv(ctSack)
		done := make(chan error, 1)
		go func() { done <- a.Shutdown(t.Context()) }()
		cum := func(c chunk) uint32 { return binary.BigEndian.Uint32(c.value) }
		if r := p.recv(ctShutdown); cum(r.chunks[0]) != 100 {
			t.Errorf("SHUTDOWN with TSN %d, want 100", cum(r.chunks[0]))
		}
		p.send(p.data(0, 1, "crossing"))
		if r := p.recv(ctShutdown, ctSack); cum(r.chunks[0]) != 101 {
			t.Errorf("SHUTDOWN with TSN %d, want 101", cum(r.chunks[0]))
		}
		p.recv(ctShutdown) // T2
		p.send(appendChunk(nil, ctShutdownAck, 0))
		p.recv(ctShutdownComplete)
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantRecv(t, a, "one", "crossing")
		p.send(appendChunk(nil, ctShutdownAck, 0)) // our SHUTDOWN COMPLETE was lost
		if r := p.recv(ctShutdownComplete); r.chunks[0].flags != flagT || r.h.tag != p.tag {
			t.Errorf("%+v", r)
		}
	})
}

// RFC 9260 §9.2 from the other side: outstanding DATA first, then SHUTDOWN ACK, repeated until SHUTDOWN COMPLETE; INIT and a restart wait.
func TestShutdownReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.own = 0x999
		late := p.init() // of a restart that comes at the wrong moment
		p.own = 0x01020304
		if err := a.Send(t.Context(), 0, 18, []byte("outstanding")); err != nil {
			t.Fatal(err)
		}
		p.recv(ctData)
		shutdown := func(cum uint32) []byte {
			return appendChunk(nil, ctShutdown, 0, binary.BigEndian.AppendUint32(nil, cum))
		}
		p.send(shutdown(p.cum))
		p.recv(ctData) // T3: the SHUTDOWN did not acknowledge it
		wantEnd(t, a, ErrShutdown)
		p.send(shutdown(p.cum + 1))
		p.recv(ctShutdownAck)
		p.sendFrom(p.sock, 0, p.initChunk())
		p.recv(ctShutdownAck)
		p.sendFrom(p.sock, late.tag, appendChunk(nil, ctCookieEcho, 0, late.cookie))
		if r := p.recv(ctShutdownAck, ctError); causeOf(r.chunks[1]) != CauseCookieInShutdown {
			t.Errorf("%v", causeOf(r.chunks[1]))
		}
		p.recv(ctShutdownAck) // T2
		p.sendFrom(p.sock, p.own, appendChunk(nil, ctShutdownComplete, flagT))
		<-a.Done()
		if a.Err() != ErrShutdown {
			t.Error(a.Err())
		}
	})
}
