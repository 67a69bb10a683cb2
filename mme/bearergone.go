package mme

import (
	"context"
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// gone takes bearers from the phone without telling it: it has, or will have, none
// (TS 24.301 §6.4.4.6). What the eNB has of them is released, the gateway told. With
// a default bearer goes its PDN connection; that of the last one the caller sees to.
func (c *conn) gone(why string, ebis ...id.EBI) {
	var closed []*pdn
	var radio []*bearer
	release := func(list ...*bearer) {
		for _, b := range list {
			if b.enb != (s11.FTEID{}) {
				radio = append(radio, b)
			}
		}
	}
	dropped := map[*s11.Session][]id.EBI{}
	for _, ebi := range ebis {
		p, b := c.ue.bearer(ebi)
		switch {
		case b == nil:
		case b != p.first():
			c.m.known.change(func() { p.remove(b) })
			dropped[p.session] = append(dropped[p.session], ebi)
			release(b)
		case len(c.ue.pdns) > 1:
			c.m.known.shut(c.ue, p)
			closed = append(closed, p)
			release(p.bearers...)
		}
	}
	if len(closed) == 0 && len(dropped) == 0 {
		return
	}
	c.m.log.Info("bearers gone", "imsi", c.ue.imsi, "bearers", ebis, "reason", why)
	if len(radio) > 0 && c.leg != nil {
		_ = c.toENB(c.releaseERABs(radio, nil))
	}
	c.changed(c.ue.showBearers)
	l := c.ue.closes(closed)
	c.m.spawn(func() {
		ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
		defer cancel()
		c.m.deleteAt(ctx, l)
		for s, ebis := range dropped {
			if err := c.m.o.Gateway.Drop(ctx, s, ebis); err != nil {
				c.m.log.Warn("gateway not told of bearers that are gone", "imsi", s.IMSI, "bearers", ebis, "err", err)
			}
		}
	})
}

// erabsReleased is E-RAB Release Indication by the eNB (TS 36.413 §8.2.3.2.3). The
// phone loses these bearers with their radio bearers; without any default bearer
// it is released.
func (c *conn) erabsReleased(m *s1ap.ERABReleaseIndication) error {
	var ebis []id.EBI
	cause := s1ap.CauseRadioNetworkUnspecified.Cause()
	for i := range m.ERABReleasedList {
		ebis = append(ebis, id.EBI(m.ERABReleasedList[i].ERABID))
		if _, b := c.ue.bearer(ebis[i]); b != nil {
			b.enb = s11.FTEID{}
		}
		cause = m.ERABReleasedList[i].Cause
	}
	if !slices.ContainsFunc(c.ue.pdns, func(p *pdn) bool { return !slices.Contains(ebis, p.linked()) }) {
		return &released{cause}
	}
	c.gone("released by the eNB, cause "+cause.String(), ebis...)
	return nil
}
