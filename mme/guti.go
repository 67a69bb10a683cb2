package mme

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
)

// aged says that the phone has gone by its GUTI long enough: whoever listens to
// the radio could follow it (TS 33.401 §5.1.1).
func (m *MME) aged(u *ue) bool {
	return u.requests >= m.o.GUTIRequests || time.Since(u.assigned) >= m.o.GUTIAge
}

// reallocate is the GUTI reallocation procedure (TS 24.301 §5.4.1). A phone that
// does not answer keeps what it has, and is known by either name; so is one that
// begins something else meanwhile.
func (c *conn) reallocate() error {
	c.proc = begun("GUTI reallocation", inbound{})
	c.proc.yielding = true
	u := c.ue
	if err := c.m.known.assign(u, u.tais); err != nil {
		return err
	}
	command := &eps.GUTIReallocationCommand{GUTI: eps.FromGUTI(id.GUTI{GUMMEI: c.gummei(), TMSI: u.tmsi}), TAIs: eps.Some(eps.NewTAIList(u.tais...))}
	at := c.leg
	err := c.exchange(t3450,
		func() error { return c.send(command) },
		func(in inbound) (verdict, error) {
			if _, ok := in.nas.(*eps.GUTIReallocationComplete); ok {
				return finished, nil
			}
			return notMine, nil
		})
	if errors.Is(err, errNoAnswer) { // TS 24.301 §5.4.1.6 b; the connection goes on
		c.report(err)
		c.proc = nil
		return nil
	}
	if err != nil {
		c.overtaken(err, at)
		return err
	}
	c.m.known.confirmed(u)
	u.show(func(i *UEInfo) { i.TMSI = u.tmsi })
	return nil
}

// assign gives u a second M-TMSI and a list of tracking areas beside those it
// has; all are good until confirmed, or until the phone comes by one of them
// (TS 24.301 §5.4.1.4, §5.5.1.2.4, §5.5.3.2.4). While a second M-TMSI is not
// confirmed there is no third: the second is assigned again.
func (r *registry) assign(u *ue, tais []id.TAI) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.formerTMSI == 0 {
		t, err := r.drawTMSI()
		if err != nil {
			return err
		}
		u.formerTMSI, u.tmsi = u.tmsi, t
		r.byTMSI[t] = u
	}
	for _, was := range u.tais {
		if !slices.Contains(u.formerTAIs, was) && len(u.formerTAIs) < 2*maxTAIList {
			u.formerTAIs = append(u.formerTAIs, was)
		}
	}
	u.tais, u.requests, u.assigned = tais, 0, time.Now()
	return nil
}

// drawTMSI gives an M-TMSI that nobody has.
func (r *registry) drawTMSI() (id.MTMSI, error) {
	for range 64 {
		var b [4]byte
		if _, err := io.ReadFull(r.rand, b[:]); err != nil {
			return 0, fmt.Errorf("mme: drawing an M-TMSI: %w", err)
		}
		if t := id.MTMSI(binary.BigEndian.Uint32(b[:])); t != 0 && t != 0xffffffff && r.byTMSI[t] == nil {
			return t, nil
		}
	}
	return 0, errors.New("mme: 64 M-TMSIs drawn, none free")
}

// confirmed ends the former M-TMSI and list: the phone has taken the new ones.
func (r *registry) confirmed(u *ue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settleTMSI(u, u.tmsi)
	u.formerTAIs = nil
}

// usedTMSI notes by which of its M-TMSIs a phone came: the other one it has not
// got, or has no more (TS 24.301 §5.4.1.6 a).
func (r *registry) usedTMSI(u *ue, t id.MTMSI) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.formerTMSI != 0 && (t == u.tmsi || t == u.formerTMSI) {
		r.settleTMSI(u, t)
	}
}

func (r *registry) settleTMSI(u *ue, keep id.MTMSI) {
	for _, t := range []id.MTMSI{u.tmsi, u.formerTMSI} {
		if t != keep && r.byTMSI[t] == u {
			delete(r.byTMSI, t)
		}
	}
	u.tmsi, u.formerTMSI = keep, 0
}
