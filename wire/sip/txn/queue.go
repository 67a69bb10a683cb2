package txn

import (
	"runtime"
	"time"
)

// Classes of requests that wait, the most urgent first.
const (
	ongoingFamiliar = iota // of what has begun (see class), of somebody trusted or known
	newFamiliar
	ongoingStranger
	newStranger
	classes
)

// queue is requests that wait for the processor. One that is short, or was empty
// a moment ago, is a burst's and goes in order. One that is long and has not been
// empty for as long as a request may wait is overload: then the newest go first,
// for whoever sent them still waits, and what is older than an eighth of the
// delay is refused (adaptive LIFO with controlled delay). The more urgent class
// goes first, but every eighth place is for the least urgent.
type queue struct {
	limit   int
	delay   time.Duration
	n       int
	turn    int
	emptied time.Duration // when it was empty last
	class   [classes]fifo
}

func newQueue(a Admission) queue { return queue{limit: a.Queue, delay: a.Delay} }

// fifo is a queue of which both ends can be taken.
type fifo struct {
	list []*Server
	head int
	n    int
}

func (f *fifo) push(s *Server) {
	if f.n == len(f.list) {
		list := make([]*Server, max(64, 2*f.n))
		for i := range f.n {
			list[i] = f.list[(f.head+i)%len(f.list)]
		}
		f.list, f.head = list, 0
	}
	f.list[(f.head+f.n)%len(f.list)] = s
	f.n++
}

func (f *fifo) oldest() *Server {
	s := f.list[f.head]
	f.list[f.head] = nil
	f.head, f.n = (f.head+1)%len(f.list), f.n-1
	return s
}

func (f *fifo) newest() *Server {
	f.n--
	i := (f.head + f.n) % len(f.list)
	s := f.list[i]
	f.list[i] = nil
	return s
}

// push has a request wait; it reports whether there is room, of which strangers
// have half at most.
func (q *queue) push(s *Server, now time.Duration) bool {
	if q.n >= q.limit || s.class >= ongoingStranger && q.class[ongoingStranger].n+q.class[newStranger].n >= q.limit/2 {
		return false
	}
	if q.n == 0 {
		q.emptied = now
	}
	s.came = now
	q.class[s.class].push(s)
	q.n++
	return true
}

// short is how many that wait are none too many, however long they did: a
// machine that was busy with something else refuses nobody for that.
const short = 4 * together

func (q *queue) overloaded(now time.Duration) bool { return q.n > short && now-q.emptied > q.delay }

// take gives the next request to handle, or else one to refuse.
func (q *queue) take(now time.Duration) (s *Server, refuse bool) {
	if q.n == 0 {
		return nil, false
	}
	patience, overloaded := q.delay, q.overloaded(now)
	if overloaded {
		patience /= 8
	}
	for c := classes - 1; c >= 0 && q.n > short; c-- {
		f := &q.class[c]
		most := patience
		if c == ongoingFamiliar || c == ongoingStranger {
			most = 2 * q.delay // what has begun is worth more than what has not
		}
		if f.n > 0 && now-f.list[f.head].came > most {
			return q.taken(f.oldest()), true
		}
	}
	f := q.next()
	if overloaded {
		return q.taken(f.newest()), false
	}
	return q.taken(f.oldest()), false
}

func (q *queue) taken(s *Server) *Server {
	q.n--
	return s
}

// next is the class whose turn it is.
func (q *queue) next() *fifo {
	q.turn++
	if q.turn%8 == 0 {
		for c := classes - 1; ; c-- {
			if q.class[c].n > 0 {
				return &q.class[c]
			}
		}
	}
	for c := 0; ; c++ {
		if q.class[c].n > 0 {
			return &q.class[c]
		}
	}
}

// together is how many handlers begin before others have their turn.
const together = 32

// dispatch starts handlers at the pace at which the processor gets to them.
func (e *Endpoint) dispatch() {
	var fx effects
	var begin []*Server
	for {
		select {
		case <-e.closing:
			return
		case <-e.work:
		}
		for more := true; more; {
			begin = begin[:0]
			e.mu.Lock()
			now := e.now()
			for range 4 * together {
				s, refuse := e.queue.take(now)
				if s == nil {
					more = false
					break
				}
				if refuse {
					e.dismiss(s, now, &fx)
				} else if begin = append(begin, s); len(begin) == together {
					break
				}
			}
			e.mu.Unlock()
			for i, s := range begin {
				e.begin(s)
				begin[i] = nil
			}
			e.perform(&fx)
			runtime.Gosched()
		}
	}
}

// idleWorkers is how many goroutines wait for another request: theirs have the
// stack that a handler needs, which a new one has to grow first.
const idleWorkers = 128

// begin gives a request to a goroutine that waits for one, or to a new one.
func (e *Endpoint) begin(s *Server) {
	e.count.requests.Add(1)
	select {
	case e.jobs <- s:
	default:
		e.wg.Go(func() {
			e.handler(e.ctx, s)
			for e.idle.Add(1) <= idleWorkers {
				select {
				case s := <-e.jobs:
					e.idle.Add(-1)
					e.handler(e.ctx, s)
				case <-e.closing:
					return
				}
			}
			e.idle.Add(-1)
		})
	}
}

// enqueue has a request wait for its handler.
func (e *Endpoint) enqueue(s *Server, now time.Duration) bool {
	if !e.queue.push(s, now) {
		return false
	}
	select {
	case e.work <- struct{}{}:
	default:
	}
	return true
}
