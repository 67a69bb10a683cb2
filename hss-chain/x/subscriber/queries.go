package subscriber

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
)

type queryServer struct{ Keeper }

// NewQueryServer serves the module's queries.
func NewQueryServer(k Keeper) QueryServer { return queryServer{k} }

// Operator finds an operator by account or by a number it is responsible for.
func (k queryServer) Operator(ctx context.Context, r *QueryOperatorRequest) (*QueryOperatorResponse, error) {
	var account sdk.AccAddress
	var err error
	if r.Account != "" {
		account, _, err = k.account(r.Account)
	} else if err = checkPrefix(r.IMSIPrefix); err == nil {
		account, _, err = k.home(ctx, r.IMSIPrefix)
	}
	if err != nil {
		return nil, answer(err)
	}
	o, err := k.Keeper.Operators.Get(ctx, account)
	return &QueryOperatorResponse{Operator: o}, answer(err)
}

// Operators lists all operators, a page at a time.
func (k queryServer) Operators(ctx context.Context, r *QueryOperatorsRequest) (*QueryOperatorsResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, k.Keeper.Operators, r.Pagination,
		func(_ sdk.AccAddress, o Operator) (Operator, error) { return o, nil })
	return &QueryOperatorsResponse{Operators: list, Pagination: page}, answer(err)
}

// Subscriber finds a subscriber by id.
func (k queryServer) Subscriber(ctx context.Context, r *QuerySubscriberRequest) (*QuerySubscriberResponse, error) {
	s, err := k.Keeper.Subscribers.Get(ctx, r.ID)
	return &QuerySubscriberResponse{Subscriber: s}, answer(err)
}

// Subscribers lists all subscribers by id, a page at a time.
func (k queryServer) Subscribers(ctx context.Context, r *QuerySubscribersRequest) (*QuerySubscribersResponse, error) {
	list, page, err := query.CollectionPaginate(ctx, k.Keeper.Subscribers, r.Pagination,
		func(_ []byte, s Subscriber) (Subscriber, error) { return s, nil })
	return &QuerySubscribersResponse{Subscribers: list, Pagination: page}, answer(err)
}

// answer gives an error the gRPC code that says whose fault it is.
func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, collections.ErrNotFound):
		return status.Error(codes.NotFound, "not found")
	case errors.Is(err, ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}
