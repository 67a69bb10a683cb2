package pool

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
	"campanile.network/mme/pool/poolpb"
)

// maxNAS bounds a NAS message that is asked about, in octets.
const maxNAS = 8192

// maxNames bounds the names of one phone: there are two while one is being changed.
const maxNames = 4

// Check says whether a member with one of these keys is there: for the TLS of a server.
func Check(members [][32]byte) peertls.Check {
	return func(peer [32]byte) error {
		if !slices.Contains(members, peer) {
			return errors.New("pool: not the key of a member")
		}
		return nil
	}
}

// Register has a gRPC server answer for n, whose TLS lets in nobody but members, see [Check].
func Register(s *grpc.Server, n *Node) {
	poolpb.RegisterPoolServer(s, &server{link: n.Link(), followers: map[[32]byte]context.CancelCauseFunc{}})
}

// MaxRequest is how large a request of a member may be, in octets.
const MaxRequest = 16 << 10

// maxReply bounds what a member says at once, in octets: a batch, and what comes with its records.
const maxReply = 2 * batchBytes

type server struct {
	poolpb.UnimplementedPoolServer
	link Link

	mu        sync.Mutex
	followers map[[32]byte]context.CancelCauseFunc // by key
}

var errFollowsAnew = status.Error(codes.Aborted, "the same member follows anew")

// follower is ctx for a member that begins to follow: it follows once at a time, and the last time
// counts.
func (s *server) follower(ctx context.Context) (context.Context, func(), error) {
	key, err := peertls.PeerKey(ctx)
	if err != nil {
		return nil, nil, status.Error(codes.PermissionDenied, err.Error())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if former := s.followers[key]; former != nil {
		former(errFollowsAnew)
	}
	s.followers[key] = cancel
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if context.Cause(ctx) != errFollowsAnew {
			delete(s.followers, key)
		}
		cancel(nil)
	}, nil
}

func (s *server) Follow(m *poolpb.FollowRequest, stream grpc.ServerStreamingServer[poolpb.Batch]) error {
	ctx, end, err := s.follower(stream.Context())
	if err != nil {
		return err
	}
	defer end()
	return s.link.Follow(ctx, Position{m.Run, m.Seq}, func(b Batch) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		out := &poolpb.Batch{Run: b.Run, Seq: b.Seq}
		for _, c := range b.Changes {
			p := &poolpb.Change{Imsi: c.IMSI.Digits(), Epoch: c.Epoch, Record: c.Record}
			for _, t := range c.TMSIs {
				p.Tmsis = append(p.Tmsis, uint32(t))
			}
			out.Changes = append(out.Changes, p)
		}
		return stream.Send(out)
	})
}

func (s *server) Fetch(ctx context.Context, m *poolpb.FetchRequest) (*poolpb.FetchReply, error) {
	if m.Code > 255 || len(m.Nas) > maxNAS {
		return nil, status.Error(codes.InvalidArgument, "fetch: no MME code, or too long a message")
	}
	b, err := s.link.Fetch(ctx, id.MMECode(m.Code), id.MTMSI(m.Tmsi), m.Nas)
	if errors.Is(err, ErrForeign) {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &poolpb.FetchReply{Record: b}, err
}

// Dial makes the link to the member at address that has the key want; it shows key. It
// connects when it is used. The caller closes it.
func Dial(address string, key ed25519.PrivateKey, want [32]byte) (Link, io.Closer, error) {
	config, err := peertls.Client(key, want)
	if err != nil {
		return nil, nil, err
	}
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: retryFirst, Multiplier: 1.6, Jitter: 0.2, MaxDelay: retryMost / 2}, MinConnectTimeout: silence}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)), grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: silence}))
	if err != nil {
		return nil, nil, fmt.Errorf("pool: %w", err)
	}
	return &client{poolpb.NewPoolClient(c)}, c, nil
}

type client struct{ c poolpb.PoolClient }

func (l *client) Follow(ctx context.Context, from Position, f func(Batch) error) error {
	stream, err := l.c.Follow(ctx, &poolpb.FollowRequest{Run: from.Run, Seq: from.Seq})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		b := Batch{Position: Position{m.Run, m.Seq}}
		for _, c := range m.Changes {
			if change, ok := read(c); ok {
				b.Changes = append(b.Changes, change)
			} else {
				b.Refused++
			}
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

// read checks a change. One that is wrong is passed over: the link, and what else comes by
// it, is more.
func read(c *poolpb.Change) (out Change, ok bool) {
	imsi, err := id.ParseIMSI(c.Imsi)
	if err != nil || len(c.Tmsis) > maxNames || len(c.Record) > recordMost {
		return out, false
	}
	out.IMSI, out.Epoch = imsi, c.Epoch
	for _, t := range c.Tmsis {
		out.TMSIs = append(out.TMSIs, id.MTMSI(t))
	}
	if len(c.Record) > 0 {
		out.Record = c.Record
	}
	return out, true
}

func (l *client) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
	m, err := l.c.Fetch(ctx, &poolpb.FetchRequest{Code: uint32(code), Tmsi: uint32(t), Nas: nas})
	if status.Code(err) == codes.NotFound {
		return nil, ErrForeign
	}
	if err != nil {
		return nil, err
	}
	return m.Record, nil
}
