package town

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stranger reads a capture of the whole demo and finds nothing malformed and
// no error in S1AP, NAS, SCTP, GTPv2 or GTP-U.
func TestTsharkReadsTheDemo(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	need(t, err == nil, "tshark is not installed")
	need(t, os.Geteuid() == 0, "capturing needs root")
	ctx := deadline(t)
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	capturing, stop := context.WithCancel(ctx)
	defer stop()
	c := demoConfig(t.TempDir())
	net := netip.PrefixFrom(netip.MustParseAddr(c.MME.Address), 24).Masked() // the demo's own addresses
	tap := exec.CommandContext(capturing, tshark, "-q", "-i", "lo", "-s", "0", "-B", "64", "-w", file, "-f", "net "+net.String()+" and udp")
	tap.Cancel = func() error { return tap.Process.Signal(os.Interrupt) }
	var said syncBuffer
	tap.Stderr = &said
	if err := tap.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "tshark to capture", func() bool { return strings.Contains(said.String(), "Capturing on") && size(file) > 0 })
	r, err := demoIn(ctx, c, DemoOptions{Down: 300_000, Up: 30_000}, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	eventually(t, ctx, "the capture to be whole", func() bool {
		now := size(file)
		same := now == last && now > 0
		last = now
		rest(ctx, 500*time.Millisecond)
		return same
	})
	stop()
	tap.Wait()
	read := func(args ...string) string {
		// The phone's own TCP passes twice, before the tower and behind it, which
		// looks like retransmission: it is not what is read here. And what is
		// ciphered stays closed: one octet in sixteen looks like a plain message's
		// first, and tshark would read on.
		fixed := []string{"-r", file, "--disable-protocol", "tcp", "-o", "nas-eps.null_decipher:FALSE"}
		out, err := exec.CommandContext(ctx, tshark, append(fixed, args...)...).Output()
		if err != nil {
			t.Fatalf("tshark %v: %v", args, err)
		}
		return string(out)
	}
	all := strings.ToLower(read())
	for _, want := range []string{"S1Setup", "InitialUEMessage", "Attach request", "Authentication request", "Security mode command", "InitialContextSetup", "Create Session Request", "Modify Bearer Request", "Delete Session Request", "GTP"} {
		if !strings.Contains(all, strings.ToLower(want)) {
			t.Errorf("%s is not in the capture", want)
		}
	}
	if bad := read("-Y", `_ws.malformed or _ws.expert.severity == "Error"`); bad != "" {
		t.Errorf("tshark finds fault:\n%s", bad)
	}
	if n := strings.Count(read("-Y", "gtp.message == 255"), "\n"); n < 100 {
		t.Errorf("%d G-PDUs for %d octets", n, r.DeliveredDL)
	}
}

// need skips a test where something is missing, and fails it where CI=true.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func size(file string) int64 {
	i, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return i.Size()
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
