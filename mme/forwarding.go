package mme

import (
	"context"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// Forwarder is a Gateway that forwards packets between the eNBs of a handover
// which do not reach each other (TS 23.401 §5.5.1.2.2 steps 6 and 8, 21).
type Forwarder interface {
	Forward(context.Context, *s11.Session, []s11.Forwarding) ([]s11.Forwarding, error)
	EndForward(context.Context, *s11.Session) error
}

var _ Forwarder = (*s11.Client)(nil)

// forwarder is the gateway, if it is to forward.
func (m *MME) forwarder() Forwarder {
	if !m.o.IndirectForwarding {
		return nil
	}
	f, _ := m.o.Gateway.(Forwarder)
	return f
}

// forwarding gives the ends to which the source sends what reaches it too late:
// the target's own where it reaches them, else the gateway's. A gateway that
// refuses, or is slow about it, does not hold the handover up.
func (h *handover) forwarding() s1ap.ERABSubjecttoDataForwardingList {
	var wanted []s11.Forwarding
	for i := range h.ready.ERABAdmittedList {
		item := &h.ready.ERABAdmittedList[i]
		gateway := h.c.ue.gatewayEnd(id.EBI(item.ERABID))
		f := s11.Forwarding{EBI: id.EBI(item.ERABID),
			DL: forwardEnd(&item.DLTransportLayerAddress, item.DLGTPTEID, gateway), UL: forwardEnd(&item.ULTransportLayerAddress, item.ULGTPTEID, gateway)}
		if f.DL != (s11.FTEID{}) || f.UL != (s11.FTEID{}) {
			wanted = append(wanted, f)
		}
	}
	g := h.c.m.forwarder()
	switch {
	case h.direct():
		return forwardList(wanted)
	case len(wanted) == 0 || g == nil:
		return nil
	}
	ctx, cancel := context.WithTimeout(h.c.m.ctx, forwardAskWait)
	defer cancel()
	h.tunnels = h.c.ue.pdns[0].session
	ends, err := g.Forward(ctx, h.tunnels, wanted)
	if err != nil {
		h.c.m.log.Info("no forwarding by the gateway", "imsi", h.c.ue.imsi, "err", err)
		return nil
	}
	return forwardList(ends)
}

// forwardList says where the source is to send what.
func forwardList(ends []s11.Forwarding) (list s1ap.ERABSubjecttoDataForwardingList) {
	for _, f := range ends {
		item := s1ap.ERABDataForwardingItem{ERABID: s1ap.ERABID(f.EBI)}
		if f.DL != (s11.FTEID{}) {
			item.DLTransportLayerAddress, item.DLGTPTEID = s1ap.FromAddr(f.DL.Addr), new(s1ap.FromTEID(f.DL.TEID))
		}
		if f.UL != (s11.FTEID{}) {
			item.ULTransportLayerAddress, item.ULGTPTEID = s1ap.FromAddr(f.UL.Addr), new(s1ap.FromTEID(f.UL.TEID))
		}
		list = append(list, item)
	}
	return list
}

// forwardEnd reads an end of the target; zero if there is none that can be one.
func forwardEnd(a *s1ap.TransportLayerAddress, teid *s1ap.GTPTEID, gateway netip.Addr) s11.FTEID {
	if teid == nil {
		return s11.FTEID{}
	}
	end, _ := tunnelEnd(a, *teid, gateway)
	return end
}

// endForwarding has the gateway end its tunnels, after a while (TS 23.401
// §5.5.1.2.2 step 21).
func (h *handover) endForwarding(hold time.Duration) {
	g, s, m := h.c.m.forwarder(), h.tunnels, h.c.m
	if g == nil || s == nil {
		return
	}
	m.spawn(func() {
		t := time.NewTimer(hold)
		defer t.Stop()
		select {
		case <-t.C:
		case <-m.leaving.Done():
		}
		ctx, cancel := context.WithTimeout(m.ctx, m.o.GatewayTimeout)
		defer cancel()
		if err := g.EndForward(ctx, s); err != nil {
			m.log.Warn("forwarding not ended at the gateway", "imsi", s.IMSI, "err", err)
		}
	})
}
