package s11

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// CreateSession is what a Create Session Request says.
type CreateSession struct {
	IMSI    id.IMSI
	MSISDN  id.MSISDN // may be none
	IMEI    id.IMEI   // may be none
	APN     id.APN
	PDNType uint8 // gtpc.PDNIPv4, PDNIPv6 or PDNIPv4v6
	EBI     id.EBI
	QCI     id.QCI
	ARP     gtpc.ARP
	AMBR    gtpc.AMBR
	TAI     id.TAI
	ECGI    id.ECGI
	Address gtpc.Address // asked for, of PDNType; zero: any
	PCO     []byte       // contents of the phone's NAS element, may be empty
	Ticket  []byte       // the home's, signed; may be empty

	// Beside is another session of the phone, whose control tunnel this one
	// shares; without it whatever the gateway has of the phone ends.
	Beside *Session
}

// ModifyBearer is what a Modify Bearer Request says.
type ModifyBearer struct {
	ENB       FTEID    // the eNB's end of the default bearer
	Dedicated []Tunnel // and of other bearers of the session
	Segment   []byte   // the MME's, signed; empty leaves the segment open as it is
	Ticket    []byte   // only when the ticket was renewed; Segment is then of the new one
}

// Tunnel is the eNB's end of a bearer.
type Tunnel struct {
	EBI id.EBI
	ENB FTEID
}

// Create asks for a PDN session (TS 29.274 §7.2.1). A refusal is a
// *gtpc.CauseError; other errors are those of gtpc's Request. When it fails,
// nothing stays behind here.
func (c *Client) Create(ctx context.Context, r CreateSession) (*Session, error) {
	private, err := gtpc.Private{Ticket: r.Ticket}.IE()
	if err != nil {
		return nil, fmt.Errorf("s11: %w", err)
	}
	t, remote := c.reserve(r.Beside), id.TEID(0)
	if r.Beside != nil && t == r.Beside.tunnel {
		remote = r.Beside.remote
	}
	var pco *ie.IE
	if len(r.PCO) > 0 {
		pco = ie.New(ie.ProtocolConfigurationOptions, 0, r.PCO)
	}
	if r.Address == (gtpc.Address{}) {
		r.Address = gtpc.Any(r.PDNType)
	}
	var dual *ie.IE // all eNBs and MMEs have both addresses on one bearer (TS 29.274 §8.12, DAF)
	if r.PDNType == gtpc.PDNIPv4v6 {
		dual = ie.New(ie.Indication, 0, []byte{0x80, 0})
	}
	res, err := c.ep.Request(ctx, c.o.Gateway, gtpc.New(gtpc.CreateSessionRequest, remote,
		gtpc.IMSIIE(r.IMSI), gtpc.MSISDNIE(r.MSISDN), gtpc.MEI(r.IMEI), gtpc.ULI(r.TAI, r.ECGI), gtpc.ServingNetwork(r.TAI.PLMN),
		ie.New(ie.RATType, 0, []byte{gtpc.RATEUTRAN}), c.fteid(t.local),
		gtpc.FTEID{Interface: gtpc.IfS5PGWC, Addr: c.o.Gateway.Addr()}.IE(1),
		dual, gtpc.APNIE(r.APN), ie.New(ie.SelectionMode, 0, []byte{0}), ie.New(ie.PDNType, 0, []byte{r.PDNType}),
		r.Address.IE(), ie.New(ie.APNRestriction, 0, []byte{0}), r.AMBR.IE(), pco,
		gtpc.BearerContext(0, gtpc.EBI(r.EBI), gtpc.QoS{ARP: r.ARP, QCI: r.QCI}.IE()),
		c.ep.Recovery(), private))
	var s *Session
	if err == nil {
		s, err = created(r, res)
	}
	c.opened(t, s)
	if err != nil {
		return nil, fmt.Errorf("s11: %w", err)
	}
	return s, nil
}

// created reads a Create Session Response (TS 29.274 §7.2.2).
func created(r CreateSession, m *gtpc.Message) (s *Session, err error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	s = &Session{IMSI: r.IMSI, EBI: r.EBI, APN: r.APN, AMBR: r.AMBR, QoS: gtpc.QoS{ARP: r.ARP, QCI: r.QCI}}
	s.Cause = gtpc.Cause(m.IE(ie.Cause, 0).Payload[0])
	control, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0))
	if err != nil {
		return nil, err
	}
	s.remote, s.peer = control.TEID, netip.AddrPortFrom(control.Addr, gtpc.Port)
	if e := m.IE(ie.Recovery, 0); e != nil && len(e.Payload) > 0 {
		s.run = uint16(e.Payload[0]) + 1
	}
	address, err := gtpc.ParseAddress(m.IE(ie.PDNAddressAllocation, 0))
	if err != nil {
		return nil, err
	}
	s.Address, s.IPv6 = address.IPv4, address.IPv6
	bearer, err := m.FindBearer(0, r.EBI)
	if err != nil {
		return nil, err
	}
	if err := gtpc.CheckCause(bearer, "bearer context"); err != nil {
		return nil, err
	}
	user, err := gtpc.ParseFTEID(gtpc.Find(bearer, ie.FullyQualifiedTEID, 0))
	if err != nil {
		return nil, err
	}
	s.SGW = FTEID{user.Addr, user.TEID}
	if e := gtpc.Find(bearer, ie.BearerQoS, 0); e != nil {
		if s.QoS, err = gtpc.ParseQoS(e); err != nil {
			return nil, err
		}
	}
	if e := gtpc.Find(bearer, ie.ChargingID, 0); e != nil {
		s.ChargingID, _ = e.ChargingID()
	}
	if e := m.IE(ie.AggregateMaximumBitRate, 0); e != nil {
		if s.AMBR, err = gtpc.ParseAMBR(e); err != nil {
			return nil, err
		}
	}
	if e := m.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		s.PCO = append([]byte(nil), e.Payload...)
	}
	return s, nil
}

// Modify gives the session's bearers the eNB's tunnel ends; packets that waited
// begin to flow (TS 29.274 §7.2.7). The errors are Create's, and *BearersGone.
func (c *Client) Modify(ctx context.Context, s *Session, m ModifyBearer) error {
	private, err := gtpc.Private{Ticket: m.Ticket, Segment: m.Segment}.IE()
	if err != nil {
		return fmt.Errorf("s11: %w", err)
	}
	ies := []*ie.IE{Tunnel{s.EBI, m.ENB}.context()}
	for _, t := range m.Dedicated {
		ies = append(ies, t.context())
	}
	res, err := c.answered(ctx, s, gtpc.New(gtpc.ModifyBearerRequest, s.remote, append(ies, private)...))
	if err != nil {
		return err
	}
	if b, err := res.FindBearer(0, s.EBI); err == nil {
		if err := gtpc.CheckCause(b, "bearer context"); err != nil {
			return fmt.Errorf("s11: %w", err)
		}
	}
	var gone []id.EBI
	for _, t := range m.Dedicated {
		if b, err := res.FindBearer(0, t.EBI); err == nil && gtpc.CheckCause(b, "bearer context") != nil {
			gone = append(gone, t.EBI)
		}
	}
	if gone != nil {
		return &BearersGone{gone}
	}
	return nil
}

// BearersGone says that a gateway has accepted a request for all but these
// dedicated bearers, which it does not have.
type BearersGone struct{ EBIs []id.EBI }

func (e *BearersGone) Error() string {
	return fmt.Sprintf("s11: the gateway has no bearers %v", e.EBIs)
}

func (t Tunnel) context() *ie.IE {
	return gtpc.BearerContext(0, gtpc.EBI(t.EBI), gtpc.FTEID{Interface: gtpc.IfS1UeNB, TEID: t.ENB.TEID, Addr: t.ENB.Addr}.IE(0))
}

// Release takes the eNB's tunnel ends of all the phone's sessions away: it is
// idle (TS 29.274
// §7.2.21).
func (c *Client) Release(ctx context.Context, s *Session) error {
	return c.ask(ctx, s, gtpc.New(gtpc.ReleaseAccessBearersRequest, s.remote))
}

// Delete ends the session (TS 29.274 §7.2.9). A gateway that has no such
// session counts as success. Whatever the outcome, the session is forgotten
// here: a gateway that did not hear it learns by the phone's next attach.
func (c *Client) Delete(ctx context.Context, s *Session) error {
	defer c.forget(s)
	err := c.ask(ctx, s, gtpc.New(gtpc.DeleteSessionRequest, s.remote, gtpc.EBI(s.EBI), ie.New(ie.Indication, 0, []byte{0x08, 0})))
	if ce, ok := errors.AsType[*gtpc.CauseError](err); ok && ce.Cause == gtpc.ContextNotFound {
		return nil
	}
	return err
}

// PagingFailed tells the gateway that the phone did not answer pages, so that
// it throws away what waits (TS 29.274 §7.2.11.3). Nothing answers.
func (c *Client) PagingFailed(s *Session) error {
	return c.ep.Send(s.peer, gtpc.New(gtpc.DownlinkDataNotFailure, s.remote,
		gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.UnableToPageUE})))
}

func (c *Client) ask(ctx context.Context, s *Session, m *gtpc.Message) error {
	_, err := c.answered(ctx, s, m)
	return err
}

func (c *Client) answered(ctx context.Context, s *Session, m *gtpc.Message) (*gtpc.Message, error) {
	res, err := c.ep.Request(ctx, s.peer, m)
	if err == nil {
		err = res.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("s11: %w", err)
	}
	return res, nil
}
