package pool

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
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

// NewServer makes a gRPC server on which the members with these keys reach n. It shows
// key; whoever has another key than theirs does not get past TLS.
func NewServer(n *Node, key ed25519.PrivateKey, members [][32]byte) (*grpc.Server, error) {
	config, err := peertls.Server(key, func(peer [32]byte) error {
		if !slices.Contains(members, peer) {
			return errors.New("pool: not the key of a member")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.MaxConcurrentStreams(64))
	poolpb.RegisterPoolServer(s, &server{link: n.Link()})
	return s, nil
}

type server struct {
	poolpb.UnimplementedPoolServer
	link Link
}

func (s *server) Follow(m *poolpb.FollowRequest, stream grpc.ServerStreamingServer[poolpb.Batch]) error {
	return s.link.Follow(stream.Context(), Position{m.Run, m.Seq}, func(b Batch) error {
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
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: silence}))
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
			change, err := read(c)
			if err != nil {
				return err
			}
			b.Changes = append(b.Changes, change)
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

// read checks a change.
func read(c *poolpb.Change) (out Change, err error) {
	if out.IMSI, err = id.ParseIMSI(c.Imsi); err != nil || len(c.Tmsis) > maxNames {
		return out, fmt.Errorf("pool: change of IMSI with %d digits and %d names: %w", len(c.Imsi), len(c.Tmsis), err)
	}
	for _, t := range c.Tmsis {
		out.TMSIs = append(out.TMSIs, id.MTMSI(t))
	}
	if len(c.Record) > 0 {
		out.Record = c.Record
	}
	out.Epoch = c.Epoch
	return out, nil
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
