// Package logs makes the process's logger and fixes the words its lines use.
// It writes to what it is given, once a line, and keeps nothing.
package logs

import (
	"fmt"
	"io"
	"log/slog"
)

// The vocabulary: keys that more than one package uses in log lines, so that
// one search finds a thing wherever it is spoken of.
const (
	Role      = "role"      // mme, gateway, hss, tower, billing, chain
	Error     = "error"     // what went wrong
	Cause     = "cause"     // 3GPP cause, in the specification's words
	IMSI      = "imsi"      // masked
	ENB       = "enb"       // global eNB id
	Tower     = "tower"     // first digits of a tower's key
	Cell      = "cell"      // ECGI
	Address   = "address"   // a phone's IP address
	TEID      = "teid"      // tunnel endpoint
	Procedure = "procedure" // in the specification's words
	Took      = "took"      // duration of a procedure
	Height    = "height"    // of a block
	Channel   = "channel"   // payment channel
	Seq       = "seq"       // of a voucher
	Amount    = "amount"    // base denom
	Octets    = "octets"    // inner IP octets
	Peer      = "peer"      // remote address
)

// New makes a logger of level "debug", "info", "warn" or "error" and format
// "text" or "json".
func New(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: short}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: want text or json", format)
}

// short gives the time of day to the millisecond, and durations as people
// write them.
func short(groups []string, a slog.Attr) slog.Attr {
	switch {
	case a.Key == slog.TimeKey && len(groups) == 0:
		a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
	case a.Value.Kind() == slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().Round(10_000).String())
	}
	return a
}
