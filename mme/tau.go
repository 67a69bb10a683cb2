package mme

import (
	"errors"

	"campanile.network/3gpp/eps"
)

// update answers a tracking area update (TS 24.301 §5.5.3.2.5): this MME gives
// phones every tracking area it has and tells them to send no periodic updates,
// so one that comes is sent to attach again; with #10 a phone whose keys are
// known keeps them.
func (c *conn) update(in inbound) error {
	if in.sec == verified {
		return refuse(eps.EMMCauseImplicitlyDetached, errors.New("tracking area update, to be replaced by an attach"))
	}
	return refuse(eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, errors.New("no phone with such a key is known"))
}
