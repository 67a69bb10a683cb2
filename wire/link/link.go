// Package link is the wire between a tower and the core it has joined: counts
// and notices one way, terms and vouchers the other. The tower dials; both
// ends show their registered ed25519 keys in TLS. When the link is away, each
// end keeps what it has to say; everything said is cumulative or numbered, so
// that it may be said twice. Who signs and who believes is not decided here.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Count is what a tower relayed for one bearer within an epoch.
type Count struct {
	TEID   id.TEID // of the gateway, uplink
	UL, DL uint64  // inner IP octets: uplink sent to the gateway, downlink arrived from it
}

// Report is a tower's own counting. Epoch is drawn anew whenever counting begins
// at 0 again, as after the loss of a store; counts are cumulative within it.
type Report struct {
	Epoch  uint64
	Counts []Count
}

// NoticeCode says what a tower does and why.
type NoticeCode uint32

// What a tower has to say.
const (
	Serving      NoticeCode = iota + 1 // relays
	VouchersLag                        // stopped: vouchers lag the tower's count by more than the window
	NoChannel                          // stopped: no channel to be paid from
	ReserveSpent                       // stopped: the channel's reserve is used up
	RadioChanged                       // its radio is in another state; whether it serves is as before
)

var notices = map[NoticeCode]string{Serving: "serving", VouchersLag: "vouchers lag", NoChannel: "no channel", ReserveSpent: "reserve spent", RadioChanged: "radio"}

func (c NoticeCode) String() string {
	if s, ok := notices[c]; ok {
		return s
	}
	return fmt.Sprintf("notice %d", uint32(c))
}

// Notice is a change at the tower, with a line for people. A tower keeps its
// notices until the core has stored them: they arrive once each and in order,
// whichever end dies in between.
type Notice struct {
	Code   NoticeCode
	Text   string    // at most 512 octets
	Epoch  uint64    // as Report's
	Number uint64    // within the epoch, from 1; a gap is what did not fit into the tower's store
	At     time.Time // by the tower's clock, in milliseconds
}

// Heard confirms that the core has stored all notices of an epoch up to a
// number.
type Heard struct{ Epoch, Number uint64 }

// Seen confirms that a tower has stored a voucher.
type Seen struct{ Channel, Seq uint64 }

// FromTower is one message: exactly one field is set.
type FromTower struct {
	Report *Report
	Notice *Notice
	Seen   *Seen
	Radio  *Radio
}

// Terms are the channel a tower will be paid from, as the payer sees it; the
// tower compares them with the ledger.
type Terms struct {
	ChainID        string
	Channel        uint64
	Payer          proof.OperatorKey
	Prices         proof.Prices
	WindowOctets   uint64     // how far the tower may let vouchers lag ...
	WindowPermille uint32     // ... plus this share of what it counted
	BilledOctets   uint64     // covered by the newest voucher
	SeenAs         netip.Addr // whence the tower's connection comes, as the transport at the core has it; or none
}

// ToTower is one message: exactly one field is set.
type ToTower struct {
	Terms   *Terms
	Voucher []byte // signed
	Heard   *Heard
}

// Conn is one end of a link. Send and Recv may be called from one goroutine
// each.
type Conn[In, Out any] interface {
	Send(Out) error
	Recv() (In, error)
	Context() context.Context
}

// TowerConn is a tower's end.
type TowerConn interface {
	Conn[ToTower, FromTower]
	// CloseSend says that nothing more will be sent. The core hears io.EOF after
	// all that was sent, and then ends the link.
	CloseSend() error
}

// Core is the end that serves towers.
type Core interface {
	// Join has the link of one tower until it returns; key is proven in TLS.
	// Its error is what the tower is told; io.EOF and nil are no error.
	Join(key proof.TowerKey, c Conn[FromTower, ToTower]) error
}

// Register serves core over gRPC.
func Register(r grpc.ServiceRegistrar, core Core) { pb.RegisterLinkServer(r, &server{core: core}) }

type server struct {
	pb.UnimplementedLinkServer
	core Core
}

func (s *server) Join(st pb.Link_JoinServer) error {
	key, err := peertls.PeerKey(st.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if err := s.core.Join(key, coreEnd{st}); err != nil && !errors.Is(err, io.EOF) {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return nil
}

// Dial joins a core over a connection whose credentials are peertls'. The link
// lives as long as ctx.
func Dial(ctx context.Context, c grpc.ClientConnInterface) (TowerConn, error) {
	st, err := pb.NewLinkClient(c).Join(ctx)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return towerEnd{st}, nil
}
