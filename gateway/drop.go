package gateway

import (
	"context"
	"errors"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// dropBearers is the bearer deactivation procedure (TS 23.401 §5.4.4.1): of dedicated
// bearers, or with the default one of the session. Whatever the peer says, they end,
// unless it is busy with a handover.
func (g *Gateway) dropBearers(ctx context.Context, o order, ebis []id.EBI, why gtpc.Cause) ([]gtpc.Cause, error) {
	var ies []*ie.IE
	if why != 0 {
		ies = append(ies, ie.NewCause(uint8(why), 0, 0, 0, nil))
	}
	whole := false
	for _, ebi := range ebis {
		whole = whole || ebi == o.s.ebi
	}
	if whole {
		ies = append(ies, gtpc.EBI(o.s.ebi))
	} else {
		for _, ebi := range ebis {
			ies = append(ies, ie.New(ie.EPSBearerID, 1, []byte{byte(ebi)}))
		}
	}
	res, err := g.request(ctx, o, gtpc.DeleteBearerRequest, ies...)
	if err == nil {
		err = res.Check()
	}
	if ce, ok := errors.AsType[*gtpc.CauseError](err); ok && ce.Cause == gtpc.TemporarilyRejected {
		return nil, err
	}
	if err != nil {
		g.log.Info("gateway: bearers end though the peer has not agreed", logs.IMSI, o.s.ue.imsi, logs.Error, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.flush(nil)
	out := make([]gtpc.Cause, len(ebis))
	for i, ebi := range ebis {
		out[i] = gtpc.Accepted
		if b := o.s.bearers[ebi]; b == nil {
			out[i] = gtpc.ContextNotFound
		} else if !whole && !o.s.ended {
			g.endBearer(b)
			g.log.Info("gateway: bearer ended", logs.IMSI, o.s.ue.imsi, "bearer", uint8(ebi), logs.TEID, b.teid)
		}
	}
	if whole {
		g.end(o.s)
	}
	return out, nil
}

// retryAfter is how long a peer is left alone that is busy with a handover
// (TS 29.274 §8.4, cause 110), and retries how often it is asked again.
const (
	retryAfter = 2 * time.Second
	retries    = 3
)

// patiently does f again while a peer is busy.
func patiently(ctx context.Context, f func() error) error {
	for n := 0; ; n++ {
		err := f()
		ce, ok := errors.AsType[*gtpc.CauseError](err)
		if !ok || ce.Cause != gtpc.TemporarilyRejected || n == retries || !wait(ctx, retryAfter) {
			return err
		}
	}
}
