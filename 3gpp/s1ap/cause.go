package s1ap

import "fmt"

// Cause returns the Cause that holds c.
func (c CauseRadioNetwork) Cause() Cause {
	return Cause{Choice: CauseChoiceRadioNetwork, RadioNetwork: c}
}

// Cause returns the Cause that holds c.
func (c CauseTransport) Cause() Cause { return Cause{Choice: CauseChoiceTransport, Transport: c} }

// Cause returns the Cause that holds c.
func (c CauseNas) Cause() Cause { return Cause{Choice: CauseChoiceNas, Nas: c} }

// Cause returns the Cause that holds c.
func (c CauseProtocol) Cause() Cause { return Cause{Choice: CauseChoiceProtocol, Protocol: c} }

// Cause returns the Cause that holds c.
func (c CauseMisc) Cause() Cause { return Cause{Choice: CauseChoiceMisc, Misc: c} }

// String returns group and value as TS 36.413 names them, "nas: detach".
func (c Cause) String() string {
	switch c.Choice {
	case CauseChoiceRadioNetwork:
		return "radioNetwork: " + c.RadioNetwork.String()
	case CauseChoiceTransport:
		return "transport: " + c.Transport.String()
	case CauseChoiceNas:
		return "nas: " + c.Nas.String()
	case CauseChoiceProtocol:
		return "protocol: " + c.Protocol.String()
	case CauseChoiceMisc:
		return "misc: " + c.Misc.String()
	case CauseChoiceUnknown:
		if c.Unknown != nil {
			return fmt.Sprintf("unknown group %d", c.Unknown.Index)
		}
	}
	return "none"
}
