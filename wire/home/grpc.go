package home

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

// Register serves h. The asker's operator key is the one shown in TLS,
// whatever the request says.
func Register(s grpc.ServiceRegistrar, h Home) { pb.RegisterHomeServer(s, &server{home: h}) }

type server struct {
	pb.UnimplementedHomeServer
	home Home
}

func (s *server) Challenge(ctx context.Context, m *pb.ChallengeRequest) (*pb.ChallengeReply, error) {
	key, err := peertls.PeerKey(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	req, err := challengeRequest(m)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	req.Serving = key
	c, err := s.home.Challenge(ctx, req)
	if err != nil {
		return &pb.ChallengeReply{Refusal: refusal(err)}, nil
	}
	return &pb.ChallengeReply{Id: c.ID[:], Rand: c.RAND[:], Autn: c.AUTN[:], ExpiresUnixMs: c.Expires.UnixMilli(), Realm: c.Realm, Method: uint32(req.Method)}, nil
}

func (s *server) Prove(ctx context.Context, m *pb.ProveRequest) (*pb.ProveReply, error) {
	key, err := peertls.PeerKey(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	req, err := proveRequest(m)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	req.Serving = key
	l, err := s.home.Prove(ctx, req)
	if err != nil {
		return &pb.ProveReply{Refusal: refusal(err)}, nil
	}
	p := l.Profile
	out := &pb.Profile{Msisdn: p.MSISDN.Digits(), Apn: p.APN.String(), Qci: uint32(p.QCI), Arp: uint32(p.ARP), AmbrUl: uint64(p.AMBRUL), AmbrDl: uint64(p.AMBRDL),
		Ipv4: fixed(p.IPv4), Pdn: uint32(p.PDN)}
	for _, a := range p.APNs {
		out.Apns = append(out.Apns, &pb.Apn{Name: a.Name.String(), Qci: uint32(a.QCI), Arp: uint32(a.ARP), AmbrUl: uint64(a.AMBRUL), AmbrDl: uint64(a.AMBRDL),
			Ipv4: fixed(a.IPv4), Pdn: uint32(a.PDN)})
	}
	a := &pb.ProveReply{Ticket: l.Ticket, Profile: out, Method: uint32(l.Method)}
	putKeys(a, l)
	return a, nil
}

func (s *server) Void(ctx context.Context, m *pb.VoidRequest) (*pb.VoidReply, error) {
	key, err := peertls.PeerKey(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	home, ok := s.home.(Voider)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "void: not said here")
	}
	if len(m.Tickets) > MaxVoid {
		return nil, status.Errorf(codes.InvalidArgument, "void: %d tickets, at most %d", len(m.Tickets), MaxVoid)
	}
	req := VoidRequest{Serving: key, Height: m.Height}
	for _, id := range m.Tickets {
		if len(id) != 16 {
			return nil, status.Errorf(codes.InvalidArgument, "void: id of %d octets", len(id))
		}
		req.Tickets = append(req.Tickets, proof.TicketID(id))
	}
	list, err := home.Void(ctx, req)
	if err != nil {
		return &pb.VoidReply{Refusal: refusal(err)}, nil
	}
	a := &pb.VoidReply{}
	for _, v := range list {
		a.Void = append(a.Void, &pb.VoidTicket{Id: v.Ticket[:], Code: uint32(v.Code)})
	}
	return a, nil
}

func refusal(err error) *pb.Refusal {
	r := &pb.Refusal{Code: uint32(CodeOf(err))}
	if e, ok := err.(*Error); ok {
		r.Detail = e.Detail
	}
	return r
}

func challengeRequest(m *pb.ChallengeRequest) (r ChallengeRequest, err error) {
	if r.IMSI, err = id.ParseIMSI(m.Imsi); err != nil {
		return r, err
	}
	if len(m.Plmn) != 3 {
		return r, fmt.Errorf("PLMN of %d octets", len(m.Plmn))
	}
	if r.PLMN, err = id.DecodePLMN([3]byte(m.Plmn)); err != nil {
		return r, err
	}
	if m.Method > uint32(App) {
		return r, fmt.Errorf("method %d is unknown here", m.Method)
	}
	r.Method = Method(m.Method)
	if len(m.ResyncRand)+len(m.ResyncAuts) == 0 {
		return r, nil
	}
	if len(m.ResyncRand) != 16 || len(m.ResyncAuts) != 14 {
		return r, fmt.Errorf("resynchronisation with RAND of %d octets, AUTS of %d", len(m.ResyncRand), len(m.ResyncAuts))
	}
	r.Resync = &Resync{RAND: [16]byte(m.ResyncRand), AUTS: [14]byte(m.ResyncAuts)}
	return r, nil
}

// Client is a Home at the other end of a connection whose credentials are
// peertls'.
type Client struct{ rpc pb.HomeClient }

// NewClient makes a Client of a connection the caller closes.
func NewClient(c grpc.ClientConnInterface) *Client { return &Client{pb.NewHomeClient(c)} }

// Challenge implements Home.
func (c *Client) Challenge(ctx context.Context, r ChallengeRequest) (Challenge, error) {
	plmn := r.PLMN.Octets()
	m := &pb.ChallengeRequest{Imsi: r.IMSI.Digits(), Plmn: plmn[:], Method: uint32(r.Method)}
	if r.Resync != nil {
		m.ResyncRand, m.ResyncAuts = r.Resync.RAND[:], r.Resync.AUTS[:]
	}
	a, err := c.rpc.Challenge(ctx, m)
	if err != nil {
		return Challenge{}, fmt.Errorf("home: %w", err)
	}
	if a.Refusal != nil {
		return Challenge{}, &Error{Code(a.Refusal.Code), a.Refusal.Detail}
	}
	if len(a.Id) != 16 || len(a.Rand) != 16 || len(a.Autn) != 16 {
		return Challenge{}, fmt.Errorf("home: challenge with id of %d octets, RAND of %d, AUTN of %d", len(a.Id), len(a.Rand), len(a.Autn))
	}
	if a.Method != uint32(r.Method) { // a home of before there were methods answers with EPS
		return Challenge{}, &Error{NotSubscribed, fmt.Sprintf("the home does not know method %v", r.Method)}
	}
	return Challenge{ChallengeID(a.Id), [16]byte(a.Rand), [16]byte(a.Autn), a.Realm, time.UnixMilli(a.ExpiresUnixMs)}, nil
}

// Prove implements Home.
func (c *Client) Prove(ctx context.Context, r ProveRequest) (Lease, error) {
	a, err := c.rpc.Prove(ctx, proveMessage(r))
	if err != nil {
		return Lease{}, fmt.Errorf("home: %w", err)
	}
	if a.Refusal != nil {
		return Lease{}, &Error{Code(a.Refusal.Code), a.Refusal.Detail}
	}
	l, err := takeKeys(a)
	if err != nil {
		return Lease{}, err
	}
	if a.Profile == nil {
		return Lease{}, errors.New("home: answer without a profile")
	}
	if l.Profile, err = profile(a.Profile); err != nil {
		return Lease{}, fmt.Errorf("home: profile: %w", err)
	}
	return l, nil
}

// Void implements Voider.
func (c *Client) Void(ctx context.Context, r VoidRequest) ([]Voided, error) {
	m := &pb.VoidRequest{Height: r.Height}
	asked := map[proof.TicketID]bool{}
	for _, id := range r.Tickets {
		m.Tickets = append(m.Tickets, id[:])
		asked[id] = true
	}
	a, err := c.rpc.Void(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("home: %w", err)
	}
	if a.Refusal != nil {
		return nil, &Error{Code(a.Refusal.Code), a.Refusal.Detail}
	}
	var list []Voided
	for _, v := range a.Void {
		if len(v.Id) != 16 || !asked[proof.TicketID(v.Id)] {
			return nil, errors.New("home: void: a ticket that was not asked about")
		}
		list = append(list, Voided{proof.TicketID(v.Id), Code(v.Code)})
	}
	return list, nil
}

func profile(m *pb.Profile) (p Profile, err error) {
	if m.Msisdn != "" {
		if p.MSISDN, err = id.ParseMSISDN(m.Msisdn); err != nil {
			return p, err
		}
	}
	first, err := accessPoint(&pb.Apn{Name: m.Apn, Qci: m.Qci, Arp: m.Arp, AmbrUl: m.AmbrUl, AmbrDl: m.AmbrDl, Ipv4: m.Ipv4, Pdn: m.Pdn})
	if err != nil {
		return p, err
	}
	p.APN, p.QCI, p.ARP, p.AMBRUL, p.AMBRDL, p.IPv4, p.PDN = first.Name, first.QCI, first.ARP, first.AMBRUL, first.AMBRDL, first.IPv4, first.PDN
	if len(m.Apns) > MaxAPNs {
		return p, fmt.Errorf("%d further APNs, at most %d", len(m.Apns), MaxAPNs)
	}
	for _, x := range m.Apns {
		a, err := accessPoint(x)
		if err != nil {
			return p, err
		}
		p.APNs = append(p.APNs, a)
	}
	return p, nil
}

func accessPoint(m *pb.Apn) (a APN, err error) {
	if a.Name, err = id.ParseAPN(m.Name); err != nil {
		return a, err
	}
	if m.Qci == 0 || m.Qci > 254 || m.Arp == 0 || m.Arp > 15 || m.Pdn > uint32(PDNEither) {
		return a, fmt.Errorf("APN %v: QCI %d, ARP %d, PDN type %d", a.Name, m.Qci, m.Arp, m.Pdn)
	}
	a.QCI, a.ARP, a.AMBRUL, a.AMBRDL, a.PDN = id.QCI(m.Qci), uint8(m.Arp), id.BitRate(m.AmbrUl), id.BitRate(m.AmbrDl), PDNType(m.Pdn)
	if len(m.Ipv4) != 0 {
		if len(m.Ipv4) != 4 {
			return a, fmt.Errorf("IPv4 address of %d octets", len(m.Ipv4))
		}
		a.IPv4 = netip.AddrFrom4([4]byte(m.Ipv4))
	}
	return a, nil
}

// fixed is an address on the wire, empty for none.
func fixed(a netip.Addr) []byte {
	if !a.Is4() {
		return nil
	}
	return a.AsSlice()
}
