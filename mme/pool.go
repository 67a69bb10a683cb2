package mme

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/pool"
	"campanile.network/mme/s11"
)

// A pool is several MMEs of one MME group with a code each (TS 23.251 §4, TS 23.401
// §4.3.7.2). Each owns its phones: it alone writes their records. The others have
// copies that may be late. A phone that comes to another member than its own, because
// that one is away or the eNB has chosen so, is taken over: by what its owner says, if
// it lives, or by the copy. Whatever the age of the copy,
//
//   - it is used only to find the phone's IMSI, to check what it has said, and for its
//     sessions; nothing is sent under its keys, whose COUNTs may be used;
//   - the SIM is asked before anything else, so that there are new keys before there
//     is a K_eNB;
//   - the session at the gateway goes on, with this MME's end of S11;
//   - the phone gets a GUTI of this MME.
//
// Who owns a phone is in its record as an epoch, which grows with each registration
// and each taking over: the highest wins. A member that learns that another has a
// phone with a higher one forgets it, and leaves its session to that one.

// Pool is the other members. It is used by several goroutines; *pool.Node is one.
type Pool interface {
	// Changed says what is on disk now. It does not block, and may keep the records.
	Changed([]pool.Change)
	// Fetch gives the record of the phone that names itself by an M-TMSI of the
	// member with that code, and has sent this NAS message: as its owner has it or,
	// if that is away, as it last came from there.
	Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) (record []byte, err error)
	// Epoch gives that of another member's phone, as it last came from there; 0: of
	// none.
	Epoch(id.IMSI) uint64
	// Heard returns when every other member has said what it has since the start, or when ctx ends.
	Heard(ctx context.Context)
}

// Mover is a Gateway whose sessions can come from another MME, and go there;
// *s11.Client is one.
type Mover interface {
	// Adopt takes up a session of another MME, with a control tunnel end of its own,
	// which it shares with the session that it is beside, if any.
	Adopt(st s11.State, beside *s11.Session) (*s11.Session, error)
	// Move tells the gateway that the session is this MME's now.
	Move(context.Context, *s11.Session) error
	// Forget drops a session that is another MME's now; the gateway is not told.
	Forget(*s11.Session)
}

var _ Mover = (*s11.Client)(nil)

// poolWait is for how long a phone waits for the pool.
const poolWait = 2 * time.Second

// heardWait is for how long a member that has started waits for the others: what it was about to do
// for phones that have gone to them meanwhile is theirs.
const heardWait = 15 * time.Second

// hearPool waits for the other members.
func (m *MME) hearPool() {
	if m.o.Pool == nil {
		return
	}
	ctx, cancel := context.WithTimeout(m.leaving, heardWait)
	defer cancel()
	m.o.Pool.Heard(ctx)
}

// elsewhere is the highest epoch that other members have said of a phone: its next owner goes
// beyond it, however their clocks differ.
func (m *MME) elsewhere(imsi id.IMSI) uint64 {
	if m.o.Pool == nil {
		return 0
	}
	return m.o.Pool.Epoch(imsi)
}

// poolChange makes of a change what the other members are told, by what the record
// says of who the phone is.
func poolChange(c Change) pool.Change {
	p := pool.Change{IMSI: c.IMSI, Record: c.Record}
	for b := c.Record[min(1, len(c.Record)):]; len(b) >= rowHeader; {
		end := rowHeader + int(binary.BigEndian.Uint16(b[1:]))
		v, _ := binary.Uvarint(b[rowHeader:end])
		switch b[0] {
		case tmsiRow, formerTMSIRow:
			p.TMSIs = append(p.TMSIs, id.MTMSI(v))
		case epochRow:
			p.Epoch = v
		}
		b = b[end:]
	}
	return p
}

// poolChanged tells the other members what is on disk.
func (m *MME) poolChanged(changes []Change) {
	if m.o.Pool == nil {
		return
	}
	list := make([]pool.Change, 0, len(changes))
	for _, c := range changes {
		list = append(list, poolChange(c))
	}
	m.o.Pool.Changed(list)
}

// Tags of ueRows that poolChange reads.
const tmsiRow, formerTMSIRow, epochRow = 3, 4, 33

// Hand gives the record of a phone of this MME to another member, to which the phone
// has sent a NAS message; pool.ErrForeign if it has not, or is none of this MME's. The
// phone stays this MME's until Disowned.
func (m *MME) Hand(t id.MTMSI, nas []byte) ([]byte, error) {
	u := m.known.find(t)
	if u == nil || u.verify(nas) != nil {
		return nil, pool.ErrForeign
	}
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	if m.known.byTMSI[t] != u {
		return nil, pool.ErrForeign
	}
	if u.owner != nil { // its goroutine may be changing it: as it was last written
		if u.written == nil {
			return nil, pool.ErrForeign
		}
		return u.written, nil
	}
	return u.record(), nil
}

// Records gives every phone's record to f, for a member that has none of them yet: those
// of phones in connected mode as they were last written, and anew by Pool.Changed soon.
func (m *MME) Records(f func(pool.Change)) {
	for _, u := range m.known.all() {
		m.known.mu.Lock()
		owner := u.owner
		var c Change
		switch {
		case m.known.byIMSI[u.imsi] != u || u.guest:
		case owner != nil:
			c = Change{u.imsi, u.written}
		case u.entered:
			c = Change{u.imsi, u.record()}
		}
		m.known.mu.Unlock()
		if owner != nil {
			owner.in.put(inbound{msg: replicate{}}, true)
		}
		if c.Record != nil {
			f(poolChange(c))
		}
	}
}

// replicate asks the owner of a phone to have its record written again.
type replicate struct{}

// disowned says that another member of the pool owns the phone.
type disowned struct{ epoch uint64 }

var errDisowned = errors.New("another MME of the pool has the phone now")

// Disowned says that another member owns a phone with this epoch. If that is higher
// than this MME's, the phone is forgotten here.
func (m *MME) Disowned(imsi id.IMSI, epoch uint64) {
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	if u == nil || u.epoch >= epoch {
		m.known.mu.Unlock()
		return
	}
	if owner := u.owner; owner != nil {
		m.known.mu.Unlock()
		if owner.in.put(inbound{msg: disowned{epoch}}, true) == putClosed {
			<-owner.done // it has parked the phone by now or is about to
			m.Disowned(imsi, epoch)
		}
		return
	}
	pdns := m.known.remove(u)
	m.known.mu.Unlock()
	m.lose(u, pdns)
}

// lose forgets what was left of a phone that another member has.
func (m *MME) lose(u *ue, pdns []*pdn) {
	for _, p := range pdns {
		m.o.Gateway.(Mover).Forget(p.session)
	}
	m.evicted(u.imsi)
	m.count.procedure("disowned", "")
	m.log.Info("phone is another MME's", "imsi", u.imsi)
	m.o.Events(UEChanged{u.show(func(i *UEInfo) { i.State, i.Bearers, i.Reason = Deregistered, nil, errDisowned.Error() })})
}

// disown ends a connection whose phone has another owner.
func (c *conn) disown() {
	if c.leg != nil {
		c.command(c.leg, s1ap.CauseNasNormalRelease.Cause())
	}
	u := c.ue
	c.served, u.entered = false, false
	c.m.known.mu.Lock()
	pdns := c.m.known.remove(u)
	c.m.known.mu.Unlock()
	c.m.lose(u, pdns)
}

// givenUp forgets the phone when the connection has ended, if another owner was heard of while
// it did.
func (c *conn) givenUp() {
	if c.takenBy > 0 {
		c.m.Disowned(c.ue.imsi, c.takenBy)
	}
}

// nextEpoch is higher than those before, and than those that other members had of
// the phone at earlier times.
func nextEpoch(before uint64) uint64 { return max(before+1, uint64(time.Now().UnixMilli())) }

// write makes the record of a phone that its owner hands to the keeper.
func (m *MME) write(u *ue) []byte {
	b := u.record()
	if m.o.Pool != nil {
		m.known.mu.Lock()
		u.written = b
		m.known.mu.Unlock()
	}
	return b
}

// again has the record of a phone written once more.
func (c *conn) again() {
	if k := c.m.keeper; k != nil && c.ue.entered {
		c.saved = saved{}
		k.submit(Change{c.ue.imsi, c.m.write(c.ue)})
	}
}
