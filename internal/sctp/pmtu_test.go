package sctp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

func (a *assoc) pathMTU() pmtu {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.path.pmtu
}

// RFC 8899 §5.3: the search ends within a step of what the path carries, whatever that is, and data flow meanwhile.
func TestPathMTUFound(t *testing.T) {
	for _, mtu := range []int{0, 1471, 1400, 1280, 1216, 1200} {
		inBubble(fmt.Sprint(mtu), t, func(t *testing.T) {
			k := newLink(t, 1, Options{MTU: 1472, BaseMTU: 1200})
			defer k.close()
			k.net.SetConditions(sctptest.Conditions{Delay: 20 * time.Millisecond, MTU: mtu})
			if err := pump(k.x, k.y, 500, sizes(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			m := k.x.pathMTU()
			if mtu == 0 && m.size != 1472 || mtu != 0 && (m.size > mtu || m.size+probeStep <= mtu) || m.probe != 0 {
				t.Errorf("found %+v on a path of %d", m, mtu)
			}
			if s := k.a.Stats(); s.T3Expiries != 0 || s.BlackHoles != 0 {
				t.Errorf("probing cost data: %+v", s)
			}
			k.net.SetConditions(sctptest.Conditions{Delay: 20 * time.Millisecond})
			time.Sleep(raiseTimer + time.Minute)
			if m := k.x.pathMTU(); m.size != 1472 {
				t.Errorf("the path has grown, PLPMTU has not: %+v", m)
			}
		})
	}
}

// RFC 8899 §4.3, RFC 9260 §6.9: a path that begins to swallow large packets, silently, with long messages under way.
func TestPathMTUBlackHole(t *testing.T) {
	for _, mtu := range []int{1300, 1200, 600} {
		inBubble(fmt.Sprint(mtu), t, func(t *testing.T) {
			k := newLink(t, 1, Options{MTU: 1472, BaseMTU: 1200})
			defer k.close()
			time.Sleep(time.Minute)
			if m := k.x.pathMTU(); m.size != 1472 {
				t.Fatalf("PLPMTU %+v", m)
			}
			done := make(chan error)
			start := time.Now()
			go func() { done <- pump(k.x, k.y, 400, func(i int) int { return 4 + i*97%20000 }) }()
			k.net.SetConditions(sctptest.Conditions{Delay: 20 * time.Millisecond, MTU: mtu})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			time.Sleep(time.Minute)
			m, s := k.x.pathMTU(), k.a.Stats()
			t.Logf("4 MB in %v, %+v", took, m)
			if s.BlackHoles == 0 || m.size > max(mtu, 1200) || m.broken != (mtu < 1200) || took > time.Minute {
				t.Errorf("path of %d: %+v after %v, %+v", mtu, m, took, s)
			}
			k.net.SetConditions(sctptest.Conditions{Delay: 20 * time.Millisecond})
			time.Sleep(raiseTimer + time.Minute)
			if m := k.x.pathMTU(); m.size != 1472 || m.broken {
				t.Errorf("the path has healed: %+v", m)
			}
		})
	}
}

// A path below the base size, and nothing to search for: the network has to cut, and may.
func TestPathMTUBelowBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLink(t, 1, Options{MTU: 1200, BaseMTU: 1200})
		defer k.close()
		k.net.SetConditions(sctptest.Conditions{Delay: 20 * time.Millisecond, MTU: 600})
		if err := pump(k.x, k.y, 200, sizes(1)); err != nil {
			t.Fatal(err)
		}
		if m := k.x.pathMTU(); m.size != 1200 || !m.broken {
			t.Errorf("%+v", m)
		}
	})
}

// A receiver that has no room is not a path that swallows packets: probes of a closed window (RFC 9260 §6.1 rule A) do not shrink them.
func TestPathMTUClosedWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{MTU: 1452, BaseMTU: 1200, Timers: Timers{HBInterval: time.Hour, RTOMax: 4 * time.Second}})
		a := p.open().(*assoc)
		p.send(appendChunk(nil, ctHeartbeatAck, 0, p.recv(ctHeartbeat, ctPad).chunks[0].value), sackChunk(p.cum, 0))
		time.Sleep(10 * time.Millisecond)
		for range 3 {
			if err := a.Send(t.Context(), 0, 18, make([]byte, 1400)); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			p.recv(ctData)
			p.send(sackChunk(p.cum, 0))
		}
		if m := a.pathMTU(); m.size != 1452 || p.e.Stats().BlackHoles != 0 {
			t.Errorf("%+v", m)
		}
	})
}

// Chunks that wait for their TSN are cut anew and lose nothing; those sent keep what they carry.
func TestRecut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLink(t, 1, Options{MTU: 1472, BaseMTU: 1200})
		defer k.close()
		time.Sleep(time.Minute)
		k.net.SetConditions(sctptest.Conditions{Loss: 1})
		for i, n := range []int{9000, 1, 1444, 1445, 5000} {
			if err := k.x.Send(t.Context(), 0, 18, payload(0, i, n)); err != nil {
				t.Fatal(err)
			}
		}
		k.x.mu.Lock()
		sent := k.x.sent
		k.x.path.pmtu.size = 1200
		k.x.recut()
		for i := range k.x.q.n {
			if c := k.x.q.at(i); (c.n > k.x.userLimit()) != (i < sent && c.n > 1172) {
				t.Errorf("chunk %d of %d bytes, %d sent", i, c.n, sent)
			}
		}
		k.x.mu.Unlock()
		checkInvariants(t, k.x)
		k.net.SetConditions(sctptest.Conditions{})
		for i, n := range []int{9000, 4, 1444, 1445, 5000} {
			wantRecv(t, k.y, string(payload(0, i, n)))
		}
	})
}

// RFC 8899 §6.2.1: a probe is a HEARTBEAT padded by a PAD chunk; only its own answer counts, and three unanswered ones are enough.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{MTU: 1452, BaseMTU: 1200, Timers: Timers{HBInterval: time.Hour}})
		a := p.open().(*assoc)
		probe := func(want int) received {
			r := p.recv(ctHeartbeat, ctPad)
			if r.size != want {
				t.Errorf("probe of %d bytes, want %d", r.size, want)
			}
			return r
		}
		answer := func(r received) {
			p.send(appendChunk(nil, ctHeartbeatAck, 0, r.chunks[0].value))
			time.Sleep(10 * time.Millisecond)
		}
		old := probe(1452)
		probe(1452)
		forged := probe(1452)
		forged.chunks[0].value[7] ^= 1
		answer(forged)
		answer(old)
		if m := a.pathMTU(); m.size != 1200 {
			t.Fatalf("believed a forged answer: %+v", m)
		}
		answer(probe(1324)) // three were lost: half way between 1200 and 1451
		answer(probe(1388))
		for range 3 {
			probe(1420)
		}
		answer(probe(1404))
		p.silence(time.Minute)
		if m := a.pathMTU(); m.size != 1404 || a.look().cwnd != 4404 {
			t.Errorf("%+v", m)
		}
		time.Sleep(raiseTimer - time.Minute)
		answer(probe(1452))
		p.silence(time.Hour / 2)
	})
}

// A PAD chunk of a peer is nothing (RFC 4820 §3), also in a packet with DATA.
func TestPadIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.send(appendChunk(nil, ctPad, 0, make([]byte, 500)), p.data(0, 0, "behind"), appendChunk(nil, ctPad, 0))
		wantRecv(t, a, "behind")
		if s := p.e.Stats(); len(s.Dropped) != 0 {
			t.Errorf("%v", s.Dropped)
		}
		p.send(appendChunk(nil, ctHeartbeat, 0, appendParam(nil, ptHeartbeatInfo, []byte("12345"))), appendChunk(nil, ctPad, 0, make([]byte, 900)))
		r := p.recv(ctHeartbeatAck)
		if string(r.chunks[0].value[4:9]) != "12345" {
			t.Errorf("%x", r.chunks[0].raw)
		}
	})
}
