package gateway

import (
	"net/netip"
	"slices"

	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// maxFormer bounds the MMEs of a phone that are remembered to have had it.
const maxFormer = 8

// movesTo notes that an MME has the phone now: another of the same pool may have had it (TS
// 23.401 §4.3.7.2).
func (u *ue) movesTo(mme gtpc.FTEID) {
	if mme.Addr != u.peer.Addr {
		u.former = append(u.former[max(0, len(u.former)-maxFormer+1):], u.peer.Addr)
		u.former = slices.DeleteFunc(u.former, func(a netip.Addr) bool { return a == mme.Addr })
	}
	u.peer = mme
}

// isWith refuses what an MME asks of a phone that has gone to another one, and does not know yet: it
// ends nothing of it. It has the phone again when it says so.
func (u *ue) isWith(peer netip.Addr, m *gtpc.Message) error {
	if !slices.Contains(u.former, peer) || m.Type == gtpc.ModifyBearerRequest && m.IE(ie.FullyQualifiedTEID, 0) != nil {
		return nil
	}
	return gtpc.Refuse(gtpc.ContextNotFound, 0, "the phone of control TEID %v is with the MME at %v now", u.ctrl, u.peer.Addr)
}
