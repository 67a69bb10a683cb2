package sctp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// FuzzCookie: what a signed cookie says, whatever it is, survives the journey; nothing but our own signature opens one.
func FuzzCookie(f *testing.F) {
	mac := hmac.New(sha256.New, make([]byte, 32))
	f.Add(appendCookie(nil, &cookie{peer: scriptAddr, localTag: 1, peerTag: 2, out: 3, in: 4}, mac))
	f.Add(make([]byte, cookieFixed+3*16))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseCookie(b, hmac.New(sha256.New, []byte("another key"))); err == nil {
			t.Fatal("opened with another key")
		}
		mac.Reset()
		mac.Write(b)
		c, err := parseCookie(mac.Sum(slices.Clone(b)), mac)
		if err != nil {
			return
		}
		again, err := parseCookie(appendCookie(nil, &c, mac), mac)
		if err != nil || again != c || c.naddrs > maxPeerAddrs {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

// pit is Datagrams that swallow everything but remember the cookie of the last INIT ACK and the last HEARTBEAT's content.
type pit struct {
	sink
	cookie, beat []byte
}

func (s *pit) WriteTo(p []byte, _ netip.AddrPort) error {
	for rest := p[headerLen:]; len(rest) > 0; {
		c, r, ok := nextChunk(rest)
		if !ok {
			panic("the endpoint sent a bad packet")
		}
		rest = r
		switch c.typ {
		case ctInitAck:
			if i, err := parseInit(c.value); err == nil {
				s.cookie = slices.Clone(i.cookie)
			}
		case ctHeartbeat:
			s.beat = slices.Clone(c.value)
		}
	}
	return nil
}

func (s *pit) WriteSplit(p []byte, to netip.AddrPort) error { return s.WriteTo(p, to) }

// Operations of FuzzEndpoint's script: one byte of operation (high half: from which address), two of length, then as many bytes.
const (
	opForeign  = iota // chunks with tag 0, as INIT comes
	opOurTag          // chunks with the association's tag
	opPeerTag         // chunks with the peer's tag, as ABORT with T
	opCookie          // COOKIE ECHO with our last cookie, then chunks
	opBeat            // HEARTBEAT ACK with what we asked last, PMTU probes included, then chunks
	opTimer           // a timer fires
	opSend            // the user sends
	opRecv            // the user receives
	opShutdown        // the user shuts down
	opDial            // the user dials
	opCount
)

func op(kind, from byte, data []byte) []byte {
	return append([]byte{kind | from<<4, byte(len(data) >> 8), byte(len(data))}, data...)
}

// fuzzHost is an endpoint at a script's mercy.
type fuzzHost struct {
	t   *testing.T
	e   *Userspace
	pit *pit
	a   *assoc // the association the script means: the latest
}

func newFuzzHost(t *testing.T) *fuzzHost {
	s := &pit{sink: sink{done: make(chan struct{})}}
	e, err := NewUDP(Options{Conn: s, Rand: &counter{}, MTU: 1472, BaseMTU: 1200, ReceiveBuffer: 20000, MaxMessage: 10000, SendBuffer: 20000,
		CloseTimeout: 1, MaxAssociations: 3, Backlog: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Listen(36412); err != nil {
		t.Fatal(err)
	}
	return &fuzzHost{t: t, e: e, pit: s}
}

func (h *fuzzHost) find() {
	h.e.mu.RLock()
	defer h.e.mu.RUnlock()
	for _, a := range h.e.assocs {
		h.a = a
	}
}

func (h *fuzzHost) packet(tag uint32, from byte, home uint16, chunks []byte) {
	at := []netip.AddrPort{scriptAddr, secondAddr, netip.MustParseAddrPort("0.0.0.0:1"), scriptAddr}[from&3]
	p := append(appendPacket(nil, 1000, home, tag), chunks...)
	seal(p)
	h.e.input(p, at)
}

func (h *fuzzHost) do(kind, from byte, data []byte) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a, home := h.a, uint16(36412)
	if kind == opForeign {
		h.packet(0, from, home, data)
		return
	}
	if kind == opCookie {
		if i, err := parseCookie(h.pit.cookie, h.e.keys.mac); err == nil {
			h.packet(i.localTag, from, home, append(appendChunk(nil, ctCookieEcho, 0, h.pit.cookie), data...))
		}
		return
	}
	if kind == opDial {
		b := newAssoc(h.e, netip.AddrPortFrom(scriptAddr.Addr(), 1000), home, scriptAddr)
		if h.e.add(b, false) == nil {
			b.connect()
		}
		return
	}
	if a == nil {
		return
	}
	switch kind {
	case opOurTag:
		h.packet(a.localTag, from, a.port, data)
	case opPeerTag:
		h.packet(a.peerTag, from, a.port, data)
	case opBeat:
		h.packet(a.localTag, from, a.port, append(appendChunk(nil, ctHeartbeatAck, 0, h.pit.beat), data...))
	case opTimer:
		if len(data) > 0 {
			fire(a, timer(data[0])%timerCount)
		}
	case opSend:
		_ = a.Send(ctx, uint16(from&3), 18, data)
	case opRecv:
		_, _ = a.Recv(ctx)
	case opShutdown:
		a.startShutdown()
	}
}

// fire lets a timer expire as the clock would.
func fire(a *assoc, t timer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == closed || !a.running(t) {
		return
	}
	a.now = time.Now()
	if t == tHeartbeat {
		for i := range a.paths {
			a.paths[i].beatDue = a.now
		}
	}
	a.stop(t)
	a.expired(t)
	if a.state != closed {
		a.flush()
	}
}

// check looks for broken sums and for memory without bound.
func (h *fuzzHost) check() {
	h.e.mu.RLock()
	all := make([]*assoc, 0, len(h.e.assocs))
	for _, a := range h.e.assocs {
		all = append(all, a)
	}
	aliases := len(h.e.aliases)
	h.e.mu.RUnlock()
	if len(all) > 3 || aliases > 3*2*maxPeerAddrs {
		h.t.Fatalf("%d associations, %d aliases", len(all), aliases)
	}
	for _, a := range all {
		checkInvariants(h.t, a)
		a.mu.Lock()
		if len(a.paths) > 1+2*maxPeerAddrs || len(a.ctl) > 1<<16 || len(a.dups) > maxDups || a.queued > 40000 || a.pmtu() < 1200 || a.cwnd < 1200 {
			h.t.Fatalf("paths %d ctl %d dups %d queued %d mtu %d cwnd %d", len(a.paths), len(a.ctl), len(a.dups), a.queued, a.pmtu(), a.cwnd)
		}
		a.mu.Unlock()
	}
}

func (a *assoc) pmtu() int { return a.path.pmtu.size }

// FuzzEndpoint lets a hostile network, its user and its clock do anything to an endpoint in any order: nothing panics, sums hold, memory has bounds.
func FuzzEndpoint(f *testing.F) {
	init := func(params ...byte) []byte {
		b := append(appendInit(nil, ctInit, &initChunk{tag: 5, rwnd: 9000, out: 4, in: 4, tsn: 100}), params...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return op(opForeign, 0, b)
	}
	data := op(opOurTag, 0, dataChunk(100, 0, 0, 3, "hello"))
	f.Add(slices.Concat(init(0, 5, 0, 8, 192, 0, 2, 10), op(opCookie, 0, nil), data, op(opTimer, 0, []byte{byte(tHeartbeat)}), op(opBeat, 1, nil),
		op(opSend, 0, make([]byte, 5000)), op(opTimer, 0, []byte{byte(tData)}), op(opRecv, 0, nil), op(opShutdown, 0, nil)))
	f.Add(slices.Concat(init(), op(opCookie, 0, nil), op(opTimer, 0, []byte{byte(tProbe)}), op(opBeat, 0, nil), op(opSend, 0, make([]byte, 9000)),
		op(opTimer, 0, []byte{byte(tData)}), op(opTimer, 0, []byte{byte(tData)}), op(opOurTag, 0, sackChunk(3, 500, 2, 3))))
	f.Add(slices.Concat(op(opDial, 0, nil), op(opOurTag, 0, appendInit(nil, ctInitAck, &initChunk{tag: 9, rwnd: 9000, out: 4, in: 4, tsn: 7, cookie: []byte("c")})),
		op(opOurTag, 0, appendChunk(nil, ctCookieAck, 0)), init(), op(opCookie, 0, nil), op(opPeerTag, 0, appendChunk(nil, ctAbort, flagT))))
	for _, name := range captures {
		var script []byte
		for i, p := range readCapture(f, name) {
			if kind := byte(opOurTag); i < 40 {
				if p.data[headerLen] == ctInit {
					kind = opForeign
				}
				script = append(script, op(kind, 0, p.data[headerLen:])...)
				if kind == opForeign {
					script = append(script, op(opCookie, 0, nil)...)
				}
			}
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		h := newFuzzHost(t)
		defer h.e.Close()
		for n := 0; len(script) >= 3 && n < 200; n++ {
			kind, from := script[0]&15%opCount, script[0]>>4
			size := min(int(binary.BigEndian.Uint16(script[1:])), len(script)-3)
			data := slices.Clone(script[3 : 3+size])
			script = script[3+size:]
			h.find()
			h.do(kind, from, data)
			h.check()
		}
	})
}
