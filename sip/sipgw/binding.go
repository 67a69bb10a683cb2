package sipgw

import (
	"errors"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Kind is what is registered.
type Kind uint8

// The kinds.
const (
	OpenBTS Kind = iota + 1 // a GSM phone in a cell of OpenBTS
	YateBTS                 // a GSM phone in a cell of YateBTS
	App                     // a SIP app with a password
	IMS                     // a phone with a SIM that speaks SIP itself (TS 24.229)
)

func (k Kind) String() string {
	return [...]string{"none", "OpenBTS", "YateBTS", "app", "IMS"}[min(k, 5)%5]
}

// GSM says that the phone is in a GSM cell.
func (k Kind) GSM() bool { return k == OpenBTS || k == YateBTS }

// Binding is a place where a subscriber is reached (RFC 3261 §10). It is never
// changed: who has one reads it without a lock, and a later registration makes
// another.
type Binding struct {
	IMSI       id.IMSI
	MSISDN     id.MSISDN // zero: none
	Kind       Kind
	Contact    sip.Address // as registered; requests have its URI and go by Flow
	Flow       txn.Flow    // whence it registered: the way back through a NAT (RFC 5626 §5.3)
	Registered time.Time
	Station    *Station // of a GSM phone
	Cell       id.CGI   // of a GSM phone
	Phy        PhysicalInfo
	Expires    time.Time
	Ticket     []byte // what its home lent for this registration
	Stay       Stay   // nil: nothing is counted

	callID string // with cseq: the order of an app's registrations (RFC 3261 §10.3)
	cseq   uint32
}

// RequestURI is where requests to the phone or app go: cells find a phone by its
// IMSI in the user part.
func (b *Binding) RequestURI() sip.URI {
	u := b.Contact.URI
	if b.Kind.GSM() {
		u.User = "IMSI" + b.IMSI.Digits()
	}
	return u
}

// PhysicalInfo is what a base station said of a phone's radio when it registered
// or last spoke. Zero where it said nothing.
type PhysicalInfo struct {
	TA   int     // timing advance, in symbols: some 550 m each
	RSSI float64 // uplink, in dB below full scale or dBm, as the station has it
}

// place tells bindings of a subscriber apart: a GSM phone is at one cell, an app
// that names its instance (RFC 5626 §4.1) at one contact for each way, and others at
// as many contacts as they like.
func (b *Binding) place() string {
	if b.Kind.GSM() {
		return "gsm"
	}
	if instance := b.Contact.Params.Get("+sip.instance"); instance != "" {
		return instance + " " + b.Contact.Params.Get("reg-id")
	}
	return b.Contact.URI.String()
}

var (
	errFull     = errors.New("too many registrations")
	errContacts = errors.New("too many contacts of this subscriber")
	errOrder    = errors.New("an older registration than the one that stands")
)

// table has all bindings.
type table struct {
	mu       sync.RWMutex
	byIMSI   map[id.IMSI][]*Binding
	byNumber map[id.MSISDN]id.IMSI
	count    int
	max, per int
	// byKind is how many there are of each kind.
	byKind [IMS + 1]int
}

func newTable(p Policy) *table {
	return &table{byIMSI: map[id.IMSI][]*Binding{}, byNumber: map[id.MSISDN]id.IMSI{}, max: p.MaxBindings, per: p.MaxContacts}
}

// put enters b in place of the one at the same place, which it gives.
func (t *table) put(b *Binding, now time.Time) (old *Binding, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.byIMSI[b.IMSI]
	i := slices.IndexFunc(all, func(o *Binding) bool { return o.place() == b.place() })
	switch {
	case i >= 0:
		old = all[i]
		if !b.Kind.GSM() && old.callID == b.callID && b.cseq <= old.cseq && old.Expires.After(now) {
			return nil, errOrder
		}
	case t.count >= t.max:
		return nil, errFull
	case len(all) >= t.per:
		return nil, errContacts
	}
	all = slices.Clone(all) // readers may have it
	if i >= 0 {
		all[i] = b
		t.byKind[old.Kind]--
	} else {
		all = append(all, b)
		t.count++
	}
	t.byKind[b.Kind]++
	t.byIMSI[b.IMSI] = all
	t.number(b)
	return old, nil
}

// at is the binding at the place of b, or nil.
func (t *table) at(b *Binding) *Binding {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, o := range t.byIMSI[b.IMSI] {
		if o.place() == b.place() {
			return o
		}
	}
	return nil
}

// number keeps the way from a number to its subscriber. Who is called is the
// directory's affair; this is for who speaks of himself by number.
func (t *table) number(b *Binding) {
	if !b.MSISDN.IsZero() {
		t.byNumber[b.MSISDN] = b.IMSI
	}
}

// remove takes b out, if it is still there.
func (t *table) remove(b *Binding) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.byIMSI[b.IMSI]
	i := slices.Index(all, b)
	if i < 0 {
		return false
	}
	all = slices.Delete(slices.Clone(all), i, i+1)
	t.count--
	t.byKind[b.Kind]--
	if len(all) > 0 {
		t.byIMSI[b.IMSI] = all
		return true
	}
	delete(t.byIMSI, b.IMSI)
	if t.byNumber[b.MSISDN] == b.IMSI {
		delete(t.byNumber, b.MSISDN)
	}
	return true
}

// swap puts b in the place of old, unless that has been replaced meanwhile.
func (t *table) swap(old, b *Binding) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.byIMSI[b.IMSI]
	i := slices.Index(all, old)
	if i < 0 {
		return false
	}
	all = slices.Clone(all)
	all[i] = b
	t.byIMSI[b.IMSI] = all
	return true
}

// of gives the bindings of a subscriber that have not expired: a GSM phone first,
// then the newest.
func (t *table) of(imsi id.IMSI, now time.Time) []*Binding {
	t.mu.RLock()
	all := t.byIMSI[imsi]
	t.mu.RUnlock()
	var live []*Binding
	for _, b := range all {
		if b.Expires.After(now) {
			live = append(live, b)
		}
	}
	slices.SortStableFunc(live, func(a, b *Binding) int {
		if a.Kind.GSM() != b.Kind.GSM() {
			if a.Kind.GSM() {
				return -1
			}
			return 1
		}
		return b.Expires.Compare(a.Expires)
	})
	return live
}

// imsiOf is the subscriber who registered with a number.
func (t *table) imsiOf(n id.MSISDN) (id.IMSI, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	imsi, ok := t.byNumber[n]
	return imsi, ok
}

// expired gives those whose time is over.
func (t *table) expired(now time.Time) (over []*Binding) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, all := range t.byIMSI {
		for _, b := range all {
			if !b.Expires.After(now) {
				over = append(over, b)
			}
		}
	}
	return over
}

// each gives every binding to f until that says no.
func (t *table) each(f func(*Binding) bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, all := range t.byIMSI {
		for _, b := range all {
			if !f(b) {
				return
			}
		}
	}
}

func (t *table) kinds() [IMS + 1]int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byKind
}
