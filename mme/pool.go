package mme

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/pool"
	"campanile.network/mme/s11"
	"campanile.network/wire/proof"
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

const takeOverName = "take over"

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

// Records gives every phone's record to f, for a member that has none of them yet.
// Those of phones in connected mode come by Pool.Changed soon.
func (m *MME) Records(f func(pool.Change)) {
	for _, u := range m.known.all() {
		m.known.mu.Lock()
		owner := u.owner
		var c Change
		if owner == nil && m.known.byIMSI[u.imsi] == u && u.entered && !u.guest {
			c = Change{u.imsi, u.record()}
		}
		m.known.mu.Unlock()
		switch {
		case owner != nil:
			owner.in.put(inbound{msg: replicate{}}, true)
		case c.Record != nil:
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

// nextEpoch is higher than those before, and than those that other members had of
// the phone at earlier times.
func nextEpoch(before uint64) uint64 { return max(before+1, uint64(time.Now().UnixMilli())) }

// foreign gives the name by which an initial message names a phone of another member.
func (m *MME) foreign(nas eps.Message, s *s1ap.STMSI) (code id.MMECode, t id.MTMSI, ok bool) {
	identity := identityOf(nas)
	if g, is := identity.GUTI(); is {
		return g.GUMMEI.Code, g.TMSI, g.GUMMEI.Group == m.o.GUMMEI.Group && g.GUMMEI.Code != m.o.GUMMEI.Code && m.serves(g.GUMMEI.PLMN)
	}
	if s != nil && identity.Kind() == eps.NoIdentity {
		v := s.ID()
		return v.Code, v.TMSI, v.Code != m.o.GUMMEI.Code
	}
	return 0, 0, false
}

// fromPool takes over the phone that an initial message comes from, if another member
// has it. Without error and unverified, the phone is a stranger.
func (c *conn) fromPool(in *inbound, first *s1ap.InitialUEMessage) error {
	if c.m.o.Pool == nil || in.nas == nil || in.sec == verified {
		return nil
	}
	code, t, ok := c.m.foreign(in.nas, first.STMSI)
	if !ok {
		return nil
	}
	raw := in.raw
	record, err := call(c, poolWait, func(ctx context.Context) ([]byte, error) { return c.m.o.Pool.Fetch(ctx, code, t, raw) })
	if interrupted(err) {
		return err
	}
	if err != nil {
		c.m.count.procedure(takeOverName, "unknown")
		c.m.log.Info("phone of another MME is not known in the pool", "code", uint8(code), "err", err)
		return nil
	}
	u, sessions, err := c.m.adoptRecord(record)
	if err == nil {
		if err = u.verify(raw); err == nil {
			return c.takeOver(u, sessions, in, first)
		}
	}
	c.m.forgetAll(sessions)
	c.m.count.procedure(takeOverName, "not its message")
	return nil
}

// adoptRecord makes of another member's record a phone, with its sessions here; none of its
// names is good any more.
func (m *MME) adoptRecord(record []byte) (u *ue, sessions []*s11.Session, err error) {
	u, err = parseRecord(record, restorer{
		ticket: m.restoreTicket,
		session: func(st s11.State) (*s11.Session, error) {
			var beside *s11.Session
			if len(sessions) > 0 {
				beside = sessions[0]
			}
			s, err := m.o.Gateway.(Mover).Adopt(st, beside)
			if err == nil {
				sessions = append(sessions, s)
			}
			return s, err
		},
	})
	if err != nil {
		return nil, sessions, err
	}
	u.tmsi, u.formerTMSI, u.entered = 0, 0, false
	return u, sessions, nil
}

func (m *MME) restoreTicket(raw []byte) (proof.Ticket, error) {
	t, err := proof.PeekTicket(m.o.ChainID, raw)
	if err == nil && t.Serving != m.operator {
		err = errTicket
	}
	return t, err
}

func (m *MME) forgetAll(sessions []*s11.Session) {
	for _, s := range sessions {
		m.o.Gateway.(Mover).Forget(s)
	}
}

// takeOver is what every procedure of another member's phone begins with (TS 23.401
// §5.3.3.1 steps 4 to 11, with the copy in the place of an MME that is away). One that
// fails leaves the phone whose it is.
func (c *conn) takeOver(u *ue, sessions []*s11.Session, in *inbound, first *s1ap.InitialUEMessage) (err error) {
	was := c.ue
	c.ue = u
	in.nas, in.sec = nil, unprotected
	if !c.open(in, first.NASPDU) || in.sec != verified {
		c.ue = was
		c.m.forgetAll(sessions)
		return nil
	}
	c.proc = begun(takeOverName, *in)
	defer func() {
		if err != nil && !u.entered {
			c.ue = &ue{imsi: u.imsi}
			c.m.forgetAll(sessions)
		}
	}()
	if d, leaves := in.nas.(*eps.DetachRequest); !leaves || !d.Type.SwitchOff() { // one that switches off answers nothing
		if err := c.authenticate(); err != nil {
			return err
		}
		if err := c.secure(); err != nil {
			return err
		}
	}
	if err := c.enterTaken(); err != nil {
		return err
	}
	u.requests = c.m.o.GUTIRequests // it gets a GUTI of this MME
	if err := c.commit(); err != nil {
		return err
	}
	if len(u.pdns) > 0 {
		if _, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.m.o.Gateway.(Mover).Move(ctx, u.pdns[0].session)
		}); err != nil {
			if interrupted(err) {
				return err
			}
			return reattach(err)
		}
	}
	c.report(nil)
	c.proc = nil
	return nil
}

// enterTaken makes the phone this MME's. What was known of it here before has the same
// sessions at the gateway, or none.
func (c *conn) enterTaken() error {
	for {
		p, err := c.m.known.enter(c.ue, c)
		if errors.Is(err, errFull) {
			return refuse(eps.EMMCauseCongestion, err)
		}
		if p.owner == nil {
			c.ue.entered = true
			c.m.evicted(p.evicted)
			for _, had := range p.pdns {
				c.m.o.Gateway.(Mover).Forget(had.session)
			}
			c.m.known.adopted(c.ue)
			return nil
		}
		if err := c.evict(p.owner); err != nil {
			return err
		}
	}
}

// adopted makes the sessions of a phone known that came with it.
func (r *registry) adopted(u *ue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range u.pdns {
		r.bySession[p.session] = u
	}
}

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
