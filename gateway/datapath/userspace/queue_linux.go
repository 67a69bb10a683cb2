package userspace

import (
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tunQueue is one queue of a device. The kernel gives a flow's packets to the queue
// that its packets of the other direction were written to.
type tunQueue struct {
	f *os.File
	t *TUN

	mu   sync.Mutex // guards what is there for who reads packet by packet
	one  reader
	rest [][]byte
}

// ReadPacket implements Port.
func (q *tunQueue) ReadPacket(b []byte) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.one == nil {
		q.one = q.reader()
	}
	for len(q.rest) == 0 {
		if q.rest, err = q.one.read(); err != nil {
			return 0, err
		}
	}
	n = copy(b, q.rest[0][frameRoom:])
	q.rest = q.rest[1:]
	return n, nil
}

// WritePacket implements Port.
func (q *tunQueue) WritePacket(b []byte) error {
	_, err := q.f.Write(append(make([]byte, q.t.front, q.t.front+len(b)), b...))
	return err
}

// MTU implements Port.
func (q *tunQueue) MTU() int { return q.t.mtu }

// Close implements Port; the queue ends with its device.
func (q *tunQueue) Close() error { return nil }

// fail tells of an operation that could not be.
func (q *tunQueue) fail(what string, err error, errno syscall.Errno) error {
	switch {
	case q.t.closed.Load():
		return net.ErrClosed
	case err != nil:
		return err
	case errno != 0:
		return os.NewSyscallError(what, errno)
	}
	return nil
}

const (
	tunRoom   = 16 // in front of a packet: for its offload, then for GTP-U
	tunBuffer = tunRoom + 1<<16
	// tunOctets is what is read at once at most, and one packet more.
	tunOctets = 1 << 17
)

// tunReader reads what a queue has, at most batchSize packets, and cuts those that
// stand for several.
type tunReader struct {
	q      *tunQueue
	raw    syscall.RawConn
	call   func(fd uintptr) bool
	errno  syscall.Errno
	bufs   []byte
	sizes  [batchSize]int
	n      int
	frames [][]byte
	arena  []byte
}

func (q *tunQueue) reader() reader {
	raw, err := q.f.SyscallConn()
	if err != nil {
		return failing{err}
	}
	r := &tunReader{q: q, raw: raw, bufs: make([]byte, batchSize*tunBuffer)}
	r.call = r.wait
	return r
}

// wait is called when the queue may have something; false waits for more.
func (r *tunReader) wait(fd uintptr) bool {
	r.n, r.errno = 0, 0
	for octets := 0; r.n < batchSize && octets < tunOctets; {
		b := r.bufs[r.n*tunBuffer+tunRoom-r.q.t.front : (r.n+1)*tunBuffer]
		n, _, e := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case e == unix.EINTR:
		case e != 0:
			if r.n == 0 && e != unix.EAGAIN {
				r.errno = e
			}
			return r.n > 0 || r.errno != 0
		case int(n) > r.q.t.front:
			r.sizes[r.n] = int(n) - r.q.t.front
			r.n++
			octets += int(n)
		}
	}
	return true
}

func (r *tunReader) read() ([][]byte, error) {
	if err := r.raw.Read(r.call); err != nil || r.errno != 0 {
		return nil, r.q.fail("read", err, r.errno)
	}
	r.frames, r.arena = r.frames[:0], r.arena[:0]
	for i := range r.n {
		b := r.bufs[i*tunBuffer:]
		pkt, ok := b[tunRoom:tunRoom+r.sizes[i]], true
		frame := b[tunRoom-frameRoom : tunRoom+r.sizes[i]]
		if r.q.t.front > 0 {
			o := readOffload(b[tunRoom-offloadLen:])
			switch o.kind &^ cutECN {
			case cutTCP4, cutTCP6:
				if r.frames, r.arena, ok = o.cut(r.frames, r.arena, pkt); ok {
					continue
				}
			default:
				ok = o.finish(pkt)
			}
		}
		if !ok {
			frame = frame[:frameRoom] // it is malformed
		}
		r.frames = append(r.frames, frame)
	}
	return r.frames, nil
}

// failing is what cannot be read.
type failing struct{ err error }

func (f failing) read() ([][]byte, error) { return nil, f.err }

// tunWriter writes parcels to a queue, those of a flow of TCP that follow each other
// as one.
type tunWriter struct {
	q       *tunQueue
	raw     syscall.RawConn
	call    func(fd uintptr) bool
	parcels []parcel
	done    func(*parcel)
	apart   bool // the kernel takes none that stand for several
	train   train
	iovs    [maxSegments + 1]unix.Iovec
	head    [offloadLen + 100]byte
}

func (q *tunQueue) writer() sender {
	raw, err := q.f.SyscallConn()
	if err != nil {
		return eachPacket{q}
	}
	w := &tunWriter{q: q, raw: raw, apart: q.t.front == 0}
	w.call = w.write
	return w
}

func (w *tunWriter) send(parcels []parcel, done func(*parcel)) {
	w.parcels, w.done = parcels, done
	if err := w.raw.Write(w.call); err != nil { // the device is gone
		finish(w.parcels, w.q.fail("write", err, 0), done)
	}
	w.parcels, w.done = nil, nil
}

// write writes until there are no more; false waits until there is room.
func (w *tunWriter) write(fd uintptr) bool {
	for len(w.parcels) > 0 {
		n := w.next()
		var err error
		_, _, e := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iovs[0])), uintptr(n+1))
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			return false
		case e == unix.EINVAL && n > 1:
			w.apart = true
			continue
		case e != 0:
			err = e
		}
		finish(w.parcels[:n], err, w.done)
		w.parcels = w.parcels[n:]
	}
	return true
}

// next prepares the next packet, and says for how many parcels it stands.
func (w *tunWriter) next() int {
	w.train.begin(w.parcels[0].bytes)
	for !w.apart && w.train.n < min(maxSegments, len(w.parcels)) && w.train.join(w.parcels[w.train.n].bytes) {
	}
	n, head, off := w.train.n, w.head[:w.q.t.front], 0
	if n > 1 {
		head, off = w.train.merged(w.head[:0], w.parcels[n-1].bytes), w.train.head
	} else {
		clear(head)
	}
	w.iovs[0] = iovec(head)
	for i := range n {
		w.iovs[i+1] = iovec(w.parcels[i].bytes[off:])
	}
	return n
}

func iovec(b []byte) (v unix.Iovec) {
	if len(b) > 0 {
		v.Base = &b[0]
		v.SetLen(len(b))
	}
	return v
}
