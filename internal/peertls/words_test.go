package peertls_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/internal/peertls"
)

// Nobody reads gRPC's own words.
func TestInWords(t *testing.T) {
	for says, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7100: connect: connection refused"`: "nothing listens there: is it running?",
		`error reading from server: EOF`: "it ended the connection: is it running?",
		`connection error: desc = "transport: Error while dialing: dial tcp: lookup core.example: no such host"`:   "nobody knows that name",
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate"`: "it is not who it should be",
		`something new`: "something new",
	} {
		if got := peertls.InWords(fmt.Errorf("ledger: %w", status.Error(codes.Unavailable, says))); !strings.HasPrefix(got, want) || strings.Contains(got, "rpc error") {
			t.Errorf("%s: %s", says, got)
		}
	}
	if got := peertls.InWords(errors.New("its own")); got != "its own" {
		t.Error(got)
	}
}
