package smsc

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/sms"
)

// kind is what an attempt comes to.
type kind uint8

const (
	delivered kind = iota + 1
	absent         // the phone is not there
	busy           // it is, and does not take the message now
	noMemory       // it has no room: it says so when it has (TS 23.040 §3.2.8)
	unknown        // nobody knows whether it has the message
	refused        // it will not take it
)

func (k kind) String() string {
	return [...]string{"none", "delivered", "absent", "busy", "no memory", "no answer", "refused"}[k]
}

// stopped is the status of a message that is tried no more after this (TS 23.040
// §9.2.3.15).
func (k kind) stopped() sms.Status {
	switch k {
	case busy:
		return sms.StatusStoppedBusy
	case noMemory:
		return sms.StatusStoppedErrorInSME
	}
	return sms.StatusStoppedNoResponse
}

// outcome is what came of an attempt.
type outcome struct {
	kind   kind
	final  bool
	status sms.Status // if final
	said   bool       // the phone has answered
	path   Path       // which brought it, or was tried last
	name   string     // of path
}

// word is the outcome in statistics.
func (o outcome) word() string {
	if o.kind == delivered {
		return "delivered by " + o.name
	}
	return o.kind.String()
}

// judge says what a path's word means.
func (c *Centre) judge(ctx context.Context, rp sms.RP, err error) outcome {
	switch {
	case errors.Is(err, ErrNotRegistered), errors.Is(err, ErrAbsent):
		return outcome{kind: absent}
	case errors.Is(err, ErrBusy):
		return outcome{kind: busy}
	case err != nil:
		if ctx.Err() == nil {
			c.log.Info("short message not answered", "error", err)
		}
		return outcome{kind: unknown}
	}
	switch rp := rp.(type) {
	case *sms.RPAck:
		return outcome{kind: delivered, final: true, status: sms.StatusReceived, said: true}
	case *sms.RPError:
		return ofError(rp)
	}
	c.log.Error("a path answers with what is no answer", "answer", fmt.Sprintf("%T", rp))
	return outcome{kind: unknown}
}

// ofError says what a phone's RP-ERROR means (TS 24.011 §8.2.5.4, TS 23.040
// §9.2.3.22): what is temporary is tried again, the rest is not.
func ofError(e *sms.RPError) outcome {
	o := outcome{kind: refused, final: true, said: true, status: sms.StatusIncompatible}
	var fcs sms.FailureCause
	if t, err := e.TPDU(); err == nil {
		if r, ok := t.(*sms.DeliverReport); ok {
			fcs = r.Failure.V
		}
	}
	switch {
	case e.Cause == sms.RPCauseMemoryCapacityExceeded, fcs == sms.FailureMemoryExceeded, fcs == sms.FailureStorageFull:
		return outcome{kind: noMemory}
	case fcs == sms.FailureToolkitBusy, fcs == sms.FailureBusy, e.Cause.Temporary():
		return outcome{kind: busy, said: true}
	}
	switch e.Cause {
	case sms.RPCauseUnassignedNumber, sms.RPCauseUnidentifiedSubscriber, sms.RPCauseUnknownSubscriber:
		o.status = sms.StatusNotObtainable
	case sms.RPCauseTransferRejected, sms.RPCauseOperatorDeterminedBarring, sms.RPCauseCallBarred:
		o.status = sms.StatusConnectionRejected
	case sms.RPCauseFacilityRejected, sms.RPCauseFacilityNotSubscribed, sms.RPCauseFacilityNotImplemented:
		o.status = sms.StatusNoInterworking
	}
	return o
}
