package eps

// A conditional message has elements that must be there in some cases. The
// other conditional element of TS 24.301, the CSFB response (§8.2.15.2), may
// always be left out.
type conditional interface {
	// missing names an element that the rest of the message calls for and that
	// is not there.
	missing() string
}

// missing: T3442 goes with cause #39 (TS 24.301 §8.2.24.2).
func (m *ServiceReject) missing() string {
	if m.Cause == EMMCauseCSServiceTemporarilyNotAvailable && !m.T3442.OK {
		return "T3442 value"
	}
	return ""
}
