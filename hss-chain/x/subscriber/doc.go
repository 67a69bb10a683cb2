// Package subscriber is the chain's registry of operators (home networks), of
// the IMSI ranges they own, of the HSS nodes they authorise and of their
// subscribers. A subscriber here is a random id with state, plan, version and
// the hash of a blob kept off chain: the package holds no IMSI, no key and no
// ciphertext, and authenticates nobody.
package subscriber

import (
	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
)

// ModuleName is also the name of the module's store.
const ModuleName = "subscriber"

// Prefixes of the store, in the order of Keeper's fields. The two primary
// records are exported for those who follow committed changes of the store.
var (
	OperatorPrefix   = collections.NewPrefix(0)
	keyPrefix        = collections.NewPrefix(1)
	rangePrefix      = collections.NewPrefix(2)
	SubscriberPrefix = collections.NewPrefix(3)
)

// Reasons for refusing a message.
var (
	ErrInvalid  = errorsmod.Register(ModuleName, 2, "invalid")
	ErrExists   = errorsmod.Register(ModuleName, 3, "exists already")
	ErrUnknown  = errorsmod.Register(ModuleName, 4, "unknown")
	ErrRange    = errorsmod.Register(ModuleName, 5, "range belongs to another operator")
	ErrVersion  = errorsmod.Register(ModuleName, 6, "version is not the next one")
	ErrErased   = errorsmod.Register(ModuleName, 7, "subscriber is erased for good")
	ErrNotYours = errorsmod.Register(ModuleName, 8, "belongs to another operator")
)
