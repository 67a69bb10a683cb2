package gateway

import (
	"context"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
)

// NewBearer is a dedicated bearer that the operator wants a phone to have.
type NewBearer struct {
	IMSI id.IMSI
	// Linked is the default bearer of the session; 0: the phone has one session.
	Linked id.EBI
	QoS    gtpc.QoS
	// Filters choose its packets; 1 to 15. Their IDs and precedences are the caller's.
	Filters []eps.PacketFilter
}

// find gives a phone's session, by its default bearer if that is not 0.
func (g *Gateway) find(imsi id.IMSI, linked id.EBI) (*session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var found *session
	n := 0
	for _, s := range g.sessions {
		if s.ue.imsi == imsi && !s.ended && (linked == 0 || s.ebi == linked) {
			found, n = s, n+1
		}
	}
	switch {
	case n == 0:
		return nil, fmt.Errorf("gateway: no session of %v, bearer %d, is here", imsi, linked)
	case n > 1:
		return nil, fmt.Errorf("gateway: %v has %d sessions: name one by its default bearer", imsi, n)
	case found.up != nil:
		return nil, fmt.Errorf("gateway: bearers of this session are the affair of its PGW, %v", found.up.pgw.Addr)
	}
	return found, nil
}

// owner gives the session of one of a phone's bearers.
func (g *Gateway) owner(imsi id.IMSI, ebi id.EBI) (*session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.ue.imsi != imsi || s.ended || s.bearers[ebi] == nil {
			continue
		}
		if s.up != nil {
			return nil, fmt.Errorf("gateway: bearers of this session are the affair of its PGW, %v", s.up.pgw.Addr)
		}
		return s, nil
	}
	return nil, fmt.Errorf("gateway: %v has no bearer %d here", imsi, ebi)
}

// CreateBearer makes a dedicated bearer and gives the identity that the MME has
// given it. It waits until the phone has answered; a refusal is a
// *gtpc.CauseError.
func (g *Gateway) CreateBearer(ctx context.Context, n NewBearer) (ebi id.EBI, err error) {
	s, err := g.find(n.IMSI, n.Linked)
	if err != nil {
		return 0, err
	}
	err = patiently(ctx, func() error {
		out, _, err := g.makeBearers(ctx, order{s: s}, []offer{{qos: n.QoS, tft: eps.TFT{Operation: eps.TFTCreate, Filters: n.Filters}}})
		if err != nil {
			return err
		}
		g.commit()
		if !out[0].cause.OK() {
			return gtpc.Refuse(out[0].cause, 0, "Create Bearer Response")
		}
		ebi = out[0].b.ebi
		return nil
	})
	return ebi, err
}

// UpdateBearer changes a bearer's quality, or its filters by an operation on them,
// or both; a session's AMBR with its default bearer. What is nil stays.
func (g *Gateway) UpdateBearer(ctx context.Context, imsi id.IMSI, ebi id.EBI, qos *gtpc.QoS, tft *eps.TFT, ambr *gtpc.AMBR) error {
	s, err := g.owner(imsi, ebi)
	if err != nil {
		return err
	}
	return patiently(ctx, func() error {
		out, _, err := g.changeBearers(ctx, order{s: s}, []change{{ebi, qos, tft}}, ambr)
		if err == nil && !out[0].OK() {
			err = gtpc.Refuse(out[0], 0, "Update Bearer Response")
		}
		return err
	})
}

// DeleteBearer ends a dedicated bearer; by its default bearer it ends a session. why is
// told to the phone's MME, such as gtpc.ReactivationRequested; 0: nothing.
func (g *Gateway) DeleteBearer(ctx context.Context, imsi id.IMSI, ebi id.EBI, why gtpc.Cause) error {
	s, err := g.owner(imsi, ebi)
	if err != nil {
		return err
	}
	return patiently(ctx, func() error {
		_, err := g.dropBearers(ctx, order{s: s}, []id.EBI{ebi}, why)
		return err
	})
}

// commit waits until what has changed is stored.
func (g *Gateway) commit() {
	done := make(chan struct{})
	g.mu.Lock()
	waits := g.flush(func() { close(done) })
	g.mu.Unlock()
	if !waits {
		return
	}
	select {
	case <-done:
	case <-g.ctx.Done():
	}
}
