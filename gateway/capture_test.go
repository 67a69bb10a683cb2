package gateway_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/gateway"
	"campanile.network/gateway/datapath/dptest"
)

// A capture has the packets of its bearer, both ways, as a stranger reads them; it ends
// with its time, its octets or its bearer, and nobody has two of one bearer.
func TestCapture(t *testing.T) {
	var file bytes.Buffer
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		c, err := r.gw.StartCapture(s.IMSI, 5, gateway.CaptureLimits{For: time.Minute, Octets: 600, Snap: 60})
		r.must(err)
		if _, err := r.gw.StartCapture(s.IMSI, 5, gateway.CaptureLimits{}); err == nil {
			t.Error("two captures of one bearer")
		}
		if _, err := r.gw.StartCapture(s.IMSI, 9, gateway.CaptureLimits{}); err == nil {
			t.Error("a capture of a bearer that is none")
		}
		if _, err := r.gw.StartCapture(s.IMSI, 5, gateway.CaptureLimits{For: 48 * time.Hour}); err == nil {
			t.Error("a capture without end")
		}
		done := make(chan error, 1)
		go func() { done <- c.WriteTo(t.Context(), &file) }()
		r.ul(s, 100)
		r.port.in <- dptest.Packet(webIP, s.Address, 500)
		time.Sleep(time.Second)
		r.ul(s, 101) // more than 600
		if err := <-done; !errors.Is(err, gateway.ErrCaptureOctets) {
			t.Errorf("it ended with %v", err)
		}
		again, err := r.gw.StartCapture(s.IMSI, 5, gateway.CaptureLimits{For: time.Minute})
		r.must(err)
		go func() { done <- again.WriteTo(t.Context(), &bytes.Buffer{}) }()
		r.must(r.mme.Delete(t.Context(), s))
		if err := <-done; !errors.Is(err, gateway.ErrCaptureBearer) {
			t.Errorf("it ended with %v", err)
		}
	})
	bin, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	name := filepath.Join(t.TempDir(), "c.pcapng")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "-n", "-r", name, "-T", "fields", "-e", "frame.len", "-e", "frame.cap_len", "-e", "ip.src", "-e", "frame.packet_flags_direction").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(string(out)), " ")
	if !strings.HasPrefix(got, "100 60 10.45.0.2 0x") || !strings.Contains(got, "500 60 93.184.216.34 0x") {
		t.Errorf("%q", got)
	}
}
