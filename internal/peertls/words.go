package peertls

import (
	"errors"
	"strings"

	"google.golang.org/grpc/status"
)

// InWords is why a call to a peer failed, for people: gRPC's own words say
// little, and TLS's less. An error that is not gRPC's keeps its own.
func InWords(err error) string {
	var of interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &of) {
		return err.Error()
	}
	s := of.GRPCStatus()
	for _, c := range []struct{ has, means string }{
		{"connection refused", "nothing listens there: is it running?"},
		{"no route to host", "that host does not answer: is it up, and the address right?"},
		{"network is unreachable", "this machine has no way to that network"},
		{"no such host", "nobody knows that name"},
		{"i/o timeout", "no answer: is it up, and does a firewall let it through?"},
		{"deadline exceeded", "no answer: is it up, and does a firewall let it through?"},
		{"keepalive ping failed", "it went without a word"},
		{"connection timed out", "it went without a word"},
		{"connection reset", "it broke the connection off"},
		{"broken pipe", "it broke the connection off"},
		{"EOF", "it ended the connection: is it running?"},
		{"tls: ", "it is not who it should be: " + s.Message()},
	} {
		if strings.Contains(s.Message(), c.has) {
			return c.means
		}
	}
	return s.Message()
}
