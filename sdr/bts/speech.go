package bts

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"campanile.network/wire/sip/txn"
)

const (
	frameLen  = 33 // octets of a frame of GSM full rate in RTP (RFC 3551 §4.5.8)
	frameTime = 20 * time.Millisecond
	gsmType   = 3 // RTP payload type
)

// silence is a frame in which nothing is heard.
func silence() []byte {
	return []byte{0xd8, 0x20, 0xa2, 0xe1, 0x5a, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92,
		0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24}
}

// Heard is what came over RTP.
type Heard struct {
	Sent, Received uint64 // packets
	Lost           uint64 // missing from the numbers of those received
	Other          uint64 // received, and no frames of GSM full rate
	From           netip.AddrPort
	Frames         []byte // the last second of frames, oldest first
}

// speech is one end of a call's RTP.
type speech struct {
	conn txn.PacketConn
	tone []byte

	mu     sync.Mutex
	remote netip.AddrPort
	heard  Heard
	next   uint16 // sequence number wanted, once one has come
	came   bool
}

// listen opens a socket for the RTP of a call.
func (c *Cell) openSpeech() (*speech, error) {
	open := c.o.Media
	if open == nil {
		open = func() (txn.PacketConn, error) {
			return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.at.Addr(), 0)))
		}
	}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	return &speech{conn: conn, tone: c.o.Tone}, nil
}

// local is where this end receives.
func (s *speech) local() netip.AddrPort {
	a, err := netip.ParseAddrPort(s.conn.LocalAddr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (s *speech) to(remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remote = remote
}

// send sends a frame every 20 ms until done is closed.
func (s *speech) send(done <-chan struct{}) {
	var head [12]byte
	rand.Read(head[2:12]) // sequence number, time and source begin anywhere (RFC 3550 §5.1)
	head[0], head[1] = 0x80, gsmType
	seq, at := binary.BigEndian.Uint16(head[2:]), binary.BigEndian.Uint32(head[4:])
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for i := 0; ; i += frameLen {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		remote := s.remote
		s.mu.Unlock()
		seq, at = seq+1, at+160
		if !remote.IsValid() || remote.Port() == 0 || remote.Addr().IsUnspecified() {
			continue
		}
		binary.BigEndian.PutUint16(head[2:], seq)
		binary.BigEndian.PutUint32(head[4:], at)
		i %= len(s.tone)
		if _, err := s.conn.WriteToUDPAddrPort(append(head[:12:12], s.tone[i:i+frameLen]...), remote); err != nil {
			continue // as on the air: what is lost is lost
		}
		s.mu.Lock()
		s.heard.Sent++
		s.mu.Unlock()
	}
}

// receive counts what comes until the socket is closed.
func (s *speech) receive() {
	b := make([]byte, 2048)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		s.took(b[:n], from)
	}
}

func (s *speech) took(b []byte, from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(b) != 12+frameLen || b[0] != 0x80 || b[1]&0x7f != gsmType {
		s.heard.Other++
		return
	}
	seq := binary.BigEndian.Uint16(b[2:])
	if gap := seq - s.next; s.came && gap < 1000 {
		s.heard.Lost += uint64(gap)
	}
	s.next, s.came = seq+1, true
	s.heard.Received++
	s.heard.From = from
	if s.heard.Frames = append(s.heard.Frames, b[12:]...); len(s.heard.Frames) > 50*frameLen {
		s.heard.Frames = s.heard.Frames[frameLen:]
	}
}

func (s *speech) stats() Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heard
	h.Frames = append([]byte(nil), h.Frames...)
	return h
}
