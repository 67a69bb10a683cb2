package mme

import (
	"context"
	"errors"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// LocalMessages is a message centre that keeps nothing: what a phone sends to the
// number of another phone of the same MME is delivered while the sender waits, or
// is refused, so that nobody is told that a message is on its way which is not.
// It makes no status reports, takes no commands and knows no other network. The
// zero value is ready; it serves one MME.
type LocalMessages struct {
	mu sync.Mutex
	m  *MME
}

// serve is called by New.
func (l *LocalMessages) serve(m *MME) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m != nil {
		return errors.New("mme: this LocalMessages serves another MME")
	}
	l.m = m
	return nil
}

// Ready does nothing: nothing is kept for anybody.
func (l *LocalMessages) Ready(id.IMSI) {}

// Submit delivers an SMS-SUBMIT as SMS-DELIVER (TS 23.040 §9.2.2).
func (l *LocalMessages) Submit(ctx context.Context, from Sender, rp sms.RP) (sms.RP, error) {
	l.mu.Lock()
	m := l.m
	l.mu.Unlock()
	data, ok := rp.(*sms.RPData)
	if !ok { // memory available: nothing was kept
		return &sms.RPAck{}, nil
	}
	tpdu, err := data.TPDU()
	if e, broken := errors.AsType[*sms.Error](err); broken {
		report, err := sms.Append(nil, &sms.SubmitReport{Failure: sms.Some(e.FCS), Timestamp: sms.NewTimestamp(m.now())})
		return &sms.RPError{Cause: e.RP, User: report}, err
	}
	submit, ok := tpdu.(*sms.Submit)
	switch {
	case !ok:
		return &sms.RPError{Cause: sms.RPCauseFacilityNotImplemented}, nil
	case from.MSISDN.IsZero(): // nobody could say who it is from
		return &sms.RPError{Cause: sms.RPCauseFacilityNotSubscribed}, nil
	}
	to, ok := m.numbered(submit.Destination)
	if !ok {
		return &sms.RPError{Cause: sms.RPCauseUnassignedNumber}, nil
	}
	deliver, err := sms.Append(nil, &sms.Deliver{Originator: sms.FromMSISDN(from.MSISDN), PID: submit.PID, DCS: submit.DCS,
		Timestamp: sms.NewTimestamp(m.now()), User: submit.User})
	if err != nil {
		return nil, err
	}
	answer, err := m.DeliverSMS(ctx, to, sms.RPData{Originator: data.Destination, User: deliver})
	if err != nil {
		return &sms.RPError{Cause: sms.RPCauseDestinationOutOfOrder}, nil
	}
	if e, ok := answer.(*sms.RPError); ok {
		return &sms.RPError{Cause: e.Cause}, nil
	}
	return &sms.RPAck{}, nil
}

func (m *MME) now() time.Time { return time.Now().In(m.o.Zone) }

// numbered finds the phone whose number in international form has these digits,
// with a plus before them or not.
func (m *MME) numbered(a sms.Address) (id.IMSI, bool) {
	number, err := id.ParseMSISDN(a.Digits())
	if err != nil {
		return id.IMSI{}, false
	}
	for _, u := range m.known.all() {
		if i := u.show(nil); i.MSISDN == number {
			return i.IMSI, true
		}
	}
	return id.IMSI{}, false
}
