package town

import (
	"bytes"
	"context"
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
	need := func(ok bool, what string) {
		if ok {
			return
		}
		if os.Getenv("CI") == "true" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	tshark, err := exec.LookPath("tshark")
	need(err == nil, "tshark is not installed")
	need(os.Geteuid() == 0, "capturing needs root")
	ctx := deadline(t)
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	capturing, stop := context.WithCancel(ctx)
	defer stop()
	// Only what the demo's roles say to each other on their own ports.
	tap := exec.CommandContext(capturing, tshark, "-q", "-i", "lo", "-s", "0", "-B", "64", "-w", file, "-f", "net 127.0.0.0/8 and udp and (port 9899 or port 2123 or port 2152)")
	tap.Cancel = func() error { return tap.Process.Signal(os.Interrupt) }
	var said syncBuffer
	tap.Stderr = &said
	if err := tap.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "tshark to capture", func() bool { return strings.Contains(said.String(), "Capturing on") && size(file) > 0 })
	r, err := Demo(ctx, DemoOptions{Down: 300_000, Up: 30_000}, logger(t))
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
		// looks like retransmission: it is not what is read here.
		out, err := exec.CommandContext(ctx, tshark, append([]string{"-r", file, "--disable-protocol", "tcp"}, args...)...).Output()
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
