package sim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
)

// userPlane is the eNB's end of S1-U.
type userPlane struct {
	sock *net.UDPConn
	peer uint16

	mu      sync.RWMutex
	next    id.TEID
	bearers map[id.TEID]*userBearer

	dropped atomic.Uint64
}

type userBearer struct {
	*bearer
	c *conn
}

func openUserPlane(local netip.AddrPort, peer uint16) (*userPlane, error) {
	s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, fmt.Errorf("sim: S1-U: %w", err)
	}
	s.SetReadBuffer(4 << 20)
	return &userPlane{sock: s, peer: peer, bearers: map[id.TEID]*userBearer{}}, nil
}

func (u *userPlane) close() { u.sock.Close() }

func (u *userPlane) open(b *bearer, c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next++
	b.local = u.next
	u.bearers[b.local] = &userBearer{b, c}
}

func (u *userPlane) shut(b *bearer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.bearers, b.local)
}

// send wraps one IP packet for the gateway.
func (u *userPlane) send(b *bearer, packet []byte) error {
	buf := gtpu.AppendGPDU(make([]byte, 0, gtpu.HeaderLen+len(packet)), b.remote, packet)
	_, err := u.sock.WriteToUDPAddrPort(buf, b.gateway)
	return err
}

// serve unwraps what arrives, until the socket is closed.
func (u *userPlane) serve() {
	buf := make([]byte, 65536)
	for {
		n, from, err := u.sock.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			u.datagram(buf[:n], from)
		}
	}
}

func (u *userPlane) datagram(b []byte, from netip.AddrPort) {
	m, err := gtpu.Parse(b)
	if err != nil {
		u.dropped.Add(1)
		return
	}
	switch m.Type {
	case gtpu.EchoRequest:
		u.sock.WriteToUDPAddrPort(gtpu.AppendEchoResponse(nil, m.Sequence), from)
	case gtpu.EndMarker:
		u.mu.RLock()
		k := u.bearers[m.TEID]
		u.mu.RUnlock()
		if k != nil {
			k.c.endMarker()
		}
	case gtpu.GPDU:
		u.mu.RLock()
		k := u.bearers[m.TEID]
		u.mu.RUnlock()
		if k == nil {
			u.dropped.Add(1)
			u.sock.WriteToUDPAddrPort(gtpu.AppendErrorIndication(nil, m.TEID, u.sock.LocalAddr().(*net.UDPAddr).AddrPort().Addr()), netip.AddrPortFrom(from.Addr(), u.peer))
			return
		}
		k.c.touch()
		k.c.phone.downlink(m.Payload)
	}
}
