package sctp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// script is a peer that sends exactly the chunks a test names, and shows what it gets back.
type script struct {
	t        *testing.T
	net      *sctptest.Network
	e        *Userspace
	l        Listener
	sock     *sctptest.Socket
	src, dst uint16
	own      uint32 // our verification tag, as told to the endpoint
	tag      uint32 // the endpoint's
	tsn      uint32 // next of ours
	cum      uint32 // the endpoint's first TSN - 1
	packets  chan received
}

type received struct {
	h      header
	chunks []chunk
	from   netip.AddrPort
	to     netip.Addr // of the script's
	size   int
}

var (
	scriptAddr = netip.MustParseAddrPort("192.0.2.9:5555")
	serverAddr = netip.MustParseAddrPort("192.0.2.1:9899")
)

// newScript starts an endpoint listening on SCTP port 36412 and a scripted peer; both are gone when the test ends.
func newScript(t *testing.T, o Options) *script {
	t.Helper()
	n := sctptest.New(1, sctptest.Conditions{Delay: time.Millisecond})
	sock, err := n.Open(serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = sock
	def(&o.MTU, 1400)
	def(&o.BaseMTU, o.MTU)
	e, err := NewUDP(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := e.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	p := &script{t: t, net: n, e: e, l: l, src: 1000, dst: 36412, own: 0x01020304, tsn: 100, packets: make(chan received, 40000)}
	p.sock = p.openSocket(scriptAddr)
	t.Cleanup(func() {
		e.Close()
		p.sock.Close()
	})
	return p
}

func (p *script) openSocket(at netip.AddrPort) *sctptest.Socket {
	s, err := p.net.Open(at)
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := s.ReadFrom(buf)
			if err != nil {
				return
			}
			r := received{from: from, to: at.Addr(), size: n}
			b := slices.Clone(buf[:n])
			h, rest, err := parsePacket(b)
			if err != nil {
				p.t.Errorf("the endpoint sent a bad packet: %v: %x", err, b)
			}
			r.h = h
			for len(rest) > 0 {
				var c chunk
				c, rest, _ = nextChunk(rest)
				r.chunks = append(r.chunks, c)
			}
			p.packets <- r
		}
	}()
	return s
}

func (p *script) sendFrom(s *sctptest.Socket, tag uint32, chunks ...[]byte) {
	b := appendPacket(nil, p.src, p.dst, tag)
	for _, c := range chunks {
		b = append(b, c...)
	}
	seal(b)
	if err := s.WriteTo(b, serverAddr); err != nil {
		p.t.Fatal(err)
	}
}

// send sends chunks in one packet with the endpoint's tag.
func (p *script) send(chunks ...[]byte) { p.sendFrom(p.sock, p.tag, chunks...) }

// recv1 returns the next packet, which must come within a minute.
func (p *script) recv1() received {
	p.t.Helper()
	select {
	case r := <-p.packets:
		return r
	case <-time.After(time.Minute):
		p.t.Fatal("got nothing in a minute")
	}
	panic("unreachable")
}

// recv returns the next packet, which must hold chunks of exactly these types.
func (p *script) recv(types ...uint8) received {
	p.t.Helper()
	r := p.recv1()
	var got []uint8
	for _, c := range r.chunks {
		got = append(got, c.typ)
	}
	if !slices.Equal(got, types) {
		p.t.Fatalf("got chunks %v, want %v", got, types)
	}
	return r
}

// silence checks that nothing comes for a while.
func (p *script) silence(d time.Duration) {
	p.t.Helper()
	select {
	case r := <-p.packets:
		p.t.Fatalf("got %+v, want nothing", r.chunks)
	case <-time.After(d):
	}
}

func (p *script) initChunk(params ...byte) []byte {
	c := initChunk{tag: p.own, rwnd: 100000, out: 10, in: 10, tsn: p.tsn}
	b := appendInit(nil, ctInit, &c)
	b = append(b, params...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// init sends INIT and returns what INIT ACK says.
func (p *script) init(params ...byte) initChunk {
	p.t.Helper()
	p.sendFrom(p.sock, 0, p.initChunk(params...))
	r := p.recv(ctInitAck)
	if r.h.tag != p.own {
		p.t.Fatalf("INIT ACK with tag %x, want ours %x", r.h.tag, p.own)
	}
	i, err := parseInit(r.chunks[0].value)
	if err != nil {
		p.t.Fatal(err)
	}
	return i
}

// open does the handshake and returns the endpoint's association.
func (p *script) open(params ...byte) Association {
	p.t.Helper()
	i := p.init(params...)
	p.tag, p.cum = i.tag, i.tsn-1
	p.send(appendChunk(nil, ctCookieEcho, 0, i.cookie))
	p.recv(ctCookieAck)
	a, err := p.l.Accept(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func dataChunk(tsn uint32, stream, ssn uint16, flags uint8, data string) []byte {
	be := binary.BigEndian
	v := be.AppendUint32(nil, tsn)
	v = be.AppendUint16(v, stream)
	v = be.AppendUint16(v, ssn)
	v = be.AppendUint32(v, 18)
	return appendChunk(nil, ctData, flags, v, []byte(data))
}

// data is the next DATA chunk, a whole message.
func (p *script) data(stream, ssn uint16, data string) []byte {
	p.tsn++
	return dataChunk(p.tsn-1, stream, ssn, flagB|flagE, data)
}

func sackChunk(cum uint32, rwnd uint32, gaps ...uint16) []byte {
	be := binary.BigEndian
	v := be.AppendUint32(nil, cum)
	v = be.AppendUint32(v, rwnd)
	v = be.AppendUint16(v, uint16(len(gaps)/2))
	v = be.AppendUint16(v, 0)
	for _, g := range gaps {
		v = be.AppendUint16(v, g)
	}
	return appendChunk(nil, ctSack, 0, v)
}

type sackView struct {
	cum, rwnd uint32
	gaps      []uint16
	dups      []uint32
}

func viewSack(c chunk) sackView {
	be, v := binary.BigEndian, c.value
	s := sackView{cum: be.Uint32(v), rwnd: be.Uint32(v[4:])}
	g, d := int(be.Uint16(v[8:])), int(be.Uint16(v[10:]))
	for i := range 2 * g {
		s.gaps = append(s.gaps, be.Uint16(v[12+2*i:]))
	}
	for i := range d {
		s.dups = append(s.dups, be.Uint32(v[12+4*g+4*i:]))
	}
	return s
}

func causeOf(c chunk) Cause {
	if len(c.value) < 4 {
		return 0
	}
	return Cause(binary.BigEndian.Uint16(c.value))
}

func (p *script) dropped(d drop) uint64 { return p.e.Stats().Dropped[dropNames[d]] }

// wantRecv checks the next messages of an association.
func wantRecv(t *testing.T, a Association, texts ...string) {
	t.Helper()
	for _, want := range texts {
		m, err := a.Recv(t.Context())
		if err != nil || string(m.Data) != want {
			t.Fatalf("recv %q %v, want %q", m.Data, err, want)
		}
	}
}

// wantEnd checks what Recv says last.
func wantEnd(t *testing.T, a Association, want error) {
	t.Helper()
	if _, err := a.Recv(t.Context()); !errors.Is(err, want) {
		t.Fatalf("recv %v, want %v", err, want)
	}
}

func inBubble(name string, t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
