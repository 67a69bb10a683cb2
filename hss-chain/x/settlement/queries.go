package settlement

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/types/query"
)

type queryServer struct{ Keeper }

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) QueryServer { return queryServer{k} }

// Params gives the module's parameters.
func (k queryServer) Params(ctx context.Context, _ *QueryParamsRequest) (*QueryParamsResponse, error) {
	p, err := k.Keeper.Params.Get(ctx)
	return &QueryParamsResponse{Params: p}, answer(err)
}

// Channel finds a channel by id.
func (k queryServer) Channel(ctx context.Context, r *QueryChannelRequest) (*QueryChannelResponse, error) {
	c, err := k.Keeper.Channels.Get(ctx, r.ID)
	return &QueryChannelResponse{Channel: c}, answer(err)
}

// Channels lists all channels by id, a page at a time.
func (k queryServer) Channels(ctx context.Context, r *QueryChannelsRequest) (*QueryChannelsResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, k.Keeper.Channels, r.Pagination,
		func(_ uint64, c Channel) (Channel, error) { return c, nil })
	return &QueryChannelsResponse{Channels: list, Pagination: page}, answer(err)
}

// Claimable says what an account can claim, which may be nothing.
func (k queryServer) Claimable(ctx context.Context, r *QueryClaimableRequest) (*QueryClaimableResponse, error) {
	account, text, err := k.account(r.Account)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	c, err := k.Claimables.Get(ctx, account)
	if errors.Is(err, collections.ErrNotFound) {
		c, err = Claimable{Account: text, Amount: math.ZeroInt()}, nil
	}
	return &QueryClaimableResponse{Claimable: c}, answer(err)
}

func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, collections.ErrNotFound):
		return status.Error(codes.NotFound, "not found")
	}
	return status.Error(codes.Internal, err.Error())
}
