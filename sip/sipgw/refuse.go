package sipgw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// MMCause is a reject cause of mobility management (TS 24.008 §10.5.3.6).
type MMCause uint8

// The causes that a phone in a GSM cell may be told.
const (
	IMSIUnknownInHLR    MMCause = 2
	IllegalMS           MMCause = 3
	NoSuitableCellsInLA MMCause = 15
	NetworkFailure      MMCause = 17
	Congestion          MMCause = 22
)

// refusal is how a registration ends that does not succeed.
type refusal struct {
	status int
	reason string  // "": the standard's phrase
	cause  MMCause // for the phone in a GSM cell
	retry  time.Duration
	why    error // for the log

	minExpires int64 // seconds, of a 423
}

func (r *refusal) Error() string { return fmt.Sprintf("%d, cause #%d: %v", r.status, r.cause, r.why) }
func (r *refusal) Unwrap() error { return r.why }

// homeRefused turns a home's refusal into a status, which OpenBTS turns into a
// cause of its own, and the cause that it should be. As the MME has it: whoever
// is of another network, or is not to be served, is sent to another one and not
// locked; a home that is silent is never the SIM's fault.
func homeRefused(err error) *refusal {
	switch home.CodeOf(err) {
	case home.UnknownSubscriber:
		return &refusal{status: 404, cause: IMSIUnknownInHLR, why: err}
	case home.ForeignRange, home.NotAuthorised:
		return &refusal{status: 424, reason: "Roaming Not Allowed", cause: NoSuitableCellsInLA, why: err}
	case home.Barred:
		return &refusal{status: 403, cause: NoSuitableCellsInLA, why: err}
	case home.NotSubscribed:
		return &refusal{status: 603, cause: NoSuitableCellsInLA, why: err}
	case home.WrongRES, home.ResyncFailed:
		return &refusal{status: 403, cause: IllegalMS, why: err}
	case home.RateLimited:
		return &refusal{status: 504, reason: "Too Many Attempts", cause: Congestion, retry: 10 * time.Second, why: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("home is silent: %w", err)
	}
	return &refusal{status: 503, cause: NetworkFailure, retry: 10 * time.Second, why: err}
}

var (
	forbidden  = &refusal{status: 403, cause: IllegalMS, why: errors.New("somebody else's name")}
	noStore    = &refusal{status: 503, cause: NetworkFailure, retry: 30 * time.Second, why: errors.New("the registration was not written to disk")}
	unknownTMS = &refusal{status: 481, reason: "TMSI Unknown", cause: NetworkFailure, why: errors.New("a TMSI, which nobody here has given")}
)

func badRequest(reason string) *refusal {
	return &refusal{status: 400, reason: reason, cause: NetworkFailure, why: errors.New(reason)}
}

// refuse answers with a refusal: apps are not told what a phone is told, nor
// whether a subscriber exists.
func (g *Gateway) refuse(s *txn.Server, w who, r *refusal) {
	g.count.refused(r)
	level := slog.LevelDebug // strangers come by the thousand
	if w.kind.GSM() {
		level = slog.LevelInfo
	}
	g.log.Log(context.Background(), level, "SIP registration refused", "imsi", w.imsi, "kind", w.kind, "status", r.status, "err", r.why)
	status, reason := r.status, r.reason
	var more []sip.Header
	if w.kind.GSM() {
		more = append(more, sip.Header{Name: "P-GSM-Reject-Cause", Value: strconv.Itoa(int(r.cause))})
	} else if status == 404 || status == 424 || status == 603 {
		status, reason = 403, ""
	}
	if r.retry != 0 {
		more = append(more, sip.Header{Name: "Retry-After", Value: strconv.Itoa(int(r.retry / time.Second))})
	}
	if r.minExpires != 0 {
		more = append(more, sip.Header{Name: "Min-Expires", Value: strconv.FormatInt(r.minExpires, 10)})
	}
	g.reply(s, status, reason, more...)
}

// label is the refusal's name in counts.
func (r *refusal) label() string { return fmt.Sprintf("%d #%d", r.status, r.cause) }
