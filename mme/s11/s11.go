// Package s11 is the MME's side of S11 (TS 29.274): it asks a gateway for PDN
// sessions, moves and releases their bearers, and hears of downlink data for
// idle phones. It keeps which session has which tunnel and nothing about the
// phone; when to call what is the MME's affair.
package s11

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Options for New; zero values give the defaults named.
type Options struct {
	// Local address of S11; port 0 means 2123. Conn replaces the socket.
	Local netip.AddrPort
	Conn  gtpc.PacketConn
	// Gateway's S11 address; port 0 means 2123. Required.
	Gateway netip.AddrPort
	// RestartCounter tells the gateway that this is another run: it must differ
	// from the last run's (TS 23.007 §16.1A.1).
	RestartCounter uint8
	// T3 and N3 of gtpc: 3 s and 3.
	T3 time.Duration
	N3 int
	// EchoEvery of gtpc: 60 s; negative sends none.
	EchoEvery time.Duration
	// OnDownlinkData says that packets wait for an idle phone, so that it may be
	// paged; answer gtpc.Accepted, or the cause for which it cannot be
	// (gtpc.UnableToPageUE, gtpc.ContextNotFound ...). It must not block nor call
	// the Client. nil refuses.
	OnDownlinkData func(s *Session, ebi id.EBI, why gtpc.Cause) gtpc.Cause
	// OnGatewayRestart says that the gateway has lost every session of before, or
	// has ended one whose ticket is used up; it must not block nor call the Client.
	// Those sessions are already forgotten here.
	OnGatewayRestart func(lost []*Session)
	// OnPath says that the gateway stopped or began again to answer.
	OnPath func(up bool)
	// Logger; required.
	Logger *slog.Logger
}

// Client is an MME's S11 endpoint towards one gateway.
type Client struct {
	o   Options
	ep  *gtpc.Endpoint
	log *slog.Logger

	mu       sync.Mutex
	next     id.TEID
	sessions map[id.TEID]*Session // by the MME's TEID
}

// Session is one PDN session at the gateway. Its fields do not change.
type Session struct {
	IMSI    id.IMSI
	EBI     id.EBI
	APN     id.APN
	Address netip.Addr // the phone's
	// SGW is the gateway's end of S1-U, for the eNB.
	SGW FTEID
	// PCO is the gateway's protocol configuration options, contents of the NAS
	// element (TS 24.008 §10.5.6.3) without identifier and length; may be empty.
	PCO  []byte
	AMBR gtpc.AMBR // granted
	QoS  gtpc.QoS  // granted
	// ChargingID names the bearer in records.
	ChargingID uint32
	// Cause is gtpc.Accepted, or gtpc.NewPDNTypePreference when IPv4v6 was asked
	// for and IPv4 granted.
	Cause gtpc.Cause

	local, remote id.TEID // control plane
	peer          netip.AddrPort
}

// FTEID is a user plane tunnel endpoint: address and TEID.
type FTEID struct {
	Addr netip.Addr
	TEID id.TEID
}

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
	PCO     []byte // contents of the phone's NAS element, may be empty
	Ticket  []byte // the home's, signed; may be empty
}

// ModifyBearer is what a Modify Bearer Request says.
type ModifyBearer struct {
	ENB     FTEID  // the eNB's end of S1-U
	Segment []byte // the MME's, signed; empty leaves the segment open as it is
	Ticket  []byte // only when the ticket was renewed; Segment is then of the new one
}

// New binds the endpoint; Serve makes it live.
func New(o Options) (*Client, error) {
	if o.Logger == nil {
		return nil, errors.New("s11: Options need a Logger")
	}
	if !o.Gateway.IsValid() {
		return nil, errors.New("s11: Options name no Gateway")
	}
	if o.Gateway.Port() == 0 {
		o.Gateway = netip.AddrPortFrom(o.Gateway.Addr(), gtpc.Port)
	}
	c := &Client{o: o, log: o.Logger, sessions: make(map[id.TEID]*Session)}
	ep, err := gtpc.NewEndpoint(gtpc.Options{
		Local: o.Local, Conn: o.Conn, RestartCounter: o.RestartCounter, T3: o.T3, N3: o.N3, EchoEvery: o.EchoEvery, Logger: o.Logger,
		Handler: gtpc.HandlerFunc(c.handle), OnPeerRestart: c.restarted,
		OnPath: func(a netip.Addr, up bool) {
			if o.OnPath != nil && a == o.Gateway.Addr() {
				o.OnPath(up)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("s11: %w", err)
	}
	c.ep = ep
	ep.Watch(o.Gateway.Addr())
	return c, nil
}

// Serve runs the endpoint until ctx ends; then requests in flight have failed
// and nothing it started is running.
func (c *Client) Serve(ctx context.Context) error { return c.ep.Serve(ctx) }

// Close frees the socket of a Client that is not served.
func (c *Client) Close() error { return c.ep.Close() }

// Stats reads the endpoint's counters.
func (c *Client) Stats() gtpc.Stats { return c.ep.Stats() }

// Sessions is the number of sessions open.
func (c *Client) Sessions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

// reserve gives a control plane TEID nobody has.
func (c *Client) reserve() id.TEID {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		c.next++
		if _, taken := c.sessions[c.next]; c.next != 0 && !taken {
			c.sessions[c.next] = nil
			return c.next
		}
	}
}

func (c *Client) forget(t id.TEID) {
	c.mu.Lock()
	delete(c.sessions, t)
	c.mu.Unlock()
}

// fteid is this endpoint's S11 F-TEID.
func (c *Client) fteid(t id.TEID) *ie.IE {
	return gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: t, Addr: c.ep.LocalAddr().Addr()}.IE(0)
}

// Create asks for a PDN session (TS 29.274 §7.2.1). A refusal is a
// *gtpc.CauseError; other errors are those of gtpc's Request. When it fails,
// nothing stays behind here.
func (c *Client) Create(ctx context.Context, r CreateSession) (*Session, error) {
	private, err := gtpc.Private{Ticket: r.Ticket}.IE()
	if err != nil {
		return nil, fmt.Errorf("s11: %w", err)
	}
	local := c.reserve()
	var pco *ie.IE
	if len(r.PCO) > 0 {
		pco = ie.New(ie.ProtocolConfigurationOptions, 0, r.PCO)
	}
	res, err := c.ep.Request(ctx, c.o.Gateway, gtpc.New(gtpc.CreateSessionRequest, 0,
		gtpc.IMSIIE(r.IMSI), gtpc.MSISDNIE(r.MSISDN), gtpc.MEI(r.IMEI), gtpc.ULI(r.TAI, r.ECGI), gtpc.ServingNetwork(r.TAI.PLMN),
		ie.New(ie.RATType, 0, []byte{gtpc.RATEUTRAN}), c.fteid(local),
		gtpc.FTEID{Interface: gtpc.IfS5PGWC, Addr: c.o.Gateway.Addr()}.IE(1),
		gtpc.APNIE(r.APN), ie.New(ie.SelectionMode, 0, []byte{0}), ie.New(ie.PDNType, 0, []byte{r.PDNType}),
		gtpc.PAA(netip.IPv4Unspecified()), ie.New(ie.APNRestriction, 0, []byte{0}), r.AMBR.IE(), pco,
		gtpc.BearerContext(0, gtpc.EBI(r.EBI), gtpc.QoS{ARP: r.ARP, QCI: r.QCI}.IE()),
		c.ep.Recovery(), private))
	if err == nil {
		var s *Session
		if s, err = created(r, res); err == nil {
			s.local = local
			c.mu.Lock()
			c.sessions[local] = s
			c.mu.Unlock()
			return s, nil
		}
	}
	c.forget(local)
	return nil, fmt.Errorf("s11: %w", err)
}

// created reads a Create Session Response (TS 29.274 §7.2.2).
func created(r CreateSession, m *gtpc.Message) (*Session, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	s := &Session{IMSI: r.IMSI, EBI: r.EBI, APN: r.APN, AMBR: r.AMBR, QoS: gtpc.QoS{ARP: r.ARP, QCI: r.QCI}}
	s.Cause = gtpc.Cause(m.IE(ie.Cause, 0).Payload[0])
	control, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0))
	if err != nil {
		return nil, err
	}
	s.remote, s.peer = control.TEID, netip.AddrPortFrom(control.Addr, gtpc.Port)
	if s.Address, err = gtpc.ParsePAA(m.IE(ie.PDNAddressAllocation, 0)); err != nil {
		return nil, err
	}
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

// Modify gives the session's default bearer the eNB's tunnel end; packets that
// waited begin to flow (TS 29.274 §7.2.7). The errors are Create's.
func (c *Client) Modify(ctx context.Context, s *Session, m ModifyBearer) error {
	private, err := gtpc.Private{Ticket: m.Ticket, Segment: m.Segment}.IE()
	if err != nil {
		return fmt.Errorf("s11: %w", err)
	}
	return c.ask(ctx, s, gtpc.New(gtpc.ModifyBearerRequest, s.remote,
		gtpc.BearerContext(0, gtpc.EBI(s.EBI), gtpc.FTEID{Interface: gtpc.IfS1UeNB, TEID: m.ENB.TEID, Addr: m.ENB.Addr}.IE(0)), private))
}

// Release takes the eNB's tunnel ends away: the phone is idle (TS 29.274
// §7.2.21).
func (c *Client) Release(ctx context.Context, s *Session) error {
	return c.ask(ctx, s, gtpc.New(gtpc.ReleaseAccessBearersRequest, s.remote))
}

// Delete ends the session (TS 29.274 §7.2.9). A gateway that has no such
// session counts as success. Whatever the outcome, the session is forgotten
// here: a gateway that did not hear it learns by the phone's next attach.
func (c *Client) Delete(ctx context.Context, s *Session) error {
	defer c.forget(s.local)
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
	res, err := c.ep.Request(ctx, s.peer, m)
	if err == nil {
		err = res.Check()
	}
	if err != nil {
		return fmt.Errorf("s11: %w", err)
	}
	return nil
}

// handle answers the gateway's requests.
func (c *Client) handle(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	if m.Type != gtpc.DownlinkDataNotification && m.Type != gtpc.DeleteBearerRequest {
		return nil
	}
	c.mu.Lock()
	s := c.sessions[m.TEID]
	known := s != nil && s.peer.Addr() == peer.Addr()
	if known && m.Type == gtpc.DeleteBearerRequest { // the session's only bearer
		delete(c.sessions, m.TEID)
	}
	c.mu.Unlock()
	if !known {
		return gtpc.New(m.Type.Answer(), 0, gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.ContextNotFound}))
	}
	if m.Type == gtpc.DeleteBearerRequest {
		c.log.Info("s11: the gateway has ended a session", "imsi", s.IMSI, "peer", peer)
		if c.o.OnGatewayRestart != nil {
			c.o.OnGatewayRestart([]*Session{s})
		}
		return gtpc.New(gtpc.DeleteBearerResponse, s.remote, gtpc.CauseIE(nil), gtpc.EBI(s.EBI))
	}
	ebi, why := s.EBI, gtpc.Cause(0)
	if v, err := gtpc.ParseEBI(m.IE(ie.EPSBearerID, 0)); err == nil {
		ebi = v
	}
	if e := m.IE(ie.Cause, 0); e != nil && len(e.Payload) > 0 {
		why = gtpc.Cause(e.Payload[0])
	}
	cause := gtpc.ServiceDenied
	if c.o.OnDownlinkData != nil {
		cause = c.o.OnDownlinkData(s, ebi, why)
	}
	return gtpc.New(gtpc.DownlinkDataNotificationAck, s.remote, ie.NewCause(uint8(cause), 0, 0, 0, nil))
}

// restarted forgets what a restarted gateway has lost (TS 23.007 §14.1A.1).
func (c *Client) restarted(peer netip.Addr, _ uint8) {
	var lost []*Session
	c.mu.Lock()
	for t, s := range c.sessions {
		if s != nil && s.peer.Addr() == peer {
			delete(c.sessions, t)
			lost = append(lost, s)
		}
	}
	c.mu.Unlock()
	c.log.Warn("s11: gateway has restarted", "peer", peer, "lost", len(lost))
	if c.o.OnGatewayRestart != nil {
		c.o.OnGatewayRestart(lost)
	}
}
