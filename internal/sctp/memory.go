package sctp

// The memory of an endpoint is what its associations together hold of messages: sent and not acknowledged, received and not read. While that is
// more than Options.Memory, an association holds no more than its equal share of it. So what all hold stays below twice the bound (and a message
// for each that sends), and nobody can use up what others need.

// charge books bytes received, or given back.
func (a *assoc) charge(n int) {
	a.used += n
	a.book(n)
}

// book counts bytes of an association, until it has ended.
func (a *assoc) book(n int) {
	if a.state != closed {
		a.e.held.Add(int64(n))
	}
}

// room is how many bytes more an association may hold that holds so many of one direction.
func (e *Userspace) room(own int) int {
	free := e.o.Memory - int(e.held.Load())
	if free >= e.o.ReceiveBuffer && free >= e.o.SendBuffer {
		return free // as nearly always
	}
	e.mu.RLock()
	share := e.o.Memory / 2 / max(1, len(e.assocs))
	e.mu.RUnlock()
	return max(0, free, share-own)
}

// takes reports whether another n bytes may wait to be sent; one message always may.
func (a *assoc) takes(n int) bool {
	if a.queued == 0 {
		return true
	}
	if a.queued+n > a.e.o.SendBuffer {
		return false
	}
	if n > a.e.room(a.queued) {
		a.e.count.drop(dropMemory)
		return false
	}
	return true
}
