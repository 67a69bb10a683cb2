package userspace

import (
	"net"
	"net/netip"
	"sync"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// laneSize is how many packets a lane hands on together at most.
const laneSize = 128

// parcel is a packet that was admitted, on its way to the next hop.
type parcel struct {
	load
	b     *bearer
	what  int // table.ULOctets or table.DLOctets
	v     verdict
	bytes []byte         // what is handed on
	at    netip.AddrPort // of a G-PDU
	oob   []byte         // its control message
	err   error          // why it was not taken
}

// sender hands parcels on in their order. Each is given to done as soon as it is
// taken, or was not and says why.
type sender interface {
	send(parcels []parcel, done func(*parcel))
}

// lane is what one goroutine moves packets with: they are handed on together, when
// all that has arrived at once was looked at. Until then each holds its bearer's
// lock of that direction for reading, so that who has the lock to itself sees a
// count that nothing in flight can change. A lane that has to wait for a lock hands
// on first what it has; so no two wait for each other.
type lane struct {
	p    *Path
	ways [3]way // to peers of IPv4 and IPv6, and to the packet network
	port Port
	held int // parcels in all ways
	done func(*parcel)
}

type way struct {
	sender
	parcels []parcel
}

const toNetwork = 2

// lane gives the n-th goroutine that reads sockets, or ports, its lane.
func (p *Path) lane(n int) *lane {
	w := &lane{p: p, port: p.ports[n%len(p.ports)]}
	w.done = w.settled
	for i := range p.byIP {
		w.ways[i].sender = sending(p.byIP[i][n%len(p.byIP[i])])
	}
	w.ways[toNetwork].sender = writing(w.port)
	for i := range w.ways {
		w.ways[i].parcels = make([]parcel, 0, laneSize)
	}
	return w
}

// rlock takes a bearer's lock for a parcel.
func (w *lane) rlock(m *sync.RWMutex) {
	if !m.TryRLock() {
		w.flush()
		m.RLock()
	}
}

// add has a parcel handed on with the next flush, which gives its lock back.
func (w *lane) add(way int, x parcel) {
	w.ways[way].parcels = append(w.ways[way].parcels, x)
	if w.held++; w.held == laneSize {
		w.flush()
	}
}

// toPeer has a G-PDU sent to the other side of a tunnel.
func (w *lane) toPeer(x parcel) {
	w.add(version(x.at.Addr()), x)
}

// version is the place of an address's IP version.
func version(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// flush hands on what there is.
func (w *lane) flush() {
	if w.held == 0 {
		return
	}
	w.held = 0
	for i := range w.ways {
		q := &w.ways[i]
		if len(q.parcels) == 0 {
			continue
		}
		q.send(q.parcels, w.done)
		clear(q.parcels)
		q.parcels = q.parcels[:0]
	}
}

// settled counts a parcel and gives its lock back.
func (w *lane) settled(x *parcel) {
	w.p.settle(x)
	if x.what == table.ULOctets {
		x.b.ul.RUnlock()
	} else {
		x.b.dl.RUnlock()
	}
}

// settle counts a parcel that was handed on. One that was not is lost if it has
// come from a phone, whose tower has counted it, and else it is given back.
func (p *Path) settle(x *parcel) {
	switch {
	case x.err == nil && x.what == table.ULOctets:
		p.ul.Add(1)
		p.count(x.b, &x.load, table.ULOctets)
	case x.err == nil:
		x.b.show(datapath.Downlink, x.bytes[gtpu.HeaderLen:])
		p.dl.Add(1)
		p.count(x.b, &x.load, table.DLOctets)
	case x.what == table.ULOctets:
		p.drop(datapath.ULPort)
		p.count(x.b, &x.load, table.LostOctets)
	default:
		p.refund(x.b, &x.load, x.v)
		p.drop(datapath.DLSend)
	}
}

// datagram is one that a socket has received.
type datagram struct {
	b    []byte
	from netip.AddrPort
}

// receiver waits for datagrams and gives them, until it is asked again.
type receiver interface{ receive() ([]datagram, error) }

// reader waits for packets and gives them in frames, which have room for a GTP-U
// header, until it is asked again.
type reader interface {
	read() (frames [][]byte, err error)
}

// batched is a Port that has its own ways to move several packets at once.
type batched interface {
	reader() reader
	writer() sender
}

// receiving gives a socket's best way to be read.
func receiving(c PacketConn, alone bool) (receiver, error) {
	if u, ok := c.(*net.UDPConn); ok {
		if r, err := receiveMany(u, alone); r != nil || err != nil {
			return r, err
		}
	}
	return &oneDatagram{c: c, buf: make([]byte, maxDatagram)}, nil
}

// sending gives a socket's best way to be written.
func sending(c PacketConn) sender {
	if u, ok := c.(*net.UDPConn); ok {
		if s := sendMany(u); s != nil {
			return s
		}
	}
	return eachDatagram{c}
}

func reading(p Port) reader {
	if b, ok := p.(batched); ok {
		return b.reader()
	}
	return &onePacket{port: p, buf: make([]byte, frameRoom+maxDatagram)}
}

func writing(p Port) sender {
	if b, ok := p.(batched); ok {
		return b.writer()
	}
	return eachPacket{p}
}

// What there is for sockets and ports that move one packet at a time.
type (
	oneDatagram struct {
		c   PacketConn
		buf []byte
		got [1]datagram
	}
	onePacket struct {
		port Port
		buf  []byte
		got  [1][]byte
	}
	eachDatagram struct{ c PacketConn }
	eachPacket   struct{ port Port }
)

func (r *oneDatagram) receive() ([]datagram, error) {
	n, from, err := r.c.ReadFromUDPAddrPort(r.buf)
	r.got[0] = datagram{r.buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	return r.got[:], err
}

func (r *onePacket) read() ([][]byte, error) {
	n, err := r.port.ReadPacket(r.buf[frameRoom:])
	r.got[0] = r.buf[:frameRoom+n]
	return r.got[:], err
}

func (s eachDatagram) send(parcels []parcel, done func(*parcel)) {
	for i := range parcels {
		x := &parcels[i]
		x.err = write(s.c, x.bytes, x.at, x.oob)
		done(x)
	}
}

func (s eachPacket) send(parcels []parcel, done func(*parcel)) {
	for i := range parcels {
		x := &parcels[i]
		x.err = s.port.WritePacket(x.bytes)
		done(x)
	}
}

// finish is done for parcels that all fared alike.
func finish(parcels []parcel, err error, done func(*parcel)) {
	for i := range parcels {
		parcels[i].err = err
		done(&parcels[i])
	}
}
