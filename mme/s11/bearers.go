package s11

import (
	"context"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// BearerRequest is what a gateway asks about the bearers of a phone: a Create,
// Update or Delete Bearer Request (TS 29.274 §7.2.3, §7.2.15, §7.2.9.2).
type BearerRequest struct {
	Type    gtpc.Type
	Session *Session // whose default bearer is Linked; else some session of the phone
	PTI     eps.PTI  // of the phone's request that led to this; 0 for none
	Linked  id.EBI   // Create: to whose PDN connection; Delete: the one that ends, or 0
	Bearers []BearerContext
	AMBR    *gtpc.AMBR // Update: of the session
	PCO     []byte     // for the phone; may be empty
	Cause   gtpc.Cause // Delete: why, or 0

	// Reply answers; it is to be called once, by any goroutine.
	Reply func(BearerAnswer)
}

// BearerContext is one bearer in a BearerRequest. Delete says EBI only.
type BearerContext struct {
	EBI        id.EBI // 0 in Create
	TFT        *eps.TFT
	QoS        *gtpc.QoS
	SGW        FTEID // Create: the gateway's end of S1-U
	ChargingID uint32
	PCO        []byte
}

// BearerAnswer is how a BearerRequest ended: a cause for all, and in the order of
// the request one for each bearer.
type BearerAnswer struct {
	Cause   gtpc.Cause
	Bearers []BearerOutcome
	PCO     []byte // the phone's; may be empty
}

// BearerOutcome is how it ended for one bearer.
type BearerOutcome struct {
	EBI   id.EBI
	Cause gtpc.Cause
	ENB   FTEID // of a bearer that was created
}

// bearers takes a gateway's request of bearers: it is answered at once if it is
// of nobody or malformed, else by whom OnBearers tells.
func (c *Client) bearers(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	r, err := parseBearers(m)
	s := c.session(peer.Addr(), m.TEID, r.Linked)
	if s == nil {
		return gtpc.New(m.Type.Answer(), 0, gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.ContextNotFound}))
	}
	switch {
	case err != nil:
	case r.Linked != 0 && r.Linked != s.EBI:
		err = gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "the phone has no default bearer %d", r.Linked)
	case c.o.OnBearers == nil:
		err = gtpc.Refuse(gtpc.ServiceNotSupported, 0, "nobody hears of bearers")
	}
	if err != nil {
		c.log.Info("s11: bearer request refused", "type", m.Type, "imsi", s.IMSI, "err", err)
		return gtpc.New(m.Type.Answer(), s.remote, gtpc.CauseIE(err))
	}
	r.Session = s
	r.Reply = func(a BearerAnswer) {
		if m.Type == gtpc.DeleteBearerRequest && r.Linked != 0 && a.Cause.OK() {
			c.forget(s)
		}
		c.ep.Answer(peer, m, answerBearers(r, a))
	}
	c.o.OnBearers(r)
	return gtpc.Held()
}

// parseBearers reads a request; what names the session is read first.
func parseBearers(m *gtpc.Message) (*BearerRequest, error) {
	r := &BearerRequest{Type: m.Type, PTI: eps.PTI(gtpc.ParsePTI(m.IE(ie.ProcedureTransactionID, 0)))}
	if e := m.IE(ie.EPSBearerID, 0); e != nil {
		var err error
		if r.Linked, err = gtpc.ParseEBI(e); err != nil {
			return r, err
		}
	}
	if e := m.IE(ie.Cause, 0); e != nil && len(e.Payload) > 0 {
		r.Cause = gtpc.Cause(e.Payload[0])
	}
	if e := m.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		r.PCO = e.Payload
	}
	if e := m.IE(ie.AggregateMaximumBitRate, 0); e != nil {
		a, err := gtpc.ParseAMBR(e)
		if err != nil {
			return r, err
		}
		r.AMBR = &a
	}
	if m.Type == gtpc.DeleteBearerRequest {
		named, err := gtpc.LinkedEBI(m.IEs, 1)
		for _, ebi := range named {
			r.Bearers = append(r.Bearers, BearerContext{EBI: ebi})
		}
		if err == nil && r.Linked == 0 && len(named) == 0 {
			err = gtpc.Refuse(gtpc.ConditionalIEMissing, ie.EPSBearerID, "no bearer is named")
		}
		return r, err
	}
	for _, e := range m.IEs {
		if e.Type != ie.BearerContext || e.Instance() != 0 {
			continue
		}
		b, err := parseBearer(m.Type, e.ChildIEs)
		if err != nil {
			return r, err
		}
		r.Bearers = append(r.Bearers, b)
	}
	switch {
	case len(r.Bearers) == 0:
		return r, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context")
	case m.Type == gtpc.CreateBearerRequest && r.Linked == 0:
		return r, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.EPSBearerID, "no linked bearer")
	}
	return r, nil
}

// parseBearer reads a bearer context: what a Create must have, an Update may.
func parseBearer(t gtpc.Type, ies []*ie.IE) (b BearerContext, err error) {
	created := t == gtpc.CreateBearerRequest
	if !created {
		if b.EBI, err = gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0)); err != nil {
			return b, err
		}
	}
	if e := gtpc.Find(ies, ie.BearerTFT, 0); e != nil {
		tft, err := eps.ParseTFT(e.Payload)
		if err != nil {
			return b, gtpc.Refuse(gtpc.TFTSyntax, ie.BearerTFT, "%v", err)
		}
		b.TFT = &tft
	} else if created {
		return b, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerTFT, "no TFT")
	}
	if e := gtpc.Find(ies, ie.BearerQoS, 0); e != nil || created {
		q, err := gtpc.ParseQoS(e)
		if err != nil {
			return b, err
		}
		b.QoS = &q
	}
	if created {
		f, err := gtpc.ParseFTEID(gtpc.Find(ies, ie.FullyQualifiedTEID, 0))
		if err != nil {
			return b, err
		}
		b.SGW = FTEID{f.Addr, f.TEID}
		b.ChargingID = gtpc.ParseChargingID(gtpc.Find(ies, ie.ChargingID, 0))
	}
	if e := gtpc.Find(ies, ie.ProtocolConfigurationOptions, 0); e != nil {
		b.PCO = e.Payload
	}
	return b, nil
}

// answerBearers makes the response (TS 29.274 §7.2.4, §7.2.16, §7.2.10.2).
func answerBearers(r *BearerRequest, a BearerAnswer) *gtpc.Message {
	ies := []*ie.IE{ie.NewCause(uint8(a.Cause), 0, 0, 0, nil)}
	if r.Type == gtpc.DeleteBearerRequest && r.Linked != 0 {
		ies = append(ies, gtpc.EBI(r.Linked))
	}
	for i, b := range a.Bearers {
		parts := []*ie.IE{gtpc.EBI(b.EBI), ie.NewCause(uint8(b.Cause), 0, 0, 0, nil)}
		if r.Type == gtpc.CreateBearerRequest {
			if b.ENB.Addr.IsValid() {
				parts = append(parts, gtpc.FTEID{Interface: gtpc.IfS1UeNB, TEID: b.ENB.TEID, Addr: b.ENB.Addr}.IE(0))
			}
			parts = append(parts, gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: r.Bearers[i].SGW.TEID, Addr: r.Bearers[i].SGW.Addr}.IE(1))
		}
		ies = append(ies, gtpc.BearerContext(0, parts...))
	}
	if len(a.PCO) > 0 {
		ies = append(ies, ie.New(ie.ProtocolConfigurationOptions, 0, a.PCO))
	}
	return gtpc.New(r.Type.Answer(), r.Session.remote, ies...)
}

// ResourceRequest is what a phone asks of its bearers: a Bearer Resource Command
// (TS 29.274 §7.2.5).
type ResourceRequest struct {
	PTI eps.PTI
	EBI id.EBI    // of the bearer that is to change; 0 asks for another
	QoS *gtpc.QoS // what the flows need; ARP does not count
	TAD eps.TFT   // the flows: traffic aggregate description
}

// Resources passes on what a phone asks of the bearers of a session. It returns
// when the gateway's request to create, change or delete a bearer has come, which
// OnBearers tells; or with its refusal, a *gtpc.CauseError.
func (c *Client) Resources(ctx context.Context, s *Session, r ResourceRequest) error {
	m := gtpc.New(gtpc.BearerResourceCommand, s.remote, gtpc.EBI(s.EBI), gtpc.PTI(uint8(r.PTI)))
	if r.QoS != nil {
		m.IEs = append(m.IEs, r.QoS.FlowQoS())
	}
	m.IEs = append(m.IEs, ie.New(ie.TrafficAggregateDescription, 0, r.TAD.AppendTo(nil)), ie.New(ie.RATType, 0, []byte{gtpc.RATEUTRAN}))
	if r.EBI != 0 {
		m.IEs = append(m.IEs, ie.New(ie.EPSBearerID, 1, []byte{byte(r.EBI)}))
	}
	return c.command(ctx, s, m)
}

// Drop tells the gateway that dedicated bearers are no more, such as by the eNB's
// doing; its Delete Bearer Request follows (TS 29.274 §7.2.17.1).
func (c *Client) Drop(ctx context.Context, s *Session, ebis []id.EBI) error {
	m := gtpc.New(gtpc.DeleteBearerCommand, s.remote)
	for _, ebi := range ebis {
		m.IEs = append(m.IEs, gtpc.BearerContext(0, gtpc.EBI(ebi)))
	}
	return c.command(ctx, s, m)
}

func (c *Client) command(ctx context.Context, s *Session, m *gtpc.Message) error {
	res, err := c.ep.Command(ctx, s.peer, m)
	if err == nil && res.Type == m.Type.Answer() {
		if err = res.Check(); err == nil {
			err = gtpc.Refuse(gtpc.RequestRejected, 0, "%v without a cause", res.Type)
		}
	}
	if err != nil {
		return fmt.Errorf("s11: %w", err)
	}
	return nil
}
