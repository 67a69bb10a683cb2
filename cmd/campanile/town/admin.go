package town

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/billing/meter"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/keyproof"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// SocketOf is where a role is asked: AdminSocket where the ledger's node is.
func SocketOf(role string) string {
	switch role {
	case "billing", "gateway", "mme", "enb-agent", "sip":
		return "admin-" + role + ".sock"
	}
	return AdminSocket
}

// AdminSocket is where the operator's verbs reach the running node: a socket
// in its home that only the home's owner may open.
const AdminSocket = "admin.sock"

func (t *Town) startAdmin(context.Context) error {
	file := t.cfg.path(SocketOf(t.name))
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", file)
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	s := grpc.NewServer(grpc.Creds(unixPeers{}))
	if t.chain == nil {
		pb.RegisterAdminServer(s, &onlooker{t: t, handset: handset{t}, desk: desk{t}, postbox: postbox{t}})
	} else {
		pb.RegisterAdminServer(s, &admin{t: t, handset: handset{t}, desk: desk{t}, postbox: postbox{t}})
	}
	t.serve("admin", func(ctx context.Context) error { return serveGRPC(ctx, s, l) })
	return nil
}

type admin struct {
	noOther
	handset
	desk
	postbox
	t *Town
}

func wrong(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// AddSubscribers seals subscriptions and enters them on the ledger, all or
// none of up to 1000.
func (a *admin) AddSubscribers(ctx context.Context, q *pb.AddSubscribersRequest) (*pb.AddSubscribersReply, error) {
	if len(q.Subscribers) == 0 || len(q.Subscribers) > 1000 {
		return nil, wrong("%d subscribers: want 1 to 1000", len(q.Subscribers))
	}
	subs := make([]hss.Subscription, len(q.Subscribers))
	for i, s := range q.Subscribers {
		v, err := a.t.subscription(s)
		if err != nil {
			return nil, wrong("subscriber %d: %v", i+1, err)
		}
		subs[i] = v
	}
	recs, r, err := a.t.subscribe(ctx, subs, q.Plan)
	if errors.Is(err, hss.ErrExists) || errors.Is(err, home.ErrNumberTaken) {
		return nil, wrong("%v", err)
	}
	if err != nil {
		return nil, err
	}
	out := &pb.AddSubscribersReply{Height: r.Height}
	for _, rec := range recs {
		out.Ids = append(out.Ids, rec.ID.String())
	}
	return out, nil
}

func (t *Town) subscription(s *pb.NewSubscriber) (v hss.Subscription, err error) {
	if v.IMSI, err = id.ParseIMSI(s.Imsi); err != nil {
		return v, err
	}
	if op, ok := t.model.Home(v.IMSI); !ok || op.Key != t.operatorKey {
		return v, fmt.Errorf("subscriber %v is in none of this network's ranges %v", v.IMSI, t.cfg.Network.Ranges)
	}
	if s.Algorithm != "" {
		if v.Algorithm, err = hss.ParseAlgorithm(s.Algorithm); err != nil {
			return v, err
		}
	}
	switch {
	case len(s.K) != 16:
		return v, fmt.Errorf("key of %d octets: want 16", len(s.K))
	case v.Algorithm == hss.Milenage && len(s.Opc) != 16:
		return v, fmt.Errorf("OPc of %d octets: want 16", len(s.Opc))
	case v.Algorithm != hss.Milenage && len(s.Opc) != 0:
		return v, fmt.Errorf("a card of %v has Ki alone, and no OPc", v.Algorithm)
	case v.Algorithm == hss.COMP128v1 && !t.cfg.HSS.AllowCOMP128v1:
		return v, errors.New("COMP128v1 gives a card's key away to whoever may ask it often enough; change the card, or set hss.allow_comp128v1")
	}
	v.K, v.SQN = secret.Key128(s.K), hss.Array32
	copy(v.OPc[:], s.Opc)
	if s.Sqn > aka.MaxSEQ {
		return v, fmt.Errorf("sequence number %d: at most %d", s.Sqn, uint64(aka.MaxSEQ))
	}
	v.DIF = aka.DIFFor(s.Sqn, aka.TickAt(time.Now()))
	v.Profile, err = t.profileOf(s)
	return v, err
}

func (t *Town) profileOf(s *pb.NewSubscriber) (p home.Profile, err error) {
	p = t.profile()
	if s.Msisdn != "" {
		if p.MSISDN, err = id.ParseMSISDN(s.Msisdn); err != nil {
			return p, err
		}
	}
	if s.Qci > 254 || s.Arp > 15 {
		return p, fmt.Errorf("QCI %d, ARP %d: want at most 254 and 15", s.Qci, s.Arp)
	}
	for _, o := range []struct {
		given bool
		set   func()
	}{
		{s.Qci != 0, func() { p.QCI = id.QCI(s.Qci) }},
		{s.Arp != 0, func() { p.ARP = uint8(s.Arp) }},
		{s.AmbrUl != 0, func() { p.AMBRUL = id.BitRate(s.AmbrUl) }},
		{s.AmbrDl != 0, func() { p.AMBRDL = id.BitRate(s.AmbrDl) }},
	} {
		if o.given {
			o.set()
		}
	}
	list := s.Apns
	if len(list) == 0 {
		list = []*pb.AccessPoint{{Name: cmp.Or(s.Apn, p.APN.String())}}
	}
	return p, t.set.setAccessPoints(&p, list)
}

// ListSubscribers lists this home's subscribers.
func (a *admin) ListSubscribers(context.Context, *pb.ListSubscribersRequest) (*pb.ListSubscribersReply, error) {
	out := &pb.ListSubscribersReply{}
	for _, s := range a.t.hss.Subscribers() {
		v := &pb.Subscriber{Id: s.ID.String(), Imsi: s.IMSI.String(), State: s.State.String(), Plan: s.Plan, Apns: accessPoints(s.Profile)}
		if n := s.Profile.MSISDN; !n.IsZero() {
			v.Msisdn = n.String()
		}
		out.Subscribers = append(out.Subscribers, v)
	}
	return out, nil
}

// RegisterTower registers a tower of this home's owner and opens its channel.
func (a *admin) RegisterTower(ctx context.Context, q *pb.RegisterTowerRequest) (*pb.RegisterTowerReply, error) {
	key, keyProof, err := a.t.towerKey(q)
	if err != nil {
		return nil, err
	}
	tower := ledger.Tower{Name: q.Name}
	if tower.ENB, err = id.ParseGlobalENBID(q.Enb); err != nil {
		return nil, wrong("%v", err)
	}
	for _, c := range q.Cells {
		eci, err := id.MakeECI(c)
		if err != nil {
			return nil, wrong("%v", err)
		}
		tower.Cells = append(tower.Cells, id.ECGI{PLMN: tower.ENB.PLMN, ECI: eci})
	}
	for _, p := range []struct {
		of        *proof.Amount
		per, text string
	}{{&tower.Prices.PerGB, "GB", q.PricePerGb}, {&tower.Prices.PerMinute, "minute", cmp.Or(q.PricePerMinute, "0")}, {&tower.Prices.PerMessage, "message", cmp.Or(q.PricePerMessage, "0")}} {
		if *p.of, err = proof.ParseAmount(p.text); err != nil {
			return nil, wrong("price per %s: %v", p.per, err)
		}
	}
	reserve := proof.Amount{}
	if q.Reserve != "" {
		if reserve, err = proof.ParseAmount(q.Reserve); err != nil {
			return nil, wrong("reserve: %v", err)
		}
	}
	r, err := a.t.chain.RegisterTowerKey(ctx, a.t.owner, key, keyProof, tower)
	if err != nil {
		return nil, err
	}
	out := &pb.RegisterTowerReply{Key: key.String(), Height: r.Height}
	if !reserve.IsZero() {
		out.Channel, _, err = a.t.chain.OpenChannel(ctx, a.t.operator, key, reserve)
	}
	return out, err
}

// towerKey is the key to register and the proof that its holder wants it: made
// here from the seed, or brought.
func (t *Town) towerKey(q *pb.RegisterTowerRequest) (k proof.TowerKey, by []byte, err error) {
	account := string(t.owner.Address())
	if len(q.KeySeed) == 32 {
		s := proof.SigningKeyFromSeed([32]byte(q.KeySeed))
		return s.Public(), keyproof.Sign(s.Ed25519(), keyproof.Tower, t.chainID, account), nil
	}
	if err := keyproof.Check(q.Key, q.KeyProof, keyproof.Tower, t.chainID, account); err != nil {
		return k, nil, wrong("%v: was the tower's home made with an invite of this core?", err)
	}
	return proof.TowerKey(q.Key), q.KeyProof, nil
}

// ListTowers lists the towers of the ledger.
func (a *admin) ListTowers(context.Context, *pb.ListTowersRequest) (*pb.ListTowersReply, error) {
	air := map[proof.TowerKey]bool{}
	for _, e := range a.t.enbs() {
		air[e.Tower] = true
	}
	linked := map[proof.TowerKey]meter.TowerView{}
	for _, v := range a.t.accounts() {
		linked[v.Tower] = v
	}
	out := &pb.ListTowersReply{}
	for _, w := range a.t.model.Towers() {
		r := &pb.Tower{Key: w.Key.String(), Name: w.Name, Enb: w.ENB.String(), Owner: string(w.Owner), PricePerGb: w.Prices.PerGB.String(), PricePerMinute: w.Prices.PerMinute.String(), PricePerMessage: w.Prices.PerMessage.String(),
			OnAir: air[w.Key], Reserve: "0", Paid: "0", Health: newest(linked[w.Key], w.Health)}
		if c, ok := a.t.model.ChannelBetween(a.t.operatorKey, w.Key); ok {
			r.Channel, r.Reserve, r.Paid = c.ID, c.Reserve.String(), c.Paid.String()
		}
		out.Towers = append(out.Towers, r)
	}
	return out, nil
}

// Claim posts what is signed and claims what is earned.
func (a *admin) Claim(ctx context.Context, _ *pb.ClaimRequest) (*pb.ClaimReply, error) {
	amount, err := a.t.claim(ctx)
	if err != nil {
		return nil, err
	}
	balance, err := a.t.chain.Balance(ctx, a.t.owner.Address())
	if err != nil {
		return nil, err
	}
	return &pb.ClaimReply{Amount: amount.String(), Balance: balance.String(), Height: a.t.chain.Status().Height}, nil
}
