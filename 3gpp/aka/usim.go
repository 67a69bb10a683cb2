package aka

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// SynchFailure says that SQN is not in the card's range (EMM cause #21); AUTS
// goes back to the home.
type SynchFailure struct {
	AUTS AUTS
	SQN  SQN // the refused number
	MS   SQN // the card's highest
}

func (e *SynchFailure) Error() string {
	return fmt.Sprintf("aka: synch failure: SQN %v refused, card is at %v (EMM cause #21)", e.SQN, e.MS)
}

// Cause gives the EMM cause with which a phone reports an error of this
// package in Authentication Failure (TS 24.301 §5.4.2.6): 20, 21 or 26; false
// for any other error.
func Cause(err error) (uint8, bool) {
	var s *SynchFailure
	switch {
	case errors.Is(err, ErrMAC):
		return 20, true
	case errors.As(err, &s):
		return 21, true
	case errors.Is(err, ErrNonEPS):
		return 26, true
	}
	return 0, false
}

// USIMOptions is what a card is born with, and its restorable state.
type USIMOptions struct {
	Algorithm Algorithm    // with the card's key
	SEQ       [INDs]uint64 // highest SEQ accepted per IND; zero for a fresh card
	Delta     uint64       // largest step forward; 0 means Delta (2^28)
	Limit     uint64       // age limit L on old numbers; 0 means none (TS 33.102 §C.2.2)
}

// USIM is a card with the sequence number array of TS 33.102 §C.2. It belongs
// to one goroutine.
type USIM struct {
	f     Algorithm
	seq   [INDs]uint64
	top   SQN // SQN_MS: the highest accepted
	delta uint64
	limit uint64
}

// NewUSIM makes a card; an error without algorithm, ErrSEQ if an entry of the
// array exceeds 43 bits.
func NewUSIM(o USIMOptions) (*USIM, error) {
	if o.Algorithm == nil {
		return nil, errors.New("aka: card without algorithm")
	}
	u := &USIM{f: o.Algorithm, seq: o.SEQ, delta: o.Delta, limit: o.Limit}
	if u.delta == 0 {
		u.delta = Delta
	}
	for ind, seq := range o.SEQ {
		sqn, err := MakeSQN(seq, uint8(ind))
		if err != nil {
			return nil, fmt.Errorf("array entry %d: %w", ind, err)
		}
		if seq > u.top.SEQ() {
			u.top = sqn
		}
	}
	return u, nil
}

// Array gives the highest SEQ accepted per IND, to restore a card with.
func (u *USIM) Array() [INDs]uint64 { return u.seq }

// Highest gives SQN_MS.
func (u *USIM) Highest() SQN { return u.top }

// Answer is what a card returns to the phone.
type Answer struct {
	RES    RES
	CK, IK secret.Key128
}

// Authenticate answers a UMTS challenge (TS 33.102 §6.3.3): ErrMAC, or a
// *SynchFailure with AUTS, or the response and keys; only then is the number
// marked as used.
func (u *USIM) Authenticate(rand RAND, autn AUTN) (Answer, error) {
	res, ck, ik, ak := u.f.F2345(rand)
	var o [6]byte
	subtle.XORBytes(o[:], autn[:6], ak[:])
	macA, _ := u.f.F1(rand, o, autn.AMF())
	if subtle.ConstantTimeCompare(macA[:], autn[8:]) != 1 {
		return Answer{}, ErrMAC
	}
	sqn := DecodeSQN(o)
	if !u.fresh(sqn) {
		return Answer{}, &SynchFailure{AUTS: BuildAUTS(u.f, rand, u.top), SQN: sqn, MS: u.top}
	}
	u.seq[sqn.IND()] = sqn.SEQ()
	if sqn.SEQ() > u.top.SEQ() {
		u.top = sqn
	}
	return Answer{RES: res, CK: ck, IK: ik}, nil
}

// fresh is the acceptance rule of TS 33.102 §C.2.2.
func (u *USIM) fresh(sqn SQN) bool {
	seq, top := sqn.SEQ(), u.top.SEQ()
	if seq > top && seq-top > u.delta {
		return false
	}
	if u.limit != 0 && top > seq && top-seq >= u.limit {
		return false
	}
	return seq > u.seq[sqn.IND()]
}

// AuthenticateEPS answers an EPS challenge of a serving network as phone and
// card do together: the phone refuses an AUTN whose separation bit is 0 with
// ErrNonEPS before it asks the card (TS 33.401 §6.1.1); the card answers as
// Authenticate does; the phone derives K_ASME.
func (u *USIM) AuthenticateEPS(rand RAND, autn AUTN, plmn id.PLMN) (RES, secret.Key256, error) {
	if !autn.AMF().Separation() {
		return RES{}, secret.Key256{}, ErrNonEPS
	}
	a, err := u.Authenticate(rand, autn)
	if err != nil {
		return RES{}, secret.Key256{}, err
	}
	return a.RES, KASME(a.CK, a.IK, plmn, autn), nil
}
