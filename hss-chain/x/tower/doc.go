// Package tower is the chain's registry of towers: each a key, its owner, the
// eNB identity and cells it transmits as, its price and the shares in what it
// earns, and the newest that the tower itself has said about its radio. One
// global eNB identity belongs to one tower. The package moves no money and knows
// no channel: settlement copies the terms when one is opened. Nor does it judge
// what a tower says, which proves only that its key has said so.
package tower

import (
	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
)

// ModuleName is also the name of the module's store.
const ModuleName = "tower"

// Prefixes of the store, in the order of Keeper's fields. The primary record's
// is exported for those who follow committed changes of the store.
var (
	TowerPrefix = collections.NewPrefix(0)
	enbPrefix   = collections.NewPrefix(1)
)

// Reasons for refusing a message.
var (
	ErrInvalid  = errorsmod.Register(ModuleName, 2, "invalid")
	ErrExists   = errorsmod.Register(ModuleName, 3, "exists already")
	ErrUnknown  = errorsmod.Register(ModuleName, 4, "unknown")
	ErrENB      = errorsmod.Register(ModuleName, 5, "eNB identity belongs to another tower")
	ErrNotYours = errorsmod.Register(ModuleName, 6, "belongs to another owner")
	ErrStale    = errorsmod.Register(ModuleName, 7, "not newer than what the tower said before")
	ErrTooSoon  = errorsmod.Register(ModuleName, 8, "too soon")
)
