package txn

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/wire/sip"
)

// stranger is a program that CI installs.
func stranger(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// answerer is an endpoint on loopback that answers calls: "busy" with 486,
// "ring" not at all, others at once.
func answerer(t *testing.T, o Options) *Endpoint {
	t.Helper()
	o.Admission.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	e, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Serve(ctx, answerCall) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

func answerCall(_ context.Context, s *Server) {
	contact := func(status int) *sip.Message {
		r := s.Request.Response(status, "")
		r.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: "answerer", Host: "127.0.0.1"}}}
		return r
	}
	switch m := s.Request; {
	case m.Method == sip.MethodAck:
	case m.Method != sip.MethodInvite:
		_ = s.Reply(200, "")
	case m.URI.User == "busy":
		_ = s.Reply(486, "")
	case m.URI.User == "ring":
		_ = s.Respond(contact(180))
		select {
		case <-s.Cancelled():
			_ = s.Reply(487, "")
		case <-s.Done():
		}
	default:
		_ = s.Respond(contact(180))
		_ = s.Respond(contact(200))
	}
}

// TestStrangerSipp has sipp call, with what networks and callers do wrong.
func TestStrangerSipp(t *testing.T) {
	sipp := stranger(t, "sipp")
	for _, v6 := range []bool{false, true} {
		at, local := "127.0.0.1:0", "127.0.0.1"
		if v6 {
			at, local = "[::1]:0", "::1"
		}
		for _, c := range []struct{ scenario, user, transport string }{
			{"call", "bob", UDP}, {"lost-ack", "bob", UDP}, {"busy", "busy", UDP}, {"twice", "bob", UDP}, {"cancel", "ring", UDP}, {"late-cancel", "bob", UDP},
			{"options", "bob", UDP}, {"call", "bob", TCP}, {"cancel", "ring", TCP}, {"options", "bob", TCP},
		} {
			if v6 && c.scenario != "call" {
				continue
			}
			t.Run(fmt.Sprint(c.scenario, " ", c.transport, " ", local), func(t *testing.T) {
				t.Parallel()
				a := []netip.AddrPort{netip.MustParseAddrPort(at)}
				e := answerer(t, Options{UDP: a, TCP: a})
				to, _ := e.Local(c.transport)
				mode := map[string]string{UDP: "u1", TCP: "t1"}[c.transport]
				file, err := filepath.Abs("testdata/" + c.scenario + ".xml")
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
				defer stop()
				cmd := exec.CommandContext(ctx, sipp, "-sf", file, "-s", c.user, "-i", local, "-t", mode, "-m", "3", "-nostdin", "-timeout", "100", "-timeout_error", "-trace_err", to.String())
				cmd.Dir = t.TempDir()
				out, err := cmd.CombinedOutput()
				if err != nil {
					errors, _ := filepath.Glob(filepath.Join(cmd.Dir, "*_errors.log"))
					for _, name := range errors {
						b, _ := os.ReadFile(name)
						t.Logf("%s", b)
					}
					t.Fatalf("sipp: %v\n%s", err, tail(string(out)))
				}
				s := e.Stats()
				for s.Transactions != 0 && ctx.Err() == nil { // sipp has sent its last ACK, and it may wait to be read
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Millisecond):
					}
					s = e.Stats()
				}
				if late := c.scenario == "lost-ack" || c.scenario == "busy"; s.Transactions != 0 || s.Unacknowledged != 0 || late && s.Repeated == 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// TestStrangerOpenSSL asks over TLS.
func TestStrangerOpenSSL(t *testing.T) {
	openssl := stranger(t, "openssl")
	e := answerer(t, Options{TLS: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, TLSConfig: selfSigned(t)})
	to, _ := e.Local(TLS)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, openssl, "s_client", "-quiet", "-no_ign_eof", "-connect", to.String())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte(strings.ReplaceAll(wire(request("OPTIONS", "z9hG4bK1", "")), "UDP", "TLS"))); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, err := out.Read(b)
	if err != nil || !strings.HasPrefix(string(b[:n]), "SIP/2.0 200 OK\r\n") {
		t.Errorf("%v: %q", err, b[:n])
	}
	_ = in.Close()
	_ = cmd.Wait()
}
