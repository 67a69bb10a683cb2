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
	"slices"
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
	// Waiting says what else the gateway is told with the answer: until when it is not to
	// tell again. It must not block nor call the Client. nil: nothing.
	Waiting func(s *Session, ebi id.EBI) gtpc.Waiting
	// OnGatewayRestart says that the gateway has lost every session of before, or
	// has ended one whose ticket is used up; it must not block nor call the Client.
	// Those sessions are already forgotten here.
	OnGatewayRestart func(lost []*Session)
	// OnBearers is told what the gateway asks about bearers; it answers by Reply,
	// now or later, and must not block. nil refuses, but for the end of a session,
	// which OnGatewayRestart is told.
	OnBearers func(*BearerRequest)
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

	mu      sync.Mutex
	next    id.TEID
	tunnels map[id.TEID]*tunnel // by the MME's TEID
}

// Session is one PDN session at the gateway. Its fields do not change.
type Session struct {
	IMSI    id.IMSI
	EBI     id.EBI
	APN     id.APN
	Address netip.Addr // the phone's IPv4 address; zero for a session of IPv6 only
	IPv6    netip.Addr // its prefix of 64 bits with its interface identifier; zero for IPv4 only
	// SGW is the gateway's end of S1-U, for the eNB.
	SGW FTEID
	// PCO is the gateway's protocol configuration options, contents of the NAS
	// element (TS 24.008 §10.5.6.3) without identifier and length; may be empty.
	PCO  []byte
	AMBR gtpc.AMBR // granted
	QoS  gtpc.QoS  // granted
	// ChargingID names the bearer in records.
	ChargingID uint32
	// Cause is gtpc.Accepted, or gtpc.NewPDNTypePreference or
	// gtpc.NewPDNTypeSingleAddress when IPv4v6 was asked for and one of them granted.
	Cause gtpc.Cause

	tunnel *tunnel
	remote id.TEID // control plane, the gateway's
	peer   netip.AddrPort
	run    uint16 // of the gateway: its restart counter and one, or 0 if it did not tell
}

// FTEID is a user plane tunnel endpoint: address and TEID.
type FTEID struct {
	Addr netip.Addr
	TEID id.TEID
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
	c := &Client{o: o, log: o.Logger, tunnels: make(map[id.TEID]*tunnel)}
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
// and nothing it started is running. With sessions of an earlier run it asks the
// gateway first whether it is the same still.
func (c *Client) Serve(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	if c.Sessions() > 0 {
		asking.Go(func() { _ = c.ep.Echo(ctx, c.o.Gateway) }) // OnGatewayRestart, OnPath
	}
	return c.ep.Serve(ctx)
}

// Close frees the socket of a Client that is not served.
func (c *Client) Close() error { return c.ep.Close() }

// Stats reads the endpoint's counters.
func (c *Client) Stats() gtpc.Stats { return c.ep.Stats() }

// fteid is this endpoint's S11 F-TEID.
func (c *Client) fteid(t id.TEID) *ie.IE {
	return gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: t, Addr: c.ep.LocalAddr().Addr()}.IE(0)
}

// handle answers the gateway's requests.
func (c *Client) handle(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	switch m.Type {
	case gtpc.CreateBearerRequest, gtpc.UpdateBearerRequest:
		return c.bearers(peer, m)
	case gtpc.DeleteBearerRequest:
		if c.o.OnBearers != nil {
			return c.bearers(peer, m)
		}
	case gtpc.DownlinkDataNotification:
	default:
		return nil
	}
	ebi, _ := gtpc.ParseEBI(m.IE(ie.EPSBearerID, 0))
	s := c.session(peer.Addr(), m.TEID, ebi)
	if s == nil {
		return gtpc.New(m.Type.Answer(), 0, gtpc.CauseIE(&gtpc.CauseError{Cause: gtpc.ContextNotFound}))
	}
	if m.Type == gtpc.DeleteBearerRequest {
		c.forget(s)
		c.log.Info("s11: the gateway has ended a session", "imsi", s.IMSI, "peer", peer)
		if c.o.OnGatewayRestart != nil {
			c.o.OnGatewayRestart([]*Session{s})
		}
		return gtpc.New(gtpc.DeleteBearerResponse, s.remote, gtpc.CauseIE(nil), gtpc.EBI(s.EBI))
	}
	if ebi == 0 {
		ebi = s.EBI
	}
	why := gtpc.Cause(0)
	if e := m.IE(ie.Cause, 0); e != nil && len(e.Payload) > 0 {
		why = gtpc.Cause(e.Payload[0])
	}
	cause := gtpc.ServiceDenied
	if c.o.OnDownlinkData != nil {
		cause = c.o.OnDownlinkData(s, ebi, why)
	}
	ies := []*ie.IE{ie.NewCause(uint8(cause), 0, 0, 0, nil)}
	if c.o.Waiting != nil {
		ies = append(ies, c.o.Waiting(s, ebi).IEs()...)
	}
	return gtpc.New(gtpc.DownlinkDataNotificationAck, s.remote, ies...)
}

// restarted forgets what a restarted gateway has lost (TS 23.007 §14.1A.1).
func (c *Client) restarted(peer netip.Addr, _ uint8) {
	var lost []*Session
	c.mu.Lock()
	for _, t := range c.tunnels {
		t.sessions = slices.DeleteFunc(t.sessions, func(s *Session) bool {
			if s.peer.Addr() == peer {
				lost = append(lost, s)
				return true
			}
			return false
		})
		c.tidy(t)
	}
	c.mu.Unlock()
	c.log.Warn("s11: gateway has restarted", "peer", peer, "lost", len(lost))
	if c.o.OnGatewayRestart != nil {
		c.o.OnGatewayRestart(lost)
	}
}
