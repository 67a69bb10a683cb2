package tower

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"
)

type queryServer struct{ Keeper }

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) QueryServer { return queryServer{k} }

// Tower finds a tower by key or by global eNB identity.
func (k queryServer) Tower(ctx context.Context, r *QueryTowerRequest) (*QueryTowerResponse, error) {
	key := r.Key
	if len(key) == 0 {
		if r.ENB == nil {
			return nil, status.Error(codes.InvalidArgument, "want a key or an eNB identity")
		}
		g, err := r.ENB.identity()
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		if key, err = k.TowerByENB.Get(ctx, g.String()); err != nil {
			return nil, answer(err)
		}
	}
	t, err := k.Keeper.Towers.Get(ctx, key)
	return &QueryTowerResponse{Tower: t}, answer(err)
}

// Towers lists all towers by key, a page at a time.
func (k queryServer) Towers(ctx context.Context, r *QueryTowersRequest) (*QueryTowersResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, k.Keeper.Towers, r.Pagination,
		func(_ []byte, t Tower) (Tower, error) { return t, nil })
	return &QueryTowersResponse{Towers: list, Pagination: page}, answer(err)
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
