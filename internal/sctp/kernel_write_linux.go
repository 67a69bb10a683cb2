package sctp

import (
	"time"

	"golang.org/x/sys/unix"
)

// kernelQueue is messages on their way to the kernel, one behind the other in data.
type kernelQueue struct {
	data []byte
	msgs []kernelQueued
	sent int // how many of msgs the kernel has
}

type kernelQueued struct {
	end    int // where it ends in data
	stream uint16
	ppid   uint32
}

func (q *kernelQueue) reset()     { q.data, q.msgs, q.sent = q.data[:0], q.msgs[:0], 0 }
func (q *kernelQueue) done() bool { return q.sent == len(q.msgs) }

// write is the association's writer: it takes what has been queued and hands it to the kernel, many messages at once. A writer that follows
// another on the same socket waits for that one's end.
func (a *kernelAssoc) write(before <-chan struct{}) {
	defer close(a.written)
	if before != nil {
		<-before
		a.sock.f.SetWriteDeadline(time.Time{})
	}
	var q kernelQueue
	// An error means that the socket was closed or that this association's time on it is over.
	_ = a.sock.raw.Write(func(fd uintptr) bool {
		for {
			if q.done() && !a.nextQueue(int(fd), &q) {
				return true
			}
			switch err := a.writeSome(int(fd), &q); err {
			case nil:
			case unix.EAGAIN:
				return a.Err() != nil
			default: // the reader finds out what it means
				a.writeErr = err
				return true
			}
		}
	})
}

// sendNow hands what is queued to the kernel in the sender's own goroutine: an answer, with nothing more to answer, gains nothing from waiting for
// company and would only be delayed by the way through the writer. False if something is left for the writer. The mutex is held.
func (a *kernelAssoc) sendNow() bool {
	cerr := a.sock.raw.Control(func(fd uintptr) {
		for a.sendErr == nil && !a.queue.done() {
			a.sendErr = a.writeSome(int(fd), &a.queue)
		}
	})
	if a.sendErr == unix.EAGAIN {
		a.sendErr = nil
		return false
	}
	if cerr != nil || a.sendErr != nil {
		return false
	}
	a.queue.reset()
	return true
}

// nextQueue waits for something to send and swaps it for the empty q. False when there is nothing to come; the last thing written is SHUTDOWN.
func (a *kernelAssoc) nextQueue(fd int, q *kernelQueue) bool {
	q.reset()
	for {
		a.mu.Lock()
		a.writing, a.writeErr = false, a.sendErr
		if a.err != nil || a.stopWriter || a.sendErr != nil {
			a.mu.Unlock()
			return false
		}
		if len(a.queue.msgs) > 0 {
			a.queue, *q = *q, a.queue
			a.writing = true
			free := a.waiters > 0
			a.mu.Unlock()
			if free {
				wake(a.room)
			}
			return true
		}
		closing := a.closing
		a.mu.Unlock()
		if closing {
			_ = unix.Shutdown(fd, unix.SHUT_WR) // an association that is over already has told the reader
			return false
		}
		select {
		case <-a.work:
		case <-a.done:
		}
	}
}

// writeSome sends at most a batch.
func (a *kernelAssoc) writeSome(fd int, q *kernelQueue) error {
	out := a.e.outboxes.Get().(*kernelOutbox)
	n := min(len(q.msgs)-q.sent, kernelSendBatch)
	begin := 0
	if q.sent > 0 {
		begin = q.msgs[q.sent-1].end
	}
	for i, m := range q.msgs[q.sent : q.sent+n] {
		out.put(i, m.stream, m.ppid, q.data[begin:m.end])
		begin = m.end
	}
	sent, err := out.send(fd, n, a.e.sendRoom)
	out.forget()
	a.e.outboxes.Put(out)
	q.sent += sent
	return err
}
