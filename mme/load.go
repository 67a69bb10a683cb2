package mme

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// restartGrace is how long a phone has at least, after a restart, to be heard of
// before it is detached implicitly: T3402, after which one whose updates were not
// answered tries again (TS 24.301 §5.5.3.2.6), and a margin.
const restartGrace = 12*time.Minute + implicitDetachWait

// loadGC is GOGC while phones are loaded: off. What is read stays, and what is
// allocated beside it is about as much as is on disk, half of that: together less than
// the heap may grow to afterwards. The limit of GOMEMLIMIT holds.
const loadGC = -1

// load takes in the phones of an earlier run. They are idle; what that run has left
// undone at the gateway is noted for tidy.
func (m *MME) load() error {
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(loadGC))
	restore := restorer{
		session: m.o.Gateway.Restore,
		ticket:  m.restoreTicket,
		apns:    &apns{known: map[string]id.APN{}},
		readers: &sync.Pool{},
	}
	var mu sync.Mutex
	bad := 0
	lost, err := m.o.Store.Load(func(record []byte) {
		u, err := parseRecord(record, restore)
		if err == nil {
			u.info.Security = u.sec.algorithms()
			err = m.known.restore(u, time.Now().Add(restartGrace-m.o.IdleLimit))
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			bad++
			m.log.Warn("a phone's record cannot be used: it attaches anew", "err", err)
		case u.served || u.opening != 0 || len(u.closing) > 0:
			m.untidy = append(m.untidy, u)
		}
	})
	if err != nil {
		return fmt.Errorf("mme: loading phones: %w", err)
	}
	known, registered := m.known.size()
	m.keeper.count.Loaded, m.keeper.count.Lost = known, lost+bad
	m.log.Info("phones loaded", "phones", known, "registered", registered, "lost", lost+bad, "untidy", len(m.untidy), "took", time.Since(began))
	return nil
}

// revive makes of what was read an idle phone as others see it. A session whose
// phone is not registered is to be deleted.
func (u *ue) revive() {
	u.shown = u.named(u.shown)
	for _, p := range u.pdns {
		p.told = u.named(p.told)
	}
	var undone []*pdn // a phone that has accepted one of them unheard gives it up when it comes (TS 24.301 §6.4.4.6)
	u.pdns = slices.DeleteFunc(u.pdns, func(p *pdn) bool {
		if p.asked {
			undone = append(undone, p)
		}
		return p.asked
	})
	u.closing = append(u.closing, ending(undone)...)
	u.registered = (u.registered || u.accepted) && len(u.pdns) > 0
	if !u.registered {
		u.closing, u.pdns = append(u.closing, ending(u.pdns)...), nil
	}
	u.entered, u.accepted = true, false
	i := &u.info
	i.IMSI, i.IMEI, i.TMSI, i.State = u.imsi, u.imei, u.tmsi, Deregistered
	if l := u.lease; l != nil {
		i.Ticket, i.TicketUntil, i.Segment, i.MSISDN = l.ticket.ID, l.ticket.NotAfter, l.segments, l.profile.MSISDN
	}
	if u.registered {
		i.State = Idle
		u.showBearers(i)
	}
}

// named gives the phone's lease if it has the ticket that the other is read by
// (toldCodec).
func (u *ue) named(l *lease) *lease {
	if l != nil && u.lease != nil && l.ticket.ID == u.lease.ticket.ID {
		return u.lease
	}
	return nil
}

// restore takes in a phone of an earlier run; it counts as heard of at least at
// the time given. What two records claim, the first has.
func (r *registry) restore(u *ue, heard time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byIMSI[u.imsi] != nil {
		return fmt.Errorf("%w: two of one IMSI", errRecord)
	}
	for _, t := range []id.MTMSI{u.tmsi, u.formerTMSI} {
		if t != 0 && r.byTMSI[t] != nil {
			return fmt.Errorf("%w: M-TMSI %08x is another phone's", errRecord, uint32(t))
		}
	}
	if now := time.Now(); u.heard.After(now) {
		u.heard = now
	}
	if u.heard.Before(heard) {
		u.heard = heard
	}
	r.byIMSI[u.imsi] = u
	for _, t := range []id.MTMSI{u.tmsi, u.formerTMSI} {
		if t != 0 {
			r.byTMSI[t] = u
		}
	}
	for _, p := range u.pdns {
		r.bySession[p.session] = u
	}
	if !u.registered {
		r.deregistered++
	}
	return nil
}

// tidyWidth is how many phones are tidied up at a time.
const tidyWidth = 32

// tidy does what an earlier run has left undone at the gateway: bearers of phones
// that were connected are released, sessions that belong to nobody deleted. A
// phone that comes meanwhile goes first.
func (m *MME) tidy() {
	if len(m.untidy) > 0 {
		m.hearPool()
	}
	for list := m.untidy; len(list) > 0 && m.leaving.Err() == nil; {
		var (
			wait  sync.WaitGroup
			mu    sync.Mutex
			again []*ue
		)
		at := make(chan struct{}, tidyWidth)
		for _, u := range list {
			at <- struct{}{}
			wait.Go(func() {
				defer func() { <-at }()
				if !m.tidyUp(u) {
					mu.Lock()
					again = append(again, u)
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		if list = again; len(list) == 0 {
			return
		}
		select {
		case <-m.leaving.Done():
		case <-time.After(sweepEvery):
		}
	}
}

// tidyUp tidies up after one phone; false if it is to be tried again.
func (m *MME) tidyUp(u *ue) bool {
	c := &conn{m: m, in: newMailbox(m.o.Inbox), done: make(chan struct{}), ue: u}
	owner, known := m.known.claim(u, c)
	if !known || owner != nil { // another has its IMSI, and has closed what it had; or it is here
		return !known
	}
	defer c.givenUp()
	return c.tidy()
}

// tidy is done by an owner of the phone without an S1 connection.
func (c *conn) tidy() (done bool) {
	defer c.end()
	u := c.ue
	c.served = u.served
	_, err := finish(c, 4*c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
		c.m.deleteAt(ctx, u.closing)
		if u.opening != 0 && c.m.deleteUnheard(ctx, u) {
			u.opening = 0
		}
		return struct{}{}, nil
	})
	done = u.opening == 0
	var next *inbound
	if err == nil {
		next, _ = c.idle("the MME has restarted")
	} else if e, ok := err.(*collision); ok {
		next = &e.in
	}
	if next != nil {
		c.serve(next)
	}
	return done
}

// deleteUnheard ends sessions that the gateway may have opened while the MME died.
// One beside others is known by its bearer; of one that was to be the first not
// even the TEID was heard: another takes its place (TS 29.274 §7.2.1), and is
// deleted. False: it is to be tried again.
func (m *MME) deleteUnheard(ctx context.Context, u *ue) bool {
	if len(u.pdns) == 0 {
		return m.deleteFirst(ctx, u)
	}
	for ebi := firstEBI; ebi <= 15; ebi++ {
		if !u.opening.Active(ebi) || u.status().Active(ebi) {
			continue
		}
		st := u.pdns[0].session.State()
		st.EBI, st.SGW = ebi, s11.FTEID{} // which was never heard
		if s, err := m.o.Gateway.Restore(st); err == nil {
			m.deleteAt(ctx, []*closing{{session: s}})
		}
	}
	return true
}

func (m *MME) deleteFirst(ctx context.Context, u *ue) bool {
	if u.lease == nil {
		return true
	}
	i, p := u.show(nil), u.lease.profile
	if i.TAI.PLMN.IsZero() { // it was not connected yet
		i.TAI.PLMN, i.Cell.PLMN = m.o.GUMMEI.PLMN, m.o.GUMMEI.PLMN
	}
	s, err := m.o.Gateway.Create(ctx, s11.CreateSession{
		IMSI: u.imsi, MSISDN: p.MSISDN, IMEI: u.imei, APN: p.APN, PDNType: gtpc.PDNIPv4, EBI: firstEBI,
		QCI: p.QCI, ARP: gtpc.ARP{Level: p.ARP, Preemptable: true}, AMBR: gtpc.AMBR{UL: p.AMBRUL, DL: p.AMBRDL},
		TAI: i.TAI, ECGI: i.Cell, Ticket: u.lease.raw,
	})
	if err != nil {
		m.log.Warn("a session that an earlier run was opening is not deleted", "imsi", u.imsi, "err", err)
		return answered(err)
	}
	m.deleteAt(ctx, []*closing{{session: s}})
	return true
}
