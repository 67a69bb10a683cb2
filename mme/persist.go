package mme

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// What is kept of phones over a restart, and when (TS 23.007 §12 leaves it to the
// MME). A record is the whole of a phone; it is written
//
//   - before an answer leaves: with the uplink COUNT that was accepted, so that
//     nothing is accepted twice and no K_eNB derived twice, and with a mark ahead
//     of the downlink COUNT; with both GUTIs from the command to its completion,
//     with both NAS contexts from Security Mode Command to its completion;
//   - before Create Session Request and Delete Session Request leave, so that the
//     session is not left behind at the gateway;
//   - without anybody waiting, when the phone becomes idle or is detached.
//
// So an attach is two writes that it waits for and one that it does not: the session
// that is to be opened, with the new keys; all that Attach Accept and Initial Context
// Setup Request promise; the idle phone.
//
// A procedure that a crash has interrupted is not kept: the phone's timer repeats
// it. What waits, waits for one write of all who wait.

// Store keeps records over restarts. *store.Store is one.
type Store interface {
	// Commit writes all changes or none. They are on disk when it returns nil;
	// they may be all the same when ctx ends first. It is called by one goroutine
	// at a time.
	Commit(context.Context, []Change) error
	// Load gives the record of every phone to f, which several goroutines may
	// call at once and which does not keep it. It counts those it could not read,
	// and says why in its log.
	Load(f func(record []byte)) (lost int, err error)
}

// Change is a phone's record to be kept in the place of the former.
type Change struct {
	IMSI   id.IMSI
	Record []byte // nil: none is kept
}

// essence is what of a phone must be on disk before an answer leaves. The rest of
// the record goes with it.
type essence struct {
	of                           *ue
	sec, next                    *keyset
	ul, mark, ul2, mark2         nassec.Count
	tmsi, former                 id.MTMSI
	first                        *s11.Session
	bearers, opening             eps.BearerStatus
	lease                        *lease
	segments                     uint32
	registered, accepted, served bool
}

// saved is what a connection has last handed to the keeper.
type saved struct {
	essence
	batch *batch // nil: nothing yet
	first bool   // no record before this one has keys that the phone has
}

// essence is called by the owner.
func (u *ue) essence() essence {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	e := essence{of: u, sec: u.sec, next: u.next, tmsi: u.tmsi, former: u.formerTMSI, bearers: u.status(), opening: u.opening,
		lease: u.lease, registered: u.registered, accepted: u.accepted, served: u.served}
	e.ul, e.mark = u.sec.counts()
	e.ul2, e.mark2 = u.next.counts()
	if len(u.pdns) > 0 {
		e.first = u.pdns[0].session
	}
	if u.lease != nil {
		e.segments = u.lease.segments
	}
	return e
}

// reserve moves the marks ahead, if a message more would be beyond one or the
// record is written anyway.
func (u *ue) reserve(anyway bool) {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	if anyway || u.sec.short() || u.next.short() {
		u.sec.reserve()
		u.next.reserve()
	}
}

// commit returns when what the phone's next message rests on is on disk.
func (c *conn) commit() error { return c.written(c.submit(true)) }

// written returns when a batch is on disk.
func (c *conn) written(b *batch) error {
	if b == nil {
		return nil
	}
	err := c.m.keeper.wait(b)
	if err != nil {
		c.saved.batch = nil
	}
	return err
}

// commitNAS is commit before a NAS message. It does not wait for the first record
// that has the phone's keys: if that is lost, the next MME knows none of them,
// accepts nothing under them and says nothing; if it is not, all that the phone was
// answered is in it. What is accepted or said beyond that is in another record.
func (c *conn) commitNAS() error {
	b := c.submit(true)
	if c.saved.first {
		return nil
	}
	return c.written(b)
}

// intend is commit before a request to the gateway that opens a session: that it
// may be there is on disk, and the keys of its phone.
func (c *conn) intend() error {
	if s := c.saved; s.batch != nil && s.of == c.ue && s.opening == c.ue.opening {
		return c.written(s.batch)
	}
	return c.commit()
}

// submit hands the phone's record to the keeper, unless nothing of its essence has
// changed since the last time. Something is to be sent: counts are reserved.
func (c *conn) submit(send bool) *batch {
	k := c.m.keeper
	if k == nil || !c.ue.entered {
		return nil
	}
	changed := c.saved.batch == nil || c.saved.essence != c.ue.essence()
	if send {
		c.ue.reserve(changed)
	}
	if e := c.ue.essence(); changed || e != c.saved.essence {
		first := c.ue.fresh()
		c.saved = saved{e, k.submit(Change{c.ue.imsi, c.m.write(c.ue)}), first}
	}
	return c.saved.batch
}

// keep hands over the record of a phone that becomes idle; nobody waits for it.
func (c *conn) keep() {
	if k := c.m.keeper; k != nil && c.ue.entered {
		c.saved = saved{}
		k.leave(Change{c.ue.imsi, c.ue.record()})
	}
}

// fresh says that no record has keys that the phone has.
func (u *ue) fresh() bool {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	return !u.sec.isKept() && !u.next.isKept()
}

// keepIdle is keep for a phone that nobody owns, with sessions that were just
// taken from it. Nil if nothing is kept, or somebody owns the phone by now: then
// he does it.
func (m *MME) keepIdle(u *ue, taken ...*closing) *batch {
	if m.keeper == nil {
		return nil
	}
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	if u.owner != nil || m.known.byIMSI[u.imsi] != u {
		return nil
	}
	u.closing = append(u.closing, taken...)
	return m.keeper.submit(Change{u.imsi, u.record()})
}

// evicted forgets a phone that made room for another.
func (m *MME) evicted(imsi id.IMSI) {
	if m.keeper != nil && !imsi.IsZero() {
		m.keeper.submit(Change{IMSI: imsi})
	}
}

// closing is a session that was taken from its phone, until the gateway has ended
// it.
type closing struct {
	session *s11.Session
	gone    atomic.Bool // it has, or was asked in vain
}

// ending are PDN connections that were taken from their phone.
func ending(pdns []*pdn) (list []*closing) {
	for _, p := range pdns {
		list = append(list, &closing{session: p.session})
	}
	return list
}

// closes notes that sessions of the phone are about to be deleted. Called by the
// owner.
func (u *ue) closes(pdns []*pdn) []*closing {
	list := ending(pdns)
	u.closing = append(*stillClosing(u), list...)
	return list
}

// stillClosing forgets sessions that are deleted.
func stillClosing(u *ue) *[]*closing {
	u.closing = slices.DeleteFunc(u.closing, func(l *closing) bool { return l.gone.Load() })
	return &u.closing
}

// answered says that the gateway has said what became of a request.
func answered(err error) bool {
	_, refused := errors.AsType[*gtpc.CauseError](err)
	return err == nil || refused
}
