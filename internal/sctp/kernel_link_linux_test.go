package sctp_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"campanile.network/internal/sctp/guest"
	"golang.org/x/sys/unix"
)

// wire is an Ethernet segment between a guest kernel and a host that is this test: it answers ARP and is a Datagrams over IPv4, either UDP or, with
// port 0, SCTP as such. It loses frames both ways.
type wire struct {
	f     *os.File
	local netip.AddrPort
	loss  float64
	left  chan struct{} // closed when the reader has gone

	mu  sync.Mutex
	rng *rand.Rand
	mac [6]byte // the guest's, as last seen
}

const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	ipUDP     = 17
	ipSCTP    = 132
)

var (
	wireMAC = [6]byte{2, 0, 0, 0, 0, 1}
	hostIP  = netip.MustParseAddr("10.132.9.1")
	guestIP = netip.MustParseAddr("10.132.9.2")
)

// socketPair is two ends of frames: one for this process and one for a guest.
func socketPair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "wire"), os.NewFile(uintptr(fds[1]), "guest's wire")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// newWire makes a wire and the guest's end of it. port is ours in UDP, or 0 for plain SCTP.
func newWire(t *testing.T, port uint16, loss float64) (*wire, guest.Link) {
	t.Helper()
	ours, theirs := socketPair(t)
	w := &wire{f: ours, local: netip.AddrPortFrom(hostIP, port), loss: loss, left: make(chan struct{}), rng: rand.New(rand.NewPCG(5, 6)), mac: [6]byte{255, 255, 255, 255, 255, 255}}
	return w, guest.Link{Host: theirs, Addr: netip.PrefixFrom(guestIP, 24)}
}

func (w *wire) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64() < w.loss
}

// silence loses everything that is still to be sent from here.
func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss = 1
}

// again is the same wire for another host at the same address: as when a machine's power fails and returns.
func (w *wire) again(loss float64) *wire {
	<-w.left
	w.f.SetReadDeadline(time.Time{})
	return &wire{f: w.f, local: w.local, loss: loss, left: make(chan struct{}), rng: w.rng, mac: w.mac}
}

// Close leaves the wire in place.
func (w *wire) Close() error { return w.f.SetReadDeadline(time.Unix(1, 0)) }

func (w *wire) LocalAddr() netip.AddrPort { return w.local }

func (w *wire) ReadFrom(p []byte) (int, netip.AddrPort, error) {
	var b [2048]byte
	for {
		n, err := w.f.Read(b[:])
		if err != nil {
			close(w.left) // an endpoint reads no more after this
			return 0, netip.AddrPort{}, net.ErrClosed
		}
		if n < 34 {
			continue
		}
		f := b[:n]
		w.mu.Lock()
		w.mac = [6]byte(f[6:])
		w.mu.Unlock()
		switch binary.BigEndian.Uint16(f[12:]) {
		case etherARP:
			w.arp(f)
		case etherIPv4:
			if n, from, ok := w.take(f[14:], p); ok && !w.lost() {
				return n, from, nil
			}
		}
	}
}

// arp answers who asks for our address.
func (w *wire) arp(f []byte) {
	if len(f) < 42 || binary.BigEndian.Uint16(f[20:]) != 1 || netip.AddrFrom4([4]byte(f[38:])) != hostIP {
		return
	}
	copy(f[:6], f[6:12])
	copy(f[6:12], wireMAC[:])
	f[21] = 2 // reply
	ask := [10]byte(f[22:])
	copy(f[22:28], wireMAC[:])
	ip := hostIP.As4()
	copy(f[28:32], ip[:])
	copy(f[32:42], ask[:])
	w.f.Write(f[:42])
}

// take copies the payload out of a packet that is for us.
func (w *wire) take(ip, p []byte) (int, netip.AddrPort, bool) {
	n, head := int(binary.BigEndian.Uint16(ip[2:])), int(ip[0]&15)*4
	if n > len(ip) || head+8 > n || netip.AddrFrom4([4]byte(ip[16:])) != hostIP {
		return 0, netip.AddrPort{}, false
	}
	from, body := netip.AddrFrom4([4]byte(ip[12:])), ip[head:n]
	switch {
	case ip[9] == ipSCTP && w.local.Port() == 0:
		return copy(p, body), netip.AddrPortFrom(from, 0), true
	case ip[9] == ipUDP && w.local.Port() == binary.BigEndian.Uint16(body[2:]):
		return copy(p, body[8:]), netip.AddrPortFrom(from, binary.BigEndian.Uint16(body)), true
	}
	return 0, netip.AddrPort{}, false
}

func (w *wire) WriteTo(p []byte, to netip.AddrPort) error {
	if w.lost() {
		return nil
	}
	be := binary.BigEndian
	proto, extra := byte(ipSCTP), 0
	if w.local.Port() != 0 {
		proto, extra = ipUDP, 8
	}
	w.mu.Lock()
	f := append(append(make([]byte, 0, 42+len(p)), w.mac[:]...), wireMAC[:]...)
	w.mu.Unlock()
	f = be.AppendUint16(f, etherIPv4)
	f = append(f, 0x45, 0)
	f = be.AppendUint16(f, uint16(20+extra+len(p)))
	f = append(f, 0, 0, 0x40, 0, 64, proto, 0, 0)
	src, dst := hostIP.As4(), to.Addr().As4()
	f = append(append(f, src[:]...), dst[:]...)
	be.PutUint16(f[24:], ipChecksum(f[14:34]))
	if extra > 0 {
		f = be.AppendUint16(be.AppendUint16(f, w.local.Port()), to.Port())
		f = be.AppendUint16(be.AppendUint16(f, uint16(8+len(p))), 0)
	}
	_, err := w.f.Write(append(f, p...))
	return err
}

func ipChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
