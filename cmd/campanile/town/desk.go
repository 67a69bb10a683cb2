package town

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/gtpc"
)

// GatewayView is what a gateway says of itself to its operator.
type GatewayView struct {
	DataPath     string            `json:"data_path"`
	NotBetter    []string          `json:"not_better,omitempty"` // why faster data paths do not run
	Fast         *FastView         `json:"fast,omitempty"`       // data path xdp
	Sessions     int               `json:"sessions"`
	Phones       int               `json:"phones"`
	Dedicated    int               `json:"dedicated_bearers"`
	Remote       int               `json:"roaming_sessions"`
	Restored     int               `json:"restored"`
	Pools        []PoolView        `json:"pools"`
	ULPackets    uint64            `json:"ul_packets"`
	DLPackets    uint64            `json:"dl_packets"`
	Buffered     int               `json:"buffered_packets"`
	Flows        int               `json:"flows"`
	Dropped      map[string]uint64 `json:"dropped"`
	Refused      map[string]uint64 `json:"refused"`
	NotTold      map[string]uint64 `json:"not_paged"`
	Unreported   int               `json:"unreported"`
	Lost         uint64            `json:"lost_records"`
	StoreFailing string            `json:"store_failing,omitempty"`
	Services     []ServiceView     `json:"services"`
	At           time.Time         `json:"at"`
	List         []SessionView     `json:"list,omitempty"`
	More         int               `json:"more,omitempty"` // sessions that are not listed
}

// PoolView is an access point and its addresses.
type PoolView struct {
	APN  string `json:"apn"`
	Used int    `json:"ipv4_used"`
	Of   int    `json:"ipv4"`
	Six  int    `json:"ipv6_used"`
	Of6  int    `json:"ipv6"`
}

// SessionView is a session and its bearers.
type SessionView struct {
	Number  uint64       `json:"number"`
	IMSI    string       `json:"imsi"`
	APN     string       `json:"apn"`
	Address netip.Addr   `json:"address"`
	IPv6    netip.Addr   `json:"ipv6,omitzero"`
	SGW     netip.Addr   `json:"sgw,omitzero"`
	PGW     netip.Addr   `json:"pgw,omitzero"`
	Settled bool         `json:"settled"`
	Since   time.Time    `json:"since"`
	Charged uint64       `json:"charged"`
	Quota   *uint64      `json:"quota,omitempty"`
	Bearers []BearerView `json:"bearers"`
}

// BearerView is a bearer.
type BearerView struct {
	EBI     uint8      `json:"bearer"`
	QCI     uint8      `json:"qci"`
	ARP     uint8      `json:"arp"`
	TEID    string     `json:"teid"`
	Peer    netip.Addr `json:"peer,omitzero"` // none: the phone is idle
	Filters int        `json:"filters,omitempty"`
	UL      uint64     `json:"ul_octets"`
	DL      uint64     `json:"dl_octets"`
	Lost    uint64     `json:"lost_octets,omitempty"`
	Capture bool       `json:"capture,omitempty"`
}

// desk is where the operator's tools ask of the gateway.
type desk struct{ t *Town }

// noGateway says where to ask instead.
func (d desk) noGateway() error {
	switch {
	case d.t.gateway != nil && d.t.opened.Load():
		return nil
	case d.t.name == "gateway" || d.t.name == "up":
		return status.Error(codes.FailedPrecondition, "the gateway is starting; ask again in a moment")
	}
	return wrong("%s runs here, and no gateway: ask in the home where it runs", d.t.name)
}

// ShowGateway gives figures and sessions.
func (d desk) ShowGateway(_ context.Context, q *pb.GatewayRequest) (*pb.GatewayReply, error) {
	if err := d.noGateway(); err != nil {
		return nil, err
	}
	v := viewOf(d.t.gateway.Stats())
	v.DataPath, v.NotBetter, v.Fast = d.t.path.words, d.t.path.not, d.t.path.fastView()
	v.Services = d.t.showServices()
	if q.Sessions {
		most := int(q.Limit)
		if most == 0 {
			most = 1000
		}
		for _, s := range d.t.gateway.Sessions() {
			switch {
			case q.Imsi != "" && s.IMSI.Digits() != q.Imsi:
			case len(v.List) >= most:
				v.More++
			default:
				v.List = append(v.List, sessionView(s, q.WholeImsi))
			}
		}
	}
	b, err := json.Marshal(v)
	return &pb.GatewayReply{Json: b}, err
}

func viewOf(s gateway.Stats) GatewayView {
	v := GatewayView{Sessions: s.Sessions, Phones: s.UEs, Dedicated: s.Dedicated, Remote: s.Remote, Restored: s.Restored, ULPackets: s.Path.ULPackets, DLPackets: s.Path.DLPackets,
		Buffered: s.Path.Buffered, Flows: s.Path.Flows, Dropped: map[string]uint64{}, Refused: map[string]uint64{}, NotTold: s.NotTold, Unreported: s.Unreported, Lost: s.Lost,
		StoreFailing: s.StoreFailing, At: time.Now()}
	for i, n := range s.Path.Dropped {
		if n > 0 {
			v.Dropped[datapath.Drop(i).String()] = n
		}
	}
	for c, n := range s.Refused {
		v.Refused[c.String()] = n
	}
	for _, p := range s.Pools {
		v.Pools = append(v.Pools, PoolView{p.APN.String(), p.IPv4Used, p.IPv4, p.IPv6Used, p.IPv6})
	}
	return v
}

func sessionView(s gateway.SessionInfo, whole bool) SessionView {
	v := SessionView{Number: s.Number, IMSI: s.IMSI.String(), APN: s.APN.String(), Address: s.Address, IPv6: s.IPv6, SGW: s.SGW, PGW: s.PGW, Settled: s.Settled, Since: s.Since, Charged: s.Charged}
	if whole {
		v.IMSI = s.IMSI.Digits()
	}
	if s.Quota != datapath.NoQuota {
		v.Quota = &s.Quota
	}
	for _, b := range s.Bearers {
		up, _ := b.Usage.Arrived()
		v.Bearers = append(v.Bearers, BearerView{uint8(b.EBI), uint8(b.QoS.QCI), b.QoS.ARP.Level, b.TEID.String(), b.Tunnel.Peer, len(b.Filters), up, b.Usage.DLOctets, b.Usage.LostOctets, b.Capture})
	}
	return v
}

// OrderBearer makes, changes or ends a bearer of a phone.
func (d desk) OrderBearer(ctx context.Context, q *pb.BearerOrder) (*pb.BearerOrderReply, error) {
	if err := d.noGateway(); err != nil {
		return nil, err
	}
	imsi, err := id.ParseIMSI(q.Imsi)
	if err != nil {
		return nil, wrong("%v", err)
	}
	ebi := id.EBI(0)
	if q.Bearer != 0 || q.What != "create" {
		if ebi, err = id.MakeEBI(uint8(min(q.Bearer, 255))); err != nil {
			return nil, wrong("%v", err)
		}
	}
	if q.Qci > 254 || q.Arp > 15 {
		return nil, wrong("QCI %d, ARP %d: want at most 254 and 15", q.Qci, q.Arp)
	}
	qos := gtpc.QoS{ARP: gtpc.ARP{Level: uint8(q.Arp), CanPreempt: false, Preemptable: true}, QCI: id.QCI(q.Qci),
		MBRUL: id.BitRate(q.MbrUl), MBRDL: id.BitRate(q.MbrDl), GBRUL: id.BitRate(q.GbrUl), GBRDL: id.BitRate(q.GbrDl)}
	tft, err := ParseFilters(q.Filters)
	if err != nil {
		return nil, wrong("%v", err)
	}
	g, out := d.t.gateway, &pb.BearerOrderReply{Bearer: q.Bearer}
	switch q.What {
	case "create":
		made, err := g.CreateBearer(ctx, gateway.NewBearer{IMSI: imsi, Linked: ebi, QoS: qos, Filters: tft.Filters})
		out.Bearer = uint32(made)
		return out, notDone(err)
	case "update":
		var change *gtpc.QoS
		if q.Qci != 0 {
			change = &qos
		}
		if len(tft.Filters) == 0 {
			return out, notDone(g.UpdateBearer(ctx, imsi, ebi, change, nil, nil))
		}
		return out, notDone(g.UpdateBearer(ctx, imsi, ebi, change, &tft, nil))
	case "delete":
		why := gtpc.Cause(0)
		if q.Reactivate {
			why = gtpc.ReactivationRequested
		}
		return out, notDone(g.DeleteBearer(ctx, imsi, ebi, why))
	}
	return nil, wrong("%q: want create, update or delete", q.What)
}

// notDone is an order's error as the caller gets it: what a phone or an MME refused is not
// the program's mistake.
func notDone(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.FailedPrecondition, strings.TrimPrefix(err.Error(), "gateway: "))
}

// CaptureBearer records what a bearer carries for as long as the caller listens, at most as
// long as he asked for, and notes who did.
func (d desk) CaptureBearer(q *pb.CaptureRequest, to pb.Admin_CaptureBearerServer) error {
	if err := d.noGateway(); err != nil {
		return err
	}
	imsi, err := id.ParseIMSI(q.Imsi)
	if err != nil {
		return wrong("%v", err)
	}
	ebi, err := id.MakeEBI(uint8(min(q.Bearer, 255)))
	if err != nil {
		return wrong("%v", err)
	}
	l := gateway.CaptureLimits{For: time.Duration(q.ForMs) * time.Millisecond, Octets: q.Octets, Snap: int(min(q.Snap, 1<<20))}
	who := audited{What: "capture of user packets begins", UID: uidOf(to.Context()), IMSI: imsi, Bearer: uint8(ebi), For: l.For.String(), Octets: q.Octets, Reason: q.Why}
	if strings.TrimSpace(q.Why) == "" {
		return wrong("say what it is for: a capture shows what a person sends and receives, and is noted with its reason")
	}
	c, err := d.t.gateway.StartCapture(imsi, ebi, l)
	if err != nil {
		return wrong("%s", strings.TrimPrefix(err.Error(), "gateway: "))
	}
	if err := d.t.audit(who); err != nil {
		stopped, cancel := context.WithCancel(to.Context())
		cancel()
		return errors.Join(status.Errorf(codes.Internal, "not captured, for it could not be noted: %v", err), notedEnd(c.WriteTo(stopped, pieces{})))
	}
	err = c.WriteTo(to.Context(), pieces{to})
	who.What, who.Why = "capture of user packets ends", fmt.Sprint(err)
	if noted := d.t.audit(who); noted != nil {
		return noted
	}
	if errors.Is(err, gateway.ErrCaptureTime) || errors.Is(err, gateway.ErrCaptureOctets) || errors.Is(err, gateway.ErrCaptureBearer) {
		text := err.Error()
		if n := c.Lost(); n > 0 {
			text += fmt.Sprintf("; %d packets came faster than they were written and are missing", n)
		}
		return to.Send(&pb.CaptureReply{Ended: text})
	}
	return err
}

// notedEnd is no error: the capture ended because it was told to.
func notedEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// pieces sends what is written.
type pieces struct{ to pb.Admin_CaptureBearerServer }

// Write sends one piece.
func (p pieces) Write(b []byte) (int, error) {
	if p.to == nil {
		return len(b), nil
	}
	return len(b), p.to.Send(&pb.CaptureReply{Pcapng: b})
}
