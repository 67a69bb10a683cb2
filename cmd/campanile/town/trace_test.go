package town

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"campanile.network/decode"
	pb "campanile.network/wire/corepb"
)

// A phone that is traced before it is switched on: S1AP, NAS, S11 and the end of
// the procedure are in the transcript, the capture is one that campanile decode
// reads, and who asked is noted.
func TestTracePhone(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, nil)
	w := start(t, ctx, c, append(core(), (*Town).startAdmin))
	conn, err := grpc.NewClient("unix:"+c.path(SocketOf("test")), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	imsi := w.cards[0].IMSI
	listening, stop := context.WithCancel(ctx)
	defer stop()
	s, err := pb.NewAdminClient(conn).TracePhone(listening, &pb.TracePhoneRequest{Phone: imsi.Digits(), Seconds: 60, Pcapng: true})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var file bytes.Buffer
	switchedOn := false
	for !strings.Contains(text.String(), "attach done") {
		r, err := s.Recv()
		if err != nil {
			t.Fatalf("%v after:\n%s", err, text.String())
		}
		text.WriteString(r.Text)
		file.Write(r.Pcapng)
		if !switchedOn { // the recording runs
			switchedOn = true
			if err := w.startPhones(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, word := range []string{"ATTACH REQUEST", "AUTHENTICATION REQUEST", "S11   Create Session Request", "S11   Create Session Response, cause", "InitialContextSetupRequest"} {
		if !strings.Contains(text.String(), word) {
			t.Errorf("no %q in the transcript:\n%s", word, text.String())
		}
	}
	d, err := decode.New(decode.Options{Format: decode.Summary})
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	if err := d.Run(ctx, &file, &shown); err != nil || !strings.Contains(shown.String(), "InitialUEMessage") || !strings.Contains(shown.String(), "Create Session Request") {
		t.Errorf("campanile decode of the capture: %v\n%s", err, shown.String())
	}
	stop()
	for err == nil {
		_, err = s.Recv()
	}
	noted := audits(t, ctx, c, 2)
	if a, b := noted[0], noted[1]; a["what"] != "trace begins" || b["what"] != "trace ends" || a["uid"] != float64(os.Getuid()) || a["imsi"] != imsi.String() || a["for"] != "1m0s" {
		t.Errorf("noted %v and %v", a, b)
	}
}

// audits waits for so many lines of the audit file.
func audits(t *testing.T, ctx context.Context, c *Config, want int) (out []map[string]any) {
	t.Helper()
	for ctx.Err() == nil {
		out = nil
		b, err := os.ReadFile(c.path(AuditFile))
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			var v map[string]any
			if err := json.Unmarshal(s.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
		if len(out) >= want {
			return out
		}
		rest(ctx, 20_000_000)
	}
	t.Fatalf("noted %v", out)
	return nil
}
