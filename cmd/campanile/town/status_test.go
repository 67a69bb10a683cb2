package town

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/hss-chain/ledger"
)

// Nobody reads gRPC's own words.
func TestWhyInWords(t *testing.T) {
	for says, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7100: connect: connection refused"`: "nothing listens there: is it running?",
		`error reading from server: EOF`: "it ended the connection: is it running?",
		`connection error: desc = "transport: Error while dialing: dial tcp: lookup core.example: no such host"`:   "nobody knows that name",
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate"`: "it is not who it should be",
		`something new`: "something new",
	} {
		if got := inWords(fmt.Errorf("ledger: %w", status.Error(codes.Unavailable, says))); !strings.HasPrefix(got, want) || strings.Contains(got, "rpc error") {
			t.Errorf("%s: %s", says, got)
		}
	}
	if got := inWords(errors.New("its own")); got != "its own" {
		t.Error(got)
	}
}

// Who is away is told with his address and since when, and once a minute.
func TestAwaySinceWhen(t *testing.T) {
	m, err := ledger.Open(ledger.Options{Path: filepath.Join(t.TempDir(), "l.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	synctest.Test(t, func(t *testing.T) {
		a := &away{model: m, at: "192.0.2.1:7100"}
		if got := a.text(); got != ", from hss-chain at 192.0.2.1:7100" {
			t.Errorf("%q", got)
		}
		begin := time.Now()
		told := 0
		for range 100 {
			if a.set("nothing listens there") {
				told++
			}
			time.Sleep(2 * time.Second)
		}
		want := "; hss-chain at 192.0.2.1:7100 is away since " + begin.Format(time.TimeOnly) + ": nothing listens there"
		if got := a.text(); got != want || told != 4 {
			t.Errorf("%q, want %q; told %d times in 200 s", got, want, told)
		}
		if !a.set("no answer") || !strings.Contains(a.text(), begin.Format(time.TimeOnly)+": no answer") {
			t.Error(a.text())
		}
	})
}

// Ends that have their transport in common have a line in common.
func TestTransportLines(t *testing.T) {
	got := transportLines([]transport{{"MME", "udp (configured)"}, {"agent towards eNBs", "kernel (auto: there)"}, {"virtual eNB", "udp (configured)"}})
	if want := []string{"MME, virtual eNB: SCTP over udp (configured)", "agent towards eNBs: SCTP over kernel (auto: there)"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
