package sctp_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

// recorder writes what crosses a network in memory into a pcap file of raw IPv4 packets.
type recorder struct{ b []byte }

func newRecorder() *recorder {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(b, 1<<16)
	return &recorder{le.AppendUint32(b, 101)} // LINKTYPE_RAW
}

func (r *recorder) add(p sctptest.Packet) {
	le, be := binary.LittleEndian, binary.BigEndian
	n, now := 28+len(p.Data), time.Now()
	r.b = le.AppendUint32(r.b, uint32(now.Unix()))
	r.b = le.AppendUint32(r.b, uint32(now.Nanosecond()/1000))
	r.b = le.AppendUint32(r.b, uint32(n))
	r.b = le.AppendUint32(r.b, uint32(n))
	r.b = append(r.b, 0x45, 0)
	r.b = be.AppendUint16(r.b, uint16(n))
	r.b = append(r.b, 0, 0, 0x40, 0, 64, 17, 0, 0)
	src, dst := p.From.Addr().As4(), p.To.Addr().As4()
	r.b = append(append(r.b, src[:]...), dst[:]...)
	r.b = be.AppendUint16(r.b, p.From.Port())
	r.b = be.AppendUint16(r.b, p.To.Port())
	r.b = be.AppendUint16(r.b, uint16(8+len(p.Data)))
	r.b = append(r.b, 0, 0)
	r.b = append(r.b, p.Data...)
}

// everyKind makes traffic with every kind of chunk sent here.
func everyKind(t *testing.T, rec *recorder) {
	lossy := sctptest.Conditions{Delay: 5 * time.Millisecond, Jitter: 4 * time.Millisecond, Loss: 0.05, Duplicate: 0.02}
	b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{CloseTimeout: time.Hour})
	b.net.SetFilter(func(p sctptest.Packet) bool { rec.add(p); return true })
	x, y := b.open(36412)
	b.net.SetConditions(lossy)
	for i := range 100 {
		mustSend(t, x, uint16(i%5), text(i, i*i))
		mustRecv(t, y, uint16(i%5), text(i, i*i))
		mustSend(t, y, 1, text(i, 40))
		mustRecv(t, x, 1, text(i, 40))
	}
	time.Sleep(5 * time.Minute) // heartbeats
	if err := x.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	b.net.SetConditions(sctptest.Conditions{Delay: time.Millisecond})
	x, err := b.ea.Dial(t.Context(), y.LocalAddr(), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x.Abort("end of test")
	if _, err := b.ea.Dial(t.Context(), netip.AddrPortFrom(addrB.Addr(), 9), sctp.DialOptions{}); err == nil {
		t.Error("nobody listens there")
	}
	b.close()
}

// A stranger's dissector finds nothing wrong in our packets, checksums included.
func TestTsharkFindsNothing(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	rec := newRecorder()
	synctest.Test(t, func(t *testing.T) { everyKind(t, rec) })
	file := filepath.Join(t.TempDir(), "own.pcap")
	if err := os.WriteFile(file, rec.b, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		// Payloads here are no S1AP, whatever their PPID says.
		cmd := exec.Command(tshark, append([]string{"-r", file, "-o", "sctp.checksum:crc32c", "-d", "udp.port==9899,sctp", "--disable-protocol", "s1ap"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark %q: %v", args, err)
		}
		return string(out)
	}
	if bad := run("-Y", `_ws.malformed || _ws.expert.severity >= "Warning" || sctp.checksum.status == 0`, "-V"); bad != "" {
		t.Errorf("tshark complains:\n%.3000s", bad)
	}
	kinds := map[string]bool{}
	for line := range strings.Lines(run("-Y", "sctp", "-T", "fields", "-E", "aggregator= ", "-e", "sctp.chunk_type")) {
		for _, k := range strings.Fields(line) {
			kinds[k] = true
		}
	}
	for _, k := range strings.Fields("0 1 2 3 4 5 6 7 8 10 11 14") {
		if !kinds[k] {
			t.Errorf("no chunk of type %s in the capture", k)
		}
	}
}
