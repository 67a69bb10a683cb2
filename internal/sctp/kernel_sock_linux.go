package sctp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kernelSock is a socket in Go's poller.
type kernelSock struct {
	f   *os.File
	raw syscall.RawConn

	// Of the reader alone:
	failed   error // the socket's error; what was queued before it is still to be read
	inNotice bool  // the last piece read was of a notification with more to come
}

// stop makes the reader leave, which closes the socket.
func (s *kernelSock) stop() { s.f.SetDeadline(time.Unix(1, 0)) }

// newKernelSock takes fd, which does not block, and closes it on error.
func newKernelSock(fd int) (*kernelSock, error) {
	f := os.NewFile(uintptr(fd), "sctp")
	if err := f.SetDeadline(time.Time{}); err != nil {
		f.Close()
		return nil, fmt.Errorf("sctp: the kernel's SCTP sockets cannot be polled: %w", err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &kernelSock{f: f, raw: raw}, nil
}

// abortOnClose makes the close an ABORT (RFC 6458 §8.1.4).
func (s *kernelSock) abortOnClose() {
	_ = s.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
}

// connect opens the association and waits for it.
func (s *kernelSock) connect(ctx context.Context, remote netip.AddrPort) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = kernelConnect(int(fd), remote, nil) }); cerr != nil {
		return cerr
	}
	if err != unix.EINPROGRESS && err != nil {
		return kernelDialError(err)
	}
	stop := context.AfterFunc(ctx, func() { s.f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	werr := s.raw.Write(func(fd uintptr) bool {
		if _, err = unix.Getpeername(int(fd)); err == nil {
			return true
		}
		code, gerr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if gerr != nil {
			err = gerr
		} else if code != 0 {
			err = unix.Errno(code)
		} else {
			return false
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case werr != nil:
		return werr
	}
	return kernelDialError(err)
}

func kernelDialError(err error) error {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return &AbortError{}
	case errors.Is(err, unix.ETIMEDOUT):
		return ErrNoAnswer
	case errors.Is(err, unix.EADDRINUSE), errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w (%w)", ErrPortInUse, err)
	}
	return err
}

// kernelEndError is why an association ended that a read found dead without a notification.
func kernelEndError(err error) error {
	switch err {
	case unix.ETIMEDOUT:
		return ErrLost
	case unix.ECONNRESET, unix.ECONNABORTED, unix.ECONNREFUSED:
		return &AbortError{}
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// read is a socket's only reader. All of it happens inside one call of the poller: the poller is then never told to forget that data came, so a
// batch that was not full need not be followed by a read in vain.
func (s *kernelSock) read(a *kernelAssoc) {
	err := s.raw.Read(func(fd uintptr) bool {
		for {
			n, goOn := s.readBatch(int(fd), &a)
			if !goOn || !a.waitRoom() {
				return true
			}
			if n < kernelRecvBatch {
				return false
			}
		}
	})
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) { // then the reason is known already
		err = ErrClosed
	}
	a.finish(err)
	s.f.Close()
}

// readBatch takes one batch; a changes when the peer has restarted. False means that the association is over.
func (s *kernelSock) readBatch(fd int, a **kernelAssoc) (int, bool) {
	e := (*a).e
	in := e.inboxes.Get().(*kernelInbox)
	defer e.inboxes.Put(in)
	n, err := in.recv(fd)
	if err != nil && err != unix.EAGAIN && s.failed == nil {
		s.failed = err // recvmmsg tells it before what is queued
		n, err = in.recv(fd)
	}
	switch {
	case err == nil:
	case s.failed != nil:
		(*a).finish(kernelEndError(s.failed))
		return 0, false
	default: // EAGAIN
		return 0, true
	}
	for i := range n {
		switch p := in.piece(i); {
		case p.notify && s.inNotice:
			s.inNotice = !p.end
		case p.notify:
			s.inNotice = !p.end
			next, ok := (*a).notified(p.data)
			if !ok {
				return n, false
			}
			*a = next
		case len(p.data) == 0:
			(*a).finish((*a).graceful(s.failed))
			return n, false
		case !(*a).deliver(p):
			return n, false
		}
	}
	return n, true
}
