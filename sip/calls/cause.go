package calls

import (
	"strconv"
	"strings"
)

// Cause is a cause of Q.850, which GSM's are (TS 24.008 §10.5.4.11): 1 to 127;
// 0 is none.
type Cause uint8

// Causes that this package gives by itself.
const (
	CauseUnassigned     Cause = 1
	CauseNoRoute        Cause = 3
	CauseNormal         Cause = 16
	CauseBusy           Cause = 17
	CauseNoResponse     Cause = 18
	CauseNoAnswer       Cause = 19
	CauseRejected       Cause = 21
	CauseMoved          Cause = 22
	CauseOutOfOrder     Cause = 27
	CauseInvalidNumber  Cause = 28
	CauseUnspecified    Cause = 31
	CauseNoCircuit      Cause = 34
	CauseFailure        Cause = 41
	CauseCongestion     Cause = 42
	CauseNoResource     Cause = 47
	CauseNotAuthorised  Cause = 57
	CauseNotImplemented Cause = 79
	CauseIncompatible   Cause = 88
	CauseTimer          Cause = 102
	CauseInterworking   Cause = 127
)

// causeOf says which cause a final status is for a phone (RFC 3398 §8.2.6.1,
// with GSM's words where they are finer).
var causeOf = map[int]Cause{
	400: CauseFailure, 401: CauseRejected, 402: CauseRejected, 403: CauseRejected, 404: CauseUnassigned,
	405: 63, 406: CauseNotImplemented, 407: CauseRejected, 408: CauseTimer, 410: CauseMoved,
	413: CauseInterworking, 414: CauseInterworking, 415: CauseNotImplemented, 416: CauseInterworking,
	420: CauseInterworking, 421: CauseInterworking, 422: CauseInterworking, 423: CauseInterworking,
	433: CauseRejected, 480: CauseNoResponse, 481: CauseFailure, 482: 25, 483: 25, 484: CauseInvalidNumber,
	485: CauseUnassigned, 486: CauseBusy, 487: CauseNormal, 488: CauseIncompatible, 491: CauseFailure,
	500: CauseFailure, 501: CauseNotImplemented, 502: 38, 503: CauseFailure, 504: CauseTimer,
	505: CauseInterworking, 513: CauseInterworking, 580: CauseNoResource,
	600: CauseBusy, 603: CauseRejected, 604: CauseUnassigned, 606: CauseIncompatible,
}

// CauseOf is the cause that a final status of SIP is for a phone.
func CauseOf(status int) Cause {
	if status < 300 {
		return CauseNormal
	}
	if c, ok := causeOf[status]; ok {
		return c
	}
	return CauseInterworking
}

// reasonCause reads the cause in the values of Reason header fields (RFC 3326 §2).
func reasonCause(values []string) Cause {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			protocol, params, _ := strings.Cut(one, ";")
			if !strings.EqualFold(strings.TrimSpace(protocol), "Q.850") {
				continue
			}
			for p := range strings.SplitSeq(params, ";") {
				name, value, _ := strings.Cut(p, "=")
				if !strings.EqualFold(strings.TrimSpace(name), "cause") {
					continue
				}
				if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 7); err == nil && n > 0 {
					return Cause(n)
				}
			}
		}
	}
	return 0
}

// reason is the value of a Reason header field that tells c.
func (c Cause) reason() string {
	return "Q.850;cause=" + strconv.Itoa(int(c))
}
