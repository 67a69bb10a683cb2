package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

// maxUpdate bounds one update on the wire after decompression, in octets.
const maxUpdate = 256 << 20

// Snapshot is everything there is, as a resync.
func (m *Model) Snapshot() Update {
	m.mu.RLock()
	defer m.mu.RUnlock()
	u := Update{ChainID: m.chainID, Height: m.height, Time: m.time, Resync: true}
	for _, o := range m.operators {
		u.Operators = append(u.Operators, o)
	}
	for _, s := range m.subscribers {
		u.Subscribers = append(u.Subscribers, s)
	}
	for _, t := range m.towers {
		u.Towers = append(u.Towers, t)
	}
	for _, c := range m.channels {
		u.Channels = append(u.Channels, c)
	}
	for a, v := range m.claimables {
		u.Claimables = append(u.Claimables, Claimable{a, v})
	}
	return u
}

// wireUpdate is an Update as a follower gets it.
type wireUpdate struct {
	ChainID      string
	Height       int64
	Time         time.Time
	Resync       bool
	Operators    []storedOperator
	Subscribers  []wireSubscriber
	Towers       []storedTower
	Channels     []storedChannel
	Claimables   []Claimable
	GoneChannels []uint64
}

type wireSubscriber struct {
	ID []byte
	storedSubscriber
}

// encode gives an update as gzipped JSON.
func encode(u Update) ([]byte, error) {
	w := wireUpdate{u.ChainID, u.Height, u.Time, u.Resync, nil, nil, nil, nil, u.Claimables, u.GoneChannels}
	for _, o := range u.Operators {
		w.Operators = append(w.Operators, storeOperator(o))
	}
	for _, s := range u.Subscribers {
		w.Subscribers = append(w.Subscribers, wireSubscriber{s.ID[:], storeSubscriber(s)})
	}
	for _, t := range u.Towers {
		w.Towers = append(w.Towers, storeTower(t))
	}
	for _, c := range u.Channels {
		w.Channels = append(w.Channels, storeChannel(c))
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(w), z.Close()); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return b.Bytes(), nil
}

// decode reads what encode gave.
func decode(b []byte) (Update, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return Update{}, fmt.Errorf("ledger: update: %w", err)
	}
	var w wireUpdate
	if err := json.NewDecoder(io.LimitReader(z, maxUpdate)).Decode(&w); err != nil {
		return Update{}, fmt.Errorf("ledger: update: %w", err)
	}
	u := Update{w.ChainID, w.Height, w.Time, w.Resync, nil, nil, nil, nil, w.Claimables, w.GoneChannels}
	var errs []error
	for _, s := range w.Operators {
		o, err := s.open()
		u.Operators, errs = append(u.Operators, o), append(errs, err)
	}
	for _, s := range w.Subscribers {
		v, err := s.open(s.ID)
		u.Subscribers, errs = append(u.Subscribers, v), append(errs, err)
	}
	for _, s := range w.Towers {
		t, err := s.open()
		u.Towers, errs = append(u.Towers, t), append(errs, err)
	}
	for _, s := range w.Channels {
		u.Channels = append(u.Channels, s.open())
	}
	return u, errors.Join(errs...)
}

// Settler shows the chain one signed voucher.
type Settler func(ctx context.Context, voucher []byte) (channel uint64, paid, owing proof.Amount, err error)

// Reporter shows the chain what a tower has said, as proof.Health.Sign made it.
type Reporter func(ctx context.Context, statement []byte) error

// Register serves the model to followers in other processes, and shows the chain
// vouchers and towers' statements for them.
func Register(r grpc.ServiceRegistrar, m *Model, settle Settler, report Reporter) {
	pb.RegisterLedgerServer(r, &server{model: m, settle: settle, report: report, following: map[[32]byte]int{}, reporting: map[proof.TowerKey]bool{}})
}

// maxFollowers bounds the streams of one key: each costs a snapshot.
const maxFollowers = 8

type server struct {
	pb.UnimplementedLedgerServer
	model  *Model
	settle Settler
	report Reporter

	mu        sync.Mutex
	following map[[32]byte]int        // streams, by the key shown in TLS
	reporting map[proof.TowerKey]bool // of whom a statement is under way
}

// join counts a follower in; leave is nil when its key has too many.
func (s *server) join(ctx context.Context) (leave func()) {
	key, _ := peertls.PeerKey(ctx) // without TLS all are one
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.following[key] >= maxFollowers {
		return nil
	}
	s.following[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.following[key]--; s.following[key] == 0 {
			delete(s.following, key)
		}
	}
}

// Follow sends everything there is, then every block; a follower too slow to
// take each block by itself gets everything again.
func (s *server) Follow(_ *pb.FollowRequest, st grpc.ServerStreamingServer[pb.LedgerUpdate]) error {
	leave := s.join(st.Context())
	if leave == nil {
		return status.Errorf(codes.ResourceExhausted, "ledger: %d followers have this key already", maxFollowers)
	}
	defer leave()
	w := s.model.Watch()
	defer w.Close()
	u := s.model.Snapshot()
	for {
		b, err := encode(u)
		if err != nil {
			return err
		}
		if err := st.Send(&pb.LedgerUpdate{Update: b}); err != nil {
			return err
		}
		last := u.Height
		for u, err = w.Next(st.Context()); err == nil && u.Height <= last; u, err = w.Next(st.Context()) {
			continue // in the snapshot already
		}
		if err != nil {
			return err
		}
		if u.Height != last+1 {
			u = s.model.Snapshot()
		}
	}
}

// Settle passes on only what the chain will take: this process pays for every
// transaction, whoever asked.
func (s *server) Settle(ctx context.Context, q *pb.SettleRequest) (*pb.SettleReply, error) {
	v, err := proof.PeekVoucher(q.Voucher)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	chainID, _, _ := s.model.Head()
	c, ok := s.model.Channel(v.Channel)
	if !ok || c.State == ChannelClosed {
		return nil, status.Errorf(codes.FailedPrecondition, "ledger: channel %d takes no voucher", v.Channel)
	}
	if v, err = proof.OpenVoucher(chainID, c.Operator, q.Voucher); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if v.Amount.Cmp(c.Promised) <= 0 {
		owing, err := c.Promised.Sub(c.Paid)
		return &pb.SettleReply{Channel: c.ID, Paid: proof.Amount{}.String(), Owing: owing.String()}, err
	}
	n, paid, owing, err := s.settle(ctx, q.Voucher)
	if err != nil {
		return nil, err
	}
	return &pb.SettleReply{Channel: n, Paid: paid.String(), Owing: owing.String()}, nil
}

// ReportHealth passes on only what the chain will take, as Settle does, and one
// statement of a tower at a time.
func (s *server) ReportHealth(ctx context.Context, q *pb.ReportHealthRequest) (*pb.ReportHealthReply, error) {
	chainID, _, at := s.model.Head()
	h, err := proof.OpenHealth(chainID, q.Statement)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	s.mu.Lock()
	busy := s.reporting[h.Tower]
	s.reporting[h.Tower] = true
	s.mu.Unlock()
	if busy {
		return nil, status.Error(codes.ResourceExhausted, "ledger: a statement of this tower is under way")
	}
	defer func() {
		s.mu.Lock()
		delete(s.reporting, h.Tower)
		s.mu.Unlock()
	}()
	t, ok := s.model.Tower(h.Tower)
	if !ok {
		return nil, status.Error(codes.FailedPrecondition, "ledger: no tower is registered under this key")
	}
	last, heard := t.Health.Statement()
	if err := h.After(last, heard, at); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return &pb.ReportHealthReply{}, s.report(ctx, q.Statement)
}

// Follow keeps m as the process at the other end of c has it, until ctx ends
// or the connection does.
func Follow(ctx context.Context, c grpc.ClientConnInterface, m *Model) error {
	st, err := pb.NewLedgerClient(c).Follow(ctx, &pb.FollowRequest{}, grpc.MaxCallRecvMsgSize(maxUpdate))
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	for {
		b, err := st.Recv()
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		u, err := decode(b.Update)
		if err != nil {
			return err
		}
		if err := m.Apply(u); err != nil {
			return err
		}
	}
}

// SettleOver shows the chain a voucher through the process at the other end.
func SettleOver(ctx context.Context, c grpc.ClientConnInterface, voucher []byte) (channel uint64, paid, owing proof.Amount, err error) {
	r, err := pb.NewLedgerClient(c).Settle(ctx, &pb.SettleRequest{Voucher: voucher})
	if err != nil {
		return 0, paid, owing, fmt.Errorf("ledger: %w", err)
	}
	var errs [2]error
	paid, errs[0] = proof.ParseAmount(r.Paid)
	owing, errs[1] = proof.ParseAmount(r.Owing)
	return r.Channel, paid, owing, errors.Join(errs[:]...)
}

// ReportOver shows the chain what a tower has said through the process at the
// other end.
func ReportOver(ctx context.Context, c grpc.ClientConnInterface, statement []byte) error {
	if _, err := pb.NewLedgerClient(c).ReportHealth(ctx, &pb.ReportHealthRequest{Statement: statement}); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}
