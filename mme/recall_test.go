package mme

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// lines is what a test knows of an MME that follows one that was killed.
type lines struct {
	*world
	notes *notes
	book  *phoneBook
	at    netip.AddrPort // of the eNB that the killed one had
}

// afterKill plays an MME that follows one that was killed, and whose eNB did not
// notice. prepare says how it answers a call.
func afterKill(t *testing.T, prepare func(*lines), script func(*lines)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNotes()
		killed := newWorld(t, func(o *Options) { o.Memory = n })
		at := killed.tower(0x19b).a.LocalAddr()
		n.has(t, 0x19b)
		l := &lines{notes: n.copy(), book: newPhoneBook(t), at: at} // what else it does, nobody learns
		killed.end()
		n.has(t)

		prepare(l)
		l.world = newWorld(t, func(o *Options) { o.Memory, o.Dialer = l.notes, l.book })
		l.enbPort = 1000
		defer l.end()
		script(l)
	})
}

// up checks that the eNB is here, and stays.
func (l *lines) up(e *enbPeer) {
	l.t.Helper()
	e.silent(time.Hour)
	if s := l.m.Stats(); s.ENBs != 1 {
		l.t.Errorf("%d eNBs", s.ENBs)
	}
	l.notes.has(l.t.(*testing.T), 0x19b)
}

// The eNB of a killed MME, whose phones only move data, hears of the end: it is
// called, told by SHUTDOWN, and sets up S1 anew.
func TestRecall(t *testing.T) {
	var ends chan sctp.Association
	afterKill(t, func(l *lines) { ends = l.book.answers(l.at) }, func(l *lines) {
		began := time.Now()
		old := called(t, ends)
		if _, err := old.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the eNB that was called got %v, want SHUTDOWN", err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("SHUTDOWN after %v", d)
		}
		l.notes.has(t)
		p := l.phone(l.tower(0x19b))
		p.attach()
		l.up(p.e)
		l.counted("recall ok", 1)
		if n := l.book.called(); n != 1 {
			t.Errorf("called %d times", n)
		}
	})
}

// An eNB that comes by itself is left alone: before it is reached, by the very
// association that the call was to open, or by one that stands already.
func TestRecallDisturbsNobody(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		afterKill(t, func(l *lines) {}, func(l *lines) {
			time.Sleep(time.Minute)
			before := l.book.called()
			e := l.tower(0x19b)
			synctest.Wait()
			if l.book.gaveUp != time.Now() {
				t.Errorf("the call went on after S1 Setup until %v", l.book.gaveUp)
			}
			l.up(e)
			if n := l.book.called(); n != before {
				t.Errorf("called %d times after S1 Setup", n-before)
			}
			l.counted("recall came by itself", 1)
		})
	})
	t.Run("both at once", func(t *testing.T) {
		var ends chan sctp.Association
		afterKill(t, func(l *lines) { ends = l.book.answers(l.at) }, func(l *lines) {
			e := l.peer(called(t, ends))
			e.send(e.setupRequest(0x19b))
			expect[*s1ap.S1SetupResponse](e)
			p := l.phone(e)
			p.attach()
			l.up(e)
		})
	})
	t.Run("just here", func(t *testing.T) {
		afterKill(t, func(l *lines) { l.book.fails(l.at, sctp.ErrPortInUse) }, func(l *lines) {
			time.Sleep(time.Second)
			l.up(l.tower(0x19b))
			if n := l.book.called(); n != 1 {
				t.Errorf("called %d times", n)
			}
		})
	})
}

// peer is an eNB by its end of an association.
func (w *world) peer(a sctp.Association) *enbPeer {
	return &enbPeer{w: w, a: a, addr: a.LocalAddr().Addr(), plmn: testPLMN, tac: 7, eci: id.ECI(0x19b01)}
}

// An eNB that has no association any more says so with an ABORT; one that never
// answers is forgotten after ten minutes. Neither is called without end, however
// a call fails.
func TestRecallGivesUp(t *testing.T) {
	for _, c := range []struct {
		name, counted string
		fails         error
		most          int           // calls
		forgotten     time.Duration // after the start
	}{
		{"refused", "recall no association there", &sctp.AbortError{}, 1, 0},
		{"silent", "recall no answer", nil, 8, 10 * time.Minute},
		{"no way there", "recall no answer", errors.New("network is unreachable"), 8, 10 * time.Minute},
		{"not possible", "recall not possible", errors.ErrUnsupported, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			afterKill(t, func(l *lines) {
				if c.fails != nil {
					l.book.fails(l.at, c.fails)
				}
			}, func(l *lines) {
				if c.forgotten > 0 {
					time.Sleep(c.forgotten - 1)
					l.notes.has(t, 0x19b)
					time.Sleep(time.Nanosecond)
				}
				l.notes.has(t)
				time.Sleep(time.Hour)
				if n := l.book.called(); n > c.most || c.most > 1 && n < 5 {
					t.Errorf("called %d times, want %d at most", n, c.most)
				}
				l.counted(c.counted, 1)
			})
		})
	}
}

// All addresses of an eNB are tried.
func TestRecallByAnotherAddress(t *testing.T) {
	second := netip.MustParseAddr("127.0.1.10")
	var ends chan sctp.Association
	afterKill(t, func(l *lines) {
		for g, p := range l.notes.peers {
			p.At.Addrs = append(p.At.Addrs, second)
			l.notes.peers[g] = p
		}
		ends = l.book.answers(netip.AddrPortFrom(second, l.at.Port()))
	}, func(l *lines) {
		if _, err := called(t, ends).Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if want := []netip.AddrPort{l.at, netip.AddrPortFrom(second, l.at.Port())}; !slices.Equal(l.book.calls, want) {
			t.Errorf("called %v, want %v", l.book.calls, want)
		}
	})
}

// The MME that was called back ends before the eNB has answered, or is killed,
// too: it stays remembered.
func TestRecallInterrupted(t *testing.T) {
	var kept *notes
	afterKill(t, func(l *lines) { kept = l.notes }, func(l *lines) { time.Sleep(time.Minute) })
	if len(kept.peers) != 1 {
		t.Errorf("%v", kept.peers)
	}
}

// Who knows of the end of an association is forgotten, and not called; so is who
// has another.
func TestForgotten(t *testing.T) {
	n, b := newNotes(), (*phoneBook)(nil)
	play(t, func(o *Options) { b = newPhoneBook(t); o.Memory, o.Dialer = n, b }, func(w *world) {
		e := w.tower(0x19b)
		n.has(t, 0x19b)
		e.shutdown()
		n.has(t)

		w.tower(0x19b).a.Abort("restart of the eNB")
		n.has(t)

		e = w.tower(0x19b)
		time.Sleep(time.Minute)
		f := w.tower(0x19b) // the former does not answer
		expect[*s1ap.UEContextReleaseCommand](e)
		if _, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		n.has(t, 0x19b)
		if p := n.peers[id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b}]; p.At.Port != f.a.LocalAddr().Port() {
			t.Errorf("remembered at port %d", p.At.Port)
		}

		f.send(f.setupRequest(0x19c)) // it has another id now
		expect[*s1ap.S1SetupResponse](f)
		n.has(t, 0x19c)
		if w.dial(); b.called() != 0 {
			t.Errorf("called: %v", b.calls)
		}
	})
	if len(n.peers) != 0 { // shut down in order
		t.Errorf("remembered: %v", n.peers)
	}
}

// cable is an association whose way can be cut.
type cable struct {
	sctp.Association
	cut chan struct{}
}

func (c cable) Recv(ctx context.Context) (sctp.Message, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-c.cut:
			stop()
		case <-over:
		}
	}()
	m, err := c.Association.Recv(ctx)
	select {
	case <-c.cut:
		return m, sctp.ErrLost
	default:
		return m, err
	}
}

// An eNB that was cut off for a minute may not have noticed when the way is
// there again: it is called until it answers.
func TestRecallAfterLoss(t *testing.T) {
	n, b := newNotes(), (*phoneBook)(nil)
	play(t, func(o *Options) { b = newPhoneBook(t); o.Memory, o.Dialer = n, b }, func(w *world) {
		cut := make(chan struct{})
		open := w.open
		w.open = func(remote netip.AddrPort) sctp.Association {
			a, e := sctp.Pipe(sctp.PipeOptions{A: w.l.Addr(), B: remote})
			w.l.offer(cable{a, cut})
			return e
		}
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		close(cut)
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		time.Sleep(2 * time.Minute)
		n.has(t, 0x19b)
		ends := b.answers(e.a.LocalAddr())
		if _, err := called(t, ends).Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		w.open = open
		p = p.at(w.tower(0x19b))
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		w.counted("recall ok", 1)
	})
}

// unheard is an association whose SHUTDOWN gets lost.
type unheard struct{ sctp.Association }

func (u unheard) Shutdown(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// An eNB that does not hear the SHUTDOWN of an MME that stops is left to the
// next.
func TestStopUnheard(t *testing.T) {
	n := newNotes()
	play(t, func(o *Options) { o.Memory = n }, func(w *world) {
		w.open = func(remote netip.AddrPort) sctp.Association {
			a, e := sctp.Pipe(sctp.PipeOptions{A: w.l.Addr(), B: remote})
			w.l.offer(unheard{a})
			return e
		}
		w.tower(0x19b)
		w.tower(0x19c).a.Abort("")
		n.has(t, 0x19b)
	})
	if len(n.peers) != 1 {
		t.Errorf("remembered: %v", n.peers)
	}
}
