package home

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

// RegisterDirectory serves d to one operator: to roles whose key in TLS is its
// own. Numbers are nobody else's business.
func RegisterDirectory(s grpc.ServiceRegistrar, d Directory, operator proof.OperatorKey) {
	pb.RegisterDirectoryServer(s, &directoryServer{directory: d, operator: operator})
}

type directoryServer struct {
	pb.UnimplementedDirectoryServer
	directory Directory
	operator  proof.OperatorKey
}

// problems are a LookReply's.
var problems = []error{1: ErrNobody, 2: ErrNumberTaken}

func (s *directoryServer) admit(ctx context.Context) error {
	key, err := peertls.PeerKey(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if proof.OperatorKey(key) != s.operator {
		return status.Error(codes.PermissionDenied, "directory: for this operator's own roles only")
	}
	return nil
}

func (s *directoryServer) Look(ctx context.Context, m *pb.LookRequest) (*pb.LookReply, error) {
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	if m.Msisdn != "" {
		n, err := id.ParseMSISDN(m.Msisdn)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		imsi, err := s.directory.ByNumber(ctx, n)
		return lookReply(imsi, n, err)
	}
	imsi, err := id.ParseIMSI(m.Imsi)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	n, err := s.directory.Number(ctx, imsi)
	return lookReply(imsi, n, err)
}

func (s *directoryServer) Assign(ctx context.Context, m *pb.AssignRequest) (*pb.LookReply, error) {
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	imsi, err := id.ParseIMSI(m.Imsi)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	n, err := id.ParseMSISDN(m.Msisdn)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return lookReply(imsi, n, s.directory.Assign(ctx, imsi, n))
}

func lookReply(imsi id.IMSI, n id.MSISDN, err error) (*pb.LookReply, error) {
	if err == nil {
		return &pb.LookReply{Imsi: imsi.Digits(), Msisdn: n.Digits()}, nil
	}
	for i, p := range problems {
		if p != nil && errors.Is(err, p) {
			return &pb.LookReply{Problem: uint32(i)}, nil
		}
	}
	return nil, status.Error(codes.Unavailable, err.Error())
}

// DirectoryClient is a Directory at the other end of a connection whose
// credentials are peertls'.
type DirectoryClient struct{ rpc pb.DirectoryClient }

// NewDirectoryClient makes a DirectoryClient of a connection the caller closes.
func NewDirectoryClient(c grpc.ClientConnInterface) *DirectoryClient {
	return &DirectoryClient{pb.NewDirectoryClient(c)}
}

// ByNumber implements Directory.
func (c *DirectoryClient) ByNumber(ctx context.Context, n id.MSISDN) (id.IMSI, error) {
	a, err := c.rpc.Look(ctx, &pb.LookRequest{Msisdn: n.Digits()})
	if err = problem(a, err); err != nil {
		return id.IMSI{}, err
	}
	return id.ParseIMSI(a.Imsi)
}

// Number implements Directory.
func (c *DirectoryClient) Number(ctx context.Context, imsi id.IMSI) (id.MSISDN, error) {
	a, err := c.rpc.Look(ctx, &pb.LookRequest{Imsi: imsi.Digits()})
	if err = problem(a, err); err != nil || a.Msisdn == "" {
		return id.MSISDN{}, err
	}
	return id.ParseMSISDN(a.Msisdn)
}

// Assign implements Directory.
func (c *DirectoryClient) Assign(ctx context.Context, imsi id.IMSI, n id.MSISDN) error {
	a, err := c.rpc.Assign(ctx, &pb.AssignRequest{Imsi: imsi.Digits(), Msisdn: n.Digits()})
	return problem(a, err)
}

func problem(a *pb.LookReply, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("home: %w", err)
	case a.Problem == 0:
		return nil
	case int(a.Problem) < len(problems):
		return problems[a.Problem]
	}
	return fmt.Errorf("home: directory: problem %d", a.Problem)
}
