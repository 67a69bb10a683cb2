package mme

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/mme/s11"
)

// disk is a store in memory. What is committed is there, but from the moment when
// the power is cut nothing more is.
type disk struct {
	mu      sync.Mutex
	records map[id.IMSI][]byte
	slow    time.Duration // of a commit
	bad     error         // of every commit
	off     bool
	commits int
}

func newDisk() *disk { return &disk{records: map[id.IMSI][]byte{}} }

func (d *disk) Commit(_ context.Context, changes []Change) error {
	d.mu.Lock()
	slow := d.slow
	d.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return errors.New("no power")
	}
	if d.bad != nil {
		return d.bad
	}
	d.commits++
	for _, c := range changes {
		if c.Record == nil {
			delete(d.records, c.IMSI)
			continue
		}
		d.records[c.IMSI] = bytes.Clone(c.Record)
	}
	return nil
}

func (d *disk) Load(f func([]byte)) (int, error) {
	d.mu.Lock()
	all := maps.Clone(d.records)
	d.mu.Unlock()
	for _, r := range all {
		f(r)
	}
	return 0, nil
}

// cut gives what is on the disk when the power is cut.
func (d *disk) cut() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	return &disk{records: maps.Clone(d.records)}
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bad = err
}

// Restore gives an MME that was started anew its session back. One that the
// gateway has not any more is one all the same.
func (g *testGateway) Restore(v s11.State) (*s11.Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &v.Session
	for old, x := range g.sessions {
		if old.IMSI == s.IMSI && old.EBI == s.EBI {
			delete(g.sessions, old)
			g.sessions[s] = x
			break
		}
	}
	return s, nil
}

// again ends the MME without a word and starts another on its disk.
func (w *world) again(d *disk) *disk {
	w.t.Helper()
	d = d.cut()
	w.stop()
	if err := <-w.served; err != nil {
		w.t.Errorf("Serve: %v", err)
	}
	l := &listener{ch: make(chan sctp.Association), closed: make(chan struct{})}
	w.l, w.o.Store = l, d
	w.start(l)
	return d
}

// equalInfo compares what is shown of a phone, but for the instants: those are
// read from a record without their clock.
func equalInfo(a, b UEInfo) bool {
	if !a.Since.Equal(b.Since) || !a.TicketUntil.Equal(b.TicketUntil) {
		return false
	}
	a.Since, a.TicketUntil = b.Since, b.TicketUntil
	return reflect.DeepEqual(a, b)
}

// What a phone is to the MME comes back from its record, whole.
func TestRestartKeepsPhones(t *testing.T) {
	d := newDisk()
	play(t, func(o *Options) { o.Store = d }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		before := w.info(p.imsi)
		time.Sleep(time.Hour)
		d := w.again(d)
		p.e = w.tower(0x19b)
		after := w.info(p.imsi)
		before.Reason, after.Reason = "", ""
		if !equalInfo(before, after) {
			t.Errorf("before the restart\n%+v\nafter it\n%+v", before, after)
		}
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected || w.home.asked != 1 {
			t.Errorf("%+v, the home was asked %d times", i, w.home.asked)
		}
		w.again(d)
		p.e = w.tower(0x19b)
		synctest.Wait()
		if _, x := w.gw.only(w); x.enb != (s11.FTEID{}) {
			t.Errorf("the gateway sends to %v, which nobody has any more", x.enb)
		}
	})
}

// A disk that takes nothing: phones are refused rather than answered, and served
// again when it does; the operator is told. What was accepted meanwhile is not
// accepted twice.
func TestDiskFails(t *testing.T) {
	d := newDisk()
	play(t, func(o *Options) { o.Store = d }, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		d.fail(errors.New("no space left on device"))
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		m := expect[*s1ap.DownlinkNASTransport](e)
		p.mmeID = m.MMEUES1APID
		if r, ok := must(eps.Parse(eps.Downlink, m.NASPDU)).(*eps.ServiceReject); !ok || r.Cause != eps.EMMCauseNetworkFailure {
			t.Errorf("the phone is told %x", m.NASPDU)
		}
		p.released()
		if s := w.m.Stats().Store; !strings.Contains(s.Failing, "no space left") || s.Refused == 0 {
			t.Errorf("%+v", s)
		}
		w.logged("records cannot be written", "no space left")
		d.fail(nil)
		time.Sleep(2 * retryEvery)
		if s := w.m.Stats().Store; s.Failing != "" {
			t.Errorf("%+v", s)
		}
		w.logged("records are written again")
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("%+v", i)
		}
		d.mu.Lock()
		d.slow = 5 * time.Second // it hangs
		d.mu.Unlock()
		p.idle()
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.mmeID = expect[*s1ap.DownlinkNASTransport](e).MMEUES1APID
		p.released()
		if s := w.m.Stats().Store; !strings.Contains(s.Failing, "nothing written in 4s") {
			t.Errorf("%+v", s)
		}
		d.mu.Lock()
		d.slow = 0
		d.mu.Unlock()
		time.Sleep(20 * time.Second)
		p.request()
		if s := w.m.Stats().Store; s.Failing != "" {
			t.Errorf("%+v", s)
		}
	})
}
