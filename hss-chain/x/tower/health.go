package tower

import (
	"context"
	"errors"
	"time"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/wire/proof"
)

// ReportHealth keeps what a tower says about its radio, whoever brings it: the
// newest, and not more often than proof.Health.After allows, so that neither
// blocks nor state grow by talk. Errors: ErrInvalid, ErrUnknown, ErrStale,
// ErrTooSoon.
func (k msgServer) ReportHealth(ctx context.Context, m *MsgReportHealth) (*MsgReportHealthResponse, error) {
	block := sdk.UnwrapSDKContext(ctx)
	said, err := proof.OpenHealth(block.ChainID(), m.Statement)
	if err != nil {
		return nil, invalid("%v", err)
	}
	t, err := k.Tower(ctx, said.Tower[:])
	if err != nil {
		return nil, err
	}
	last, heard := t.Health.said()
	switch err := said.After(last, heard, block.BlockTime()); {
	case errors.Is(err, proof.ErrStale):
		return nil, errorsmod.Wrapf(ErrStale, "tower %x", t.Key)
	case errors.Is(err, proof.ErrTooSoon):
		return nil, errorsmod.Wrap(ErrTooSoon, err.Error())
	case err != nil:
		return nil, invalid("%v", err)
	}
	t.Health = &Health{State: RadioState(said.State), Since: said.Since, Restarts: said.Restarts, Said: said.At, Heard: block.BlockTime()}
	if err := k.Towers.Set(ctx, t.Key, t); err != nil {
		return nil, err
	}
	return &MsgReportHealthResponse{}, block.EventManager().EmitTypedEvent(&EventTowerHealth{Key: t.Key, Health: *t.Health})
}

// said is the statement the record was made of, as far as others are compared
// with it, and when it was heard; zero for no record.
func (h *Health) said() (proof.Health, time.Time) {
	if h == nil {
		return proof.Health{}, time.Time{}
	}
	return proof.Health{State: proof.RadioState(h.State), Since: h.Since, Restarts: h.Restarts, At: h.Said}, h.Heard
}

// check is what a record that came by ReportHealth fulfils.
func (h *Health) check() error {
	switch {
	case h == nil:
		return nil
	case h.State < RadioStarting || h.State > RadioStopped:
		return invalid("radio state %d", h.State)
	case h.Since.Unix() < 0 || h.Said.Before(h.Since) || h.Said.After(h.Heard.Add(proof.HealthAhead)):
		return invalid("health: said at %s of a state since %s, heard at %s", h.Said, h.Since, h.Heard)
	}
	return nil
}
