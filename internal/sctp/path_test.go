package sctp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var secondAddr = netip.MustParseAddrPort("192.0.2.10:5555")

// twoHomed is a scripted peer with two addresses that has confirmed both (RFC 9260 §5.4).
func twoHomed(t *testing.T, o Options) (*script, *assoc) {
	p := newScript(t, o)
	second := p.openSocket(secondAddr)
	t.Cleanup(func() { second.Close() })
	a := p.open(0, 5, 0, 8, 192, 0, 2, 10).(*assoc)
	if r := p.recv(ctHeartbeat); r.to != secondAddr.Addr() {
		t.Errorf("the first HEARTBEAT goes to %v", r.to)
	} else {
		p.sendFrom(second, p.tag, appendChunk(nil, ctHeartbeatAck, 0, r.chunks[0].value))
	}
	time.Sleep(10 * time.Millisecond)
	return p, a
}

// recvAt is recv of a packet to one of the script's addresses.
func (p *script) recvAt(at netip.Addr, types ...uint8) received {
	p.t.Helper()
	r := p.recv(types...)
	if r.to != at {
		p.t.Fatalf("chunks %v went to %v, want %v", types, r.to, at)
	}
	return r
}

// RFC 9260 §5.4: an address that was only claimed gets HEARTBEATs, no DATA, whatever happens at the others.
func TestUnconfirmedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{MaxRetrans: 3}})
		a := p.open(0, 5, 0, 8, 192, 0, 2, 10, 0, 5, 0, 8, 224, 0, 0, 1, 0, 5, 0, 8, 192, 0, 2, 9).(*assoc)
		if got := a.Paths(); len(got) != 2 || got[1].Confirmed || got[1].Current || !got[0].Confirmed || !got[0].Current {
			t.Fatalf("%+v", got)
		}
		if err := a.Send(t.Context(), 0, 18, []byte("never answered")); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			p.recvAt(scriptAddr.Addr(), ctData)
		}
		p.recvAt(scriptAddr.Addr(), ctAbort)
		wantEnd(t, a, ErrLost)
	})
}

// RFC 9260 §6.4, §8.2; RFC 7829 §3.2: the first loss sends DATA to the peer's other address, HEARTBEATs watch the silent one, DATA goes back once
// it answers. The association outlives an address that never does.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := twoHomed(t, Options{Timers: Timers{HBInterval: 10 * time.Second}})
		first, second := scriptAddr.Addr(), secondAddr.Addr()
		say := func() {
			t.Helper()
			if err := a.Send(t.Context(), 0, 18, []byte("word")); err != nil {
				t.Fatal(err)
			}
		}
		ack := func() {
			p.cum++
			p.send(sackChunk(p.cum, 100000))
			time.Sleep(2 * time.Millisecond)
		}
		say()
		p.recvAt(first, ctData) // and no answer; one second later:
		seen := map[netip.Addr]uint8{}
		for range 2 {
			r := p.recv1()
			seen[r.to] = r.chunks[0].typ
		}
		if seen[first] != ctHeartbeat || seen[second] != ctData {
			t.Fatalf("after T3: %v", seen)
		}
		ack()
		say()
		p.recvAt(second, ctData)
		ack()
		down := time.Now()
		for a.Paths()[0].Reachable { // HEARTBEATs to the first, answers from the second: the association lives
			if r := p.recv(ctHeartbeat); r.to == second {
				p.send(appendChunk(nil, ctHeartbeatAck, 0, r.chunks[0].value))
			}
		}
		if d := time.Since(down); d < 20*time.Second || d > 90*time.Second {
			t.Errorf("called unreachable after %v", d)
		}
		say()
		p.recvAt(second, ctData)
		ack()
		for {
			r := p.recv(ctHeartbeat)
			p.send(appendChunk(nil, ctHeartbeatAck, 0, r.chunks[0].value))
			if r.to == first {
				break
			}
		}
		time.Sleep(2 * time.Millisecond)
		if got := a.Paths(); !got[0].Reachable || !got[0].Current || got[1].Current {
			t.Errorf("the first address answers again: %+v", got)
		}
		say()
		p.recvAt(first, ctData)
	})
}

// RFC 9260 §6.4: a SACK goes to where the DATA came from. A HEARTBEAT is answered there too (§8.3).
func TestAnswersWhereAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := twoHomed(t, Options{})
		from, err := p.net.Open(netip.AddrPortFrom(secondAddr.Addr(), 6666)) // a NAT has given it another UDP port
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		buf := make([]byte, 1500)
		want := func(typ uint8) {
			t.Helper()
			n, _, err := from.ReadFrom(buf)
			if err != nil || n < headerLen || buf[headerLen] != typ {
				t.Fatalf("%x %v, want chunk %d", buf[:n], err, typ)
			}
		}
		for i, text := range []string{"one", "two"} {
			p.sendFrom(from, p.tag, p.data(0, uint16(i), text))
		}
		wantRecv(t, a, "one", "two")
		want(ctSack)
		p.sendFrom(from, p.tag, appendChunk(nil, ctHeartbeat, 0, []byte{0, 1, 0, 4}))
		want(ctHeartbeatAck)
	})
}

// RFC 9260 §5.2.2: a restart that brings addresses the association did not have is refused: it could be somebody else's.
func TestRestartWithNewAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := twoHomed(t, Options{})
		p.own++
		p.sendFrom(p.sock, 0, p.initChunk(0, 5, 0, 8, 192, 0, 2, 10, 0, 5, 0, 8, 198, 51, 100, 7))
		if r := p.recv(ctAbort); causeOf(r.chunks[0]) != CauseRestartNewAddress || string(r.chunks[0].value[4:]) != "\x00\x05\x00\x08\xc6\x33\x64\x07" || r.h.tag != p.own {
			t.Errorf("%+v", r)
		}
		p.init(0, 5, 0, 8, 192, 0, 2, 10) // nothing new: a restart may follow
		if a.Err() != nil {
			t.Error(a.Err())
		}
	})
}

// A multi-homed peer may answer INIT from another address than was dialled, and send its COOKIE ECHO from another one than its INIT; a third party
// may do neither.
func TestSetupFromOtherAddress(t *testing.T) {
	list := []byte{0, 5, 0, 8, 192, 0, 2, 9, 0, 5, 0, 8, 192, 0, 2, 10}
	inBubble("INIT ACK", t, func(t *testing.T) {
		p := newScript(t, Options{})
		second := p.openSocket(secondAddr)
		defer second.Close()
		result := p.dialled()
		ack := p.initAck(nil)
		ack = append(ack, list...)
		binary.BigEndian.PutUint16(ack[2:], uint16(len(ack)))
		p.sendFrom(second, p.tag+1, ack)
		p.silence(100 * time.Millisecond)
		p.sendFrom(second, p.tag, ack)
		p.recvAt(scriptAddr.Addr(), ctCookieEcho)
		p.sendFrom(second, p.tag, appendChunk(nil, ctCookieAck, 0))
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
	inBubble("COOKIE ECHO", t, func(t *testing.T) {
		p := newScript(t, Options{})
		second, third := p.openSocket(secondAddr), p.openSocket(netip.MustParseAddrPort("192.0.2.11:5555"))
		defer second.Close()
		defer third.Close()
		i := p.init(list...)
		p.tag, p.cum = i.tag, i.tsn-1
		echo := appendChunk(nil, ctCookieEcho, 0, i.cookie)
		p.sendFrom(third, p.tag, echo) // stolen
		p.silence(100 * time.Millisecond)
		if p.dropped(dropCookieTag) != 1 {
			t.Errorf("%+v", p.e.Stats())
		}
		p.sendFrom(second, p.tag, echo)
		p.recvAt(scriptAddr.Addr(), ctCookieAck)
		a, err := p.l.Accept(t.Context())
		if err != nil || a.RemoteAddr().Addr() != scriptAddr.Addr() {
			t.Errorf("%v %v", a, err)
		}
	})
}
