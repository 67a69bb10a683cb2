package mme

import (
	"fmt"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

// reserved is how many downlink COUNTs are on disk as used before they are, so
// that not every message waits for the disk. After a restart the MME goes on
// behind all of them; the phone, which sees eight bits, bridges 255.
const reserved = 32

// keyset is an EPS NAS security context of a phone (TS 24.301 §4.4.2). It is
// folded, that is without the expanded keys, while the phone is idle. Its methods
// are called under ue.secMu.
type keyset struct {
	folded nassec.State    // while open is nil
	open   *nassec.Context // nil while folded
	mark   nassec.Count    // downlink COUNTs below it are on disk as used
	grant  *lease          // of the unconfirmed ones: what the home granted with them
	kept   bool            // a record has them
}

// newKeyset checks a state, which use may then open.
func newKeyset(s nassec.State) (*keyset, error) {
	c, err := nassec.New(s)
	if err != nil {
		return nil, err
	}
	return &keyset{open: c, mark: s.DL}, nil
}

// use gives the context with its keys expanded.
func (k *keyset) use() *nassec.Context {
	if k.open == nil {
		c, err := nassec.New(k.folded)
		if err != nil {
			panic(fmt.Sprintf("a security context that was good once: %v", err))
		}
		k.open = c
	}
	return k.open
}

// try is f with the context, which is folded again if f fails and it was: what
// others send in a phone's name leaves nothing behind.
func (k *keyset) try(f func(*nassec.Context) error) error {
	folded := k.open == nil
	err := f(k.use())
	if err != nil && folded {
		k.fold()
	}
	return err
}

// fold forgets the expanded keys.
func (k *keyset) fold() {
	if k != nil && k.open != nil {
		k.folded, k.open = k.open.State(), nil
	}
}

// isKept says that a record has, or may have, the context.
func (k *keyset) isKept() bool { return k != nil && k.kept }

// State gives the whole context.
func (k *keyset) State() nassec.State {
	if k.open != nil {
		return k.open.State()
	}
	return k.folded
}

// KSI gives the key set identifier.
func (k *keyset) KSI() uint8 { return k.State().KSI }

// Algorithms gives the chosen algorithms.
func (k *keyset) Algorithms() (nassec.EEA, nassec.EIA) {
	s := k.State()
	return s.EEA, s.EIA
}

// algorithms is what UEInfo.Security says.
func (k *keyset) algorithms() string {
	eea, eia := k.Algorithms()
	return eea.String() + " " + eia.String()
}

// NearWrap is nassec.Context.NearWrap.
func (k *keyset) NearWrap(margin nassec.Count) bool { return k.use().NearWrap(margin) }

// KeNB is nassec.Context.KeNB.
func (k *keyset) KeNB(ul nassec.Count) secret.Key256 { return k.use().KeNB(ul) }

// NextHop is nassec.Context.NextHop.
func (k *keyset) NextHop(prev nassec.NextHop) nassec.NextHop { return k.use().NextHop(prev) }

// short says that a message more would have a COUNT that is not reserved.
func (k *keyset) short() bool { return k != nil && k.State().DL >= k.mark }

// reserve moves the mark as far ahead as it may be.
func (k *keyset) reserve() {
	if k != nil {
		k.mark = min(k.State().DL+reserved, nassec.MaxCount+1)
	}
}

// counts are what must be on disk of a context before an answer leaves.
func (k *keyset) counts() (ul, mark nassec.Count) {
	if k == nil {
		return 0, 0
	}
	return k.State().UL, k.mark
}
