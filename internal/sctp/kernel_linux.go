package sctp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// KernelAvailable says why the operating system's SCTP cannot be used here, or nil if it can.
func KernelAvailable() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// kernelEndpoint is the back end over the operating system's SCTP: one socket per listener and one per association, all waited for by Go's
// poller, so that no thread is blocked in any of them.
type kernelEndpoint struct {
	o        Options
	local    []netip.Addr
	sendRoom int // bytes the kernel surely holds of what is sent
	inboxes  sync.Pool
	outboxes sync.Pool
	wg       sync.WaitGroup // readers, writers and accepters
	count    counters
	life     context.Context // ends when the endpoint closes
	endLife  context.CancelFunc

	mu        sync.Mutex
	listeners map[uint16]*kernelListener
	assocs    map[*kernelAssoc]bool
	closing   bool
}

var _ Endpoint = (*kernelEndpoint)(nil)

// openKernel makes an endpoint of the operating system's SCTP.
func openKernel(o OpenOptions) (Endpoint, error) {
	if err := KernelAvailable(); err != nil {
		return nil, fmt.Errorf("sctp: transport kernel: this kernel has no SCTP (%w); load its module (modprobe sctp) or configure transport udp or raw", err)
	}
	full, err := o.userspace(0).complete()
	if err != nil {
		return nil, err
	}
	if full.Timers.MaxRetrans > 65535 || full.Timers.MaxInitRetr > 65535 {
		return nil, fmt.Errorf("sctp: transport kernel counts at most 65535 retransmissions: %+v", full.Timers)
	}
	e := &kernelEndpoint{o: full, listeners: map[uint16]*kernelListener{}, assocs: map[*kernelAssoc]bool{},
		inboxes: sync.Pool{New: newKernelInbox}, outboxes: sync.Pool{New: newKernelOutbox}}
	e.life, e.endLife = context.WithCancel(context.Background())
	for _, a := range o.Local {
		if a = a.Unmap(); !unicast(a) {
			return nil, fmt.Errorf("sctp: local address %v: specific unicast addresses are needed, since peers know the association by them", a)
		}
		e.local = append(e.local, a)
	}
	fd, err := kernelSocket(&e.o, e.local, 0, false) // so that what the kernel refuses is known now
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	granted, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	e.sendRoom = granted / 2
	return e, os.NewSyscallError("SO_SNDBUF", err)
}

func (e *kernelEndpoint) closed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing
}

// Listen implements [Endpoint].
func (e *kernelEndpoint) Listen(port uint16) (Listener, error) {
	if e.closed() {
		return nil, ErrClosed
	}
	fd, err := kernelSocket(&e.o, e.local, port, false)
	if err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, e.o.Backlog); err != nil {
		unix.Close(fd)
		return nil, kernelListenError(err, port)
	}
	own, err := kernelLocalAddr(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	s, err := newKernelSock(fd)
	if err != nil {
		return nil, err
	}
	l := &kernelListener{e: e, sock: s, port: own.Port(), queue: make(chan *kernelAssoc, e.o.Backlog), done: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		s.f.Close()
		return nil, ErrClosed
	}
	e.listeners[l.port] = l
	e.wg.Go(l.serve)
	return l, nil
}

// kernelListenError is why the kernel does not listen.
func kernelListenError(err error, port uint16) error {
	switch err {
	case unix.EADDRINUSE:
		return fmt.Errorf("%w: %d", ErrPortInUse, port)
	case unix.ENOSYS:
		alg, _ := os.ReadFile("/proc/sys/net/sctp/cookie_hmac_alg")
		return kernelCannotSign(strings.TrimSpace(string(alg)))
	}
	return os.NewSyscallError("listen", err)
}

// kernelCannotSign says what is missing when listen is "not implemented"; the kernel tells only its own log.
func kernelCannotSign(alg string) error {
	return fmt.Errorf("sctp: the kernel cannot listen (%w): it has nothing to sign cookies with, net.sctp.cookie_hmac_alg is %q: load it (modprobe hmac %s), or choose what it has (sysctl net.sctp.cookie_hmac_alg=sha1)",
		unix.ENOSYS, alg, alg)
}

// Dial implements [Endpoint]. A peer that refuses yields *AbortError, one that is silent ErrNoAnswer or ctx's error.
func (e *kernelEndpoint) Dial(ctx context.Context, remote netip.AddrPort, o DialOptions) (Association, error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if !remote.IsValid() || remote.Port() == 0 || !unicast(remote.Addr()) {
		return nil, fmt.Errorf("sctp: cannot dial %v: a unicast address and a port are needed", remote)
	}
	fd, err := e.dialSocket(o.LocalPort)
	if err != nil {
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, err)
	}
	s, err := newKernelSock(fd)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.life, func() { cancel(ErrClosed) })()
	if err := s.connect(ctx, remote); err != nil {
		s.f.Close()
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, err)
	}
	a, err := e.adopt(s, nil)
	if err != nil {
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, err)
	}
	return a, nil
}

// dialSocket makes a socket bound to a port, which may be one that this endpoint listens on. Linux allows that while both sockets have
// SO_REUSEPORT. They have it no longer than it takes, as other programs of this user could listen there, too.
func (e *kernelEndpoint) dialSocket(port uint16) (fd int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.listeners[port]
	if l == nil {
		return kernelSocket(&e.o, e.local, port, false)
	}
	cerr := l.sock.raw.Control(func(listening uintptr) {
		kernelSharePort(int(listening), true)
		defer kernelSharePort(int(listening), false)
		fd, err = kernelSocket(&e.o, e.local, port, true)
	})
	switch {
	case cerr != nil:
		return -1, ErrClosed
	case errors.Is(err, ErrPortInUse):
		return -1, fmt.Errorf("this kernel does not dial from a port that is listened on (%w): SO_REUSEPORT of SCTP came with Linux 5.0", errors.ErrUnsupported)
	}
	return fd, err
}

// adopt makes an established socket an association of the endpoint, or closes it.
func (e *kernelEndpoint) adopt(s *kernelSock, l *kernelListener) (*kernelAssoc, error) {
	a, err := newKernelAssoc(e, s, l)
	if err != nil {
		s.f.Close()
		return nil, err
	}
	if !e.add(a) {
		s.f.Close()
		return nil, ErrClosed
	}
	e.wg.Go(func() { s.read(a) })
	e.wg.Go(func() { a.write(nil) })
	return a, nil
}

// add registers an association; false if the endpoint is closing.
func (e *kernelEndpoint) add(a *kernelAssoc) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closing {
		e.assocs[a] = true
		e.count.established.Add(1)
	}
	return !e.closing
}

func (e *kernelEndpoint) remove(a *kernelAssoc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.assocs[a] {
		delete(e.assocs, a)
		e.count.ended.Add(1)
	}
}

// Stats returns a copy of the counters.
func (e *kernelEndpoint) Stats() Stats {
	e.mu.Lock()
	n := len(e.assocs)
	e.mu.Unlock()
	return e.count.stats(n)
}

// Close implements [Endpoint].
func (e *kernelEndpoint) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), e.o.CloseTimeout)
	defer cancel()
	return e.Shutdown(ctx)
}

// Shutdown implements [Endpoint]. It returns ctx's error if associations had to be aborted.
func (e *kernelEndpoint) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.closing = true
	e.endLife()
	listeners, open := e.listeners, make([]*kernelAssoc, 0, len(e.assocs))
	e.listeners = nil
	for a := range e.assocs {
		open = append(open, a)
	}
	e.mu.Unlock()
	for _, l := range listeners {
		l.stop()
	}
	for _, a := range open {
		a.startShutdown()
	}
	var err error
	for _, a := range open {
		select {
		case <-a.done:
		case <-ctx.Done():
			err = ctx.Err()
			a.Abort("endpoint closed")
		}
	}
	e.wg.Wait()
	return err
}

// kernelListener is the Listener of a kernelEndpoint.
type kernelListener struct {
	e     *kernelEndpoint
	sock  *kernelSock
	port  uint16
	queue chan *kernelAssoc
	once  sync.Once
	done  chan struct{}
}

// serve accepts until the socket is closed. While the queue is full, new associations wait in the kernel's backlog.
func (l *kernelListener) serve() {
	err := l.sock.raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			switch err {
			case nil:
				l.accepted(n)
			case unix.EAGAIN:
				return false
			case unix.EINTR, unix.ECONNABORTED, unix.EPROTO: // gone before it was accepted
			default: // the kernel is short of something; what it has will be accepted later
				l.e.o.Logger.Warn("sctp: accept failed", "addr", l.Addr(), "error", err)
				select {
				case <-l.done:
					return true
				case <-time.After(100 * time.Millisecond):
				}
			}
			select {
			case <-l.done:
				return true
			default:
			}
		}
	})
	if err != nil && !errors.Is(err, os.ErrClosed) {
		l.e.o.Logger.Error("sctp: listener ended", "addr", l.Addr(), "error", err)
	}
}

func (l *kernelListener) accepted(fd int) {
	s, err := newKernelSock(fd)
	if err == nil {
		var a *kernelAssoc
		if a, err = l.e.adopt(s, l); err == nil {
			select {
			case l.queue <- a:
			case <-l.done:
				a.Abort("listener closed")
			}
			l.drain()
			return
		}
	}
	l.e.o.Logger.Debug("sctp: association gone before it was accepted", "addr", l.Addr(), "error", err)
}

// Addr implements [Listener].
func (l *kernelListener) Addr() netip.AddrPort { return netip.AddrPortFrom(l.e.local[0], l.port) }

// Accept implements [Listener].
func (l *kernelListener) Accept(ctx context.Context) (Association, error) {
	select {
	case <-l.done:
		return nil, ErrClosed
	default:
	}
	select {
	case a := <-l.queue:
		return a, nil
	case <-l.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// drain aborts what nobody will accept once the listener is closed. Who puts something into the queue calls it, since the listener may have been
// closed meanwhile.
func (l *kernelListener) drain() {
	select {
	case <-l.done:
	default:
		return
	}
	for {
		select {
		case a := <-l.queue:
			a.Abort("listener closed")
		default:
			return
		}
	}
}

func (l *kernelListener) stop() {
	l.once.Do(func() {
		close(l.done)
		l.sock.abortOnClose() // also those that the kernel has not handed over yet
		l.sock.f.Close()
	})
}

// Close implements [Listener].
func (l *kernelListener) Close() error {
	l.e.mu.Lock()
	if l.e.listeners[l.port] == l {
		delete(l.e.listeners, l.port)
	}
	l.e.mu.Unlock()
	l.stop()
	l.drain()
	return nil
}
