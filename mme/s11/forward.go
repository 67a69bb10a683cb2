package s11

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Forwarding is a pair of tunnel ends by which packets of a bearer go from the
// source of a handover to its target, through the gateway; a zero one is none.
type Forwarding struct {
	EBI    id.EBI
	DL, UL FTEID
}

// Instances of F-TEIDs in bearer contexts (TS 29.274 tables 7.2.18-2, 7.2.19-2).
const (
	enbDL, enbUL = 0, 4
	sgwDL, sgwUL = 0, 4
)

// Forward asks for tunnels to the target's ends, for the phone of s, and gives the
// gateway's, for the source: of the bearers that the gateway forwards (TS 29.274
// §7.2.18). The errors are Create's.
func (c *Client) Forward(ctx context.Context, s *Session, list []Forwarding) ([]Forwarding, error) {
	var ies []*ie.IE
	for _, f := range list {
		parts := []*ie.IE{gtpc.EBI(f.EBI)}
		if f.DL != (FTEID{}) {
			parts = append(parts, gtpc.FTEID{Interface: gtpc.IfENBForwardDL, TEID: f.DL.TEID, Addr: f.DL.Addr}.IE(enbDL))
		}
		if f.UL != (FTEID{}) {
			parts = append(parts, gtpc.FTEID{Interface: gtpc.IfENBForwardUL, TEID: f.UL.TEID, Addr: f.UL.Addr}.IE(enbUL))
		}
		ies = append(ies, gtpc.BearerContext(0, parts...))
	}
	res, err := c.answered(ctx, s, gtpc.New(gtpc.CreateForwardingRequest, s.remote, ies...))
	if err != nil {
		return nil, err
	}
	var out []Forwarding
	for _, f := range list {
		b, err := res.FindBearer(0, f.EBI)
		if err != nil || gtpc.CheckCause(b, "bearer context") != nil {
			continue
		}
		g := Forwarding{EBI: f.EBI, DL: forwardEnd(b, sgwDL), UL: forwardEnd(b, sgwUL)}
		if g.DL != (FTEID{}) || g.UL != (FTEID{}) {
			out = append(out, g)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("s11: %w", errors.New("the gateway forwards no bearer"))
	}
	return out, nil
}

// forwardEnd reads an end in a bearer context; zero if there is none.
func forwardEnd(b []*ie.IE, instance uint8) FTEID {
	e := gtpc.Find(b, ie.FullyQualifiedTEID, instance)
	if e == nil {
		return FTEID{}
	}
	f, err := gtpc.ParseFTEID(e)
	if err != nil || f.TEID == 0 {
		return FTEID{}
	}
	return FTEID{f.Addr, f.TEID}
}

// EndForward ends what Forward made (TS 29.274 §7.2.20).
func (c *Client) EndForward(ctx context.Context, s *Session) error {
	return c.ask(ctx, s, gtpc.New(gtpc.DeleteForwardingRequest, s.remote))
}
