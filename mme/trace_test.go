package mme

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/trace"
)

func traced(o *Options) { o.Trace = trace.New() }

// record traces a phone from now on; what it gives ends the recording, and gives
// transcript and capture.
func (w *world) trace(imsi id.IMSI, l trace.Limits, view trace.Transcript) func() (string, []byte) {
	w.t.Helper()
	r := must(w.m.Trace(imsi, l))
	var text strings.Builder
	var file bytes.Buffer
	c := must(trace.NewCapture(&file, "campanile"))
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			events, err := r.Next(ctx)
			if err != nil {
				done <- err
				return
			}
			for _, e := range events {
				text.WriteString(view.Text(e))
				if err := c.Write(e); err != nil {
					w.t.Error(err)
				}
			}
		}
	}()
	return func() (string, []byte) {
		synctest.Wait()
		cancel()
		<-done
		r.Close()
		return text.String(), file.Bytes()
	}
}

// A phone that is not known yet is traced from its first message on; another
// phone at the same eNB is not.
func TestTraceFromTheFirstMessage(t *testing.T) {
	var text string
	var file []byte
	play(t, traced, func(w *world) {
		e := w.tower(0x19b)
		p, other := w.phone(e), w.phone(e)
		stop := w.trace(p.imsi, trace.Limits{For: time.Hour}, trace.Transcript{Detail: true, Mask: true})
		other.attach()
		p.attach()
		p.idle()
		if err := w.m.Page(p.imsi); err != nil {
			t.Fatal(err)
		}
		expect[*s1ap.Paging](e)
		p.request()
		p.setupResponse()
		other.idle()
		text, file = stop()
		if strings.Contains(text, p.imsi.Digits()) {
			t.Error("the IMSI in a masked transcript")
		}
		for _, key := range [][]byte{p.kenb[:], p.kasme[:]} {
			if bytes.Contains(file, key) {
				t.Error("a key in the capture")
			}
		}
		if w.m.o.Trace.Active() {
			t.Error("a recording that has ended runs")
		}
	})
	inOrder(t, text, "InitialUEMessage", "NAS   ATTACH REQUEST", "not protected", "NAS   AUTHENTICATION REQUEST", "S1AP  DownlinkNASTransport", "NAS   SECURITY MODE COMMAND", "verified, COUNT",
		"NAS   ATTACH ACCEPT", "ciphered", "InitialContextSetupRequest", "shown as zeros", "= attach done in", "UEContextReleaseCommand", "Paging", "SERVICE REQUEST", "= service request done")
	if n := strings.Count(text, "NAS   ATTACH REQUEST"); n != 1 {
		t.Errorf("%d attach requests are in the trace of one phone", n)
	}
	stranger(t, file, 16)
}

// A phone that is connected already is traced from the next message on.
func TestTraceOfConnectedPhone(t *testing.T) {
	play(t, traced, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		stop := w.trace(p.imsi, trace.Limits{For: time.Hour, Keys: true}, trace.Transcript{})
		if err := w.m.Detach(p.imsi, NetworkDetach{}); err != nil {
			t.Fatal(err)
		}
		down[*eps.NetworkDetachRequest](p)
		p.uplink(&eps.DetachAccept{})
		p.released()
		text, file := stop()
		inOrder(t, text, "DETACH REQUEST", "DETACH ACCEPT", "verified", "= network detach done")
		if !bytes.Contains(file, []byte("K_ASME ")) {
			t.Error("no keys in a capture that was to have them")
		}
	})
}

// Why a message had no effect is told.
func TestTraceOfFailure(t *testing.T) {
	play(t, traced, func(w *world) {
		p := w.stranger(w.tower(0x19b), "001010000099999")
		stop := w.trace(p.imsi, trace.Limits{For: time.Hour}, trace.Transcript{})
		p.initial(p.attachRequest())
		down[*eps.AttachReject](p)
		p.released()
		text, _ := stop()
		inOrder(t, text, "ATTACH REQUEST", "= attach failed", "ATTACH REJECT", "cause")
	})
}

// Recordings are bounded in time, octets and number, and one phone has one.
func TestTraceBounds(t *testing.T) {
	play(t, traced, func(w *world) {
		p := w.phone(w.tower(0x19b))
		for _, l := range []trace.Limits{{}, {For: 25 * time.Hour}, {For: time.Hour, Octets: 1 << 40}} {
			if _, err := w.m.Trace(p.imsi, l); err == nil {
				t.Errorf("%+v is taken", l)
			}
		}
		r := must(w.m.Trace(p.imsi, trace.Limits{For: time.Minute, Octets: 2000}))
		if _, err := w.m.Trace(p.imsi, trace.Limits{For: time.Minute}); !errors.Is(err, trace.ErrTraced) {
			t.Errorf("traced twice: %v", err)
		}
		p.attach()
		octets := 0
		for {
			events, err := r.Next(context.Background())
			if err != nil {
				if !errors.Is(err, trace.ErrOctets) {
					t.Errorf("ended with %v", err)
				}
				break
			}
			for _, e := range events {
				octets += len(e.Data)
			}
		}
		if octets == 0 || octets > 2000 {
			t.Errorf("%d octets", octets)
		}
		r.Close()
		r = must(w.m.Trace(p.imsi, trace.Limits{For: time.Minute}))
		defer r.Close()
		began := time.Now()
		if _, err := r.Next(context.Background()); !errors.Is(err, trace.ErrTime) || time.Since(began) != time.Minute {
			t.Errorf("ended with %v after %v", err, time.Since(began))
		}
	})
}

// inOrder checks that words come in a text one after the other.
func inOrder(t *testing.T, text string, words ...string) {
	t.Helper()
	at := 0
	for _, w := range words {
		i := strings.Index(strings.ToLower(text[at:]), strings.ToLower(w))
		if i < 0 {
			t.Fatalf("no %q in its place:\n%s", w, text)
		}
		at += i
	}
}

// stranger has tshark read a capture: so many S1AP messages at least, none of them
// malformed, every checksum right.
func stranger(t *testing.T, file []byte, least int) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no tshark here")
	}
	name := filepath.Join(t.TempDir(), "trace.pcapng")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	show := func(filter string) []string {
		out, err := exec.Command("tshark", "-r", name, "-o", "sctp.checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "nas-eps.null_decipher:FALSE", "-Y", filter).Output()
		if err != nil {
			t.Fatalf("tshark -Y %q: %v", filter, err)
		}
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	}
	if got := show("s1ap"); len(got) < least {
		t.Errorf("tshark sees %d S1AP messages, want %d at least:\n%s", len(got), least, strings.Join(got, "\n"))
	}
	if bad := show("_ws.malformed or sctp.checksum.status == 0 or ip.checksum.status == 0 or _ws.expert.severity == error"); len(bad) > 0 {
		t.Errorf("tshark is not content with:\n%s", strings.Join(bad, "\n"))
	}
}
