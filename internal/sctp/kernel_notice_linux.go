package sctp

import (
	"time"

	"golang.org/x/sys/unix"
)

// notified acts on a notification and returns the association that the socket carries from now on; false when it carries none.
func (a *kernelAssoc) notified(b []byte) (*kernelAssoc, bool) {
	ev, ok := parseKernelEvent(b)
	log := a.e.o.Logger.With("peer", a.remote)
	a.e.count.notices.Add(1)
	if !ok {
		a.e.count.drop(dropNotice)
		log.Warn("sctp: notification not understood", "bytes", len(b))
		return a, true
	}
	switch ev.typ {
	case kernelAssocChange:
		return a.changed(ev)
	case kernelPeerAddrChange:
		switch ev.state {
		case kernelAddrUnreachable:
			log.Warn("sctp: peer's address unreachable", "address", ev.addr)
		case kernelAddrAvailable:
			log.Info("sctp: peer's address reachable", "address", ev.addr)
		}
	case kernelSendFailed:
		log.Debug("sctp: a message could not be delivered")
	case kernelRemoteError:
		log.Warn("sctp: peer reports an error", "cause", ev.cause.String())
	case kernelShutdownEvent:
		a.mu.Lock()
		a.peerShutdown = true
		a.mu.Unlock()
		wake(a.arrived)
	case kernelPartialDelivery:
		a.part = Message{} // the rest of it will not come
	}
	return a, true
}

// changed acts on a change of the association.
func (a *kernelAssoc) changed(ev kernelEvent) (*kernelAssoc, bool) {
	switch ev.state {
	case kernelCommLost, kernelCantStart:
		a.finish(a.lost(ev))
		return a, false
	case kernelShutdownComp:
		a.finish(a.graceful(nil))
		return a, false
	case kernelRestart:
		return a.restarted()
	}
	return a, true
}

// lost tells an ABORT from silence. An ABORT need not say why; then the socket's error tells, and the first call to meet that error takes it away:
// that may have been the writer's.
func (a *kernelAssoc) lost(ev kernelEvent) error {
	if ev.causes {
		return &AbortError{Cause: ev.cause, Reason: ev.reason}
	}
	if a.sock.failed != nil {
		return kernelEndError(a.sock.failed)
	}
	a.mu.Lock()
	a.stopWriter = true
	a.mu.Unlock()
	a.sock.f.SetWriteDeadline(time.Unix(1, 0))
	wake(a.work)
	<-a.written
	if a.writeErr == unix.ETIMEDOUT {
		return ErrLost
	}
	return &AbortError{}
}

// restarted gives the socket to a new association, which the listener hands out (RFC 9260 §5.2.4.1). The kernel keeps one socket for both, but to
// whoever uses it the old association is over. An association that was dialled has no listener and is aborted: it is dialled again.
func (a *kernelAssoc) restarted() (*kernelAssoc, bool) {
	b, err := newKernelAssoc(a.e, a.sock, a.l)
	if !a.finish(ErrRestarted) {
		return a, false
	}
	if err != nil || a.l == nil || !a.e.add(b) {
		a.sock.abortOnClose()
		return a, false
	}
	a.e.count.restart.Add(1)
	a.sock.f.SetWriteDeadline(time.Unix(1, 0)) // the writer of the old one leaves
	a.e.wg.Go(func() { b.write(a.written) })
	select {
	case a.l.queue <- b:
	default:
		a.e.count.drop(dropBacklog)
		b.Abort("too many associations waiting")
		return b, false
	}
	a.l.drain()
	return b, true
}
