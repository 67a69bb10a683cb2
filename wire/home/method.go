package home

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
)

// Method is by what a phone proves itself.
type Method uint8

// The methods. What they are worth differs, and their tickets say so: a GSM
// challenge does not authenticate the network, so that anybody with a radio can
// put one to a phone, and its Kc has 64 bits; an application's password is no
// card at all, and whoever copies it is the subscriber. Tickets of both are
// proof.Asserted; those of EPS and UMTS, where the card refuses challenges that
// are not its home's, are proof.Proven.
const (
	EPS  Method = iota // RAND and AUTN earn K_ASME (TS 33.401 §6.1.1)
	UMTS               // RAND and AUTN earn CK and IK: IMS AKA, a USIM at a cell that takes AUTN (TS 33.102 §6.3)
	GSM                // RAND earns Kc, of a SIM or a USIM (TS 43.020 §3, TS 33.102 §6.8.1)
	App                // a password, answered by digest (RFC 8760)
)

var methodNames = [...]string{"EPS", "UMTS", "GSM", "App"}

func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// Errors of a Directory.
var (
	ErrNobody      = errors.New("home: nobody has this number or IMSI")
	ErrNumberTaken = errors.New("home: the number is another subscriber's")
)

// Directory knows the numbers of one operator's own subscribers, as an HLR does
// for its message centre (Send Routing Info for SM, TS 29.002 §12.1). It is asked
// inside the operator only. Errors: ErrNobody, ErrNumberTaken, those of the
// context and the transport.
type Directory interface {
	// ByNumber finds who is called by a number.
	ByNumber(context.Context, id.MSISDN) (id.IMSI, error)
	// Number gives a subscriber's number, the zero MSISDN when he has none.
	Number(context.Context, id.IMSI) (id.MSISDN, error)
	// Assign gives a subscriber a number in place of the one he has; it returns
	// when the ledger stands for it. A number is one subscriber's.
	Assign(context.Context, id.IMSI, id.MSISDN) error
}
