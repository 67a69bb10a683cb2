package media

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// capture writes what was sent to a leg's peer as a pcap file of raw IP.
func (b *bench) capture(leg int, times []time.Time) string {
	file := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	file = append(file, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0)
	for i, d := range b.sent {
		if d.leg != leg {
			continue
		}
		n := 28 + len(d.b)
		p := make([]byte, 28, n)
		p[0], p[8], p[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(p[2:], uint16(n))
		copy(p[12:], []byte{127, 0, 0, 1})
		to := d.to.Addr().As4()
		copy(p[16:], to[:])
		binary.BigEndian.PutUint16(p[20:], 30000)
		binary.BigEndian.PutUint16(p[22:], d.to.Port())
		binary.BigEndian.PutUint16(p[24:], uint16(n-20))
		for _, v := range []uint32{uint32(times[i].Unix()), uint32(times[i].Nanosecond() / 1000), uint32(n), uint32(n)} {
			file = binary.LittleEndian.AppendUint32(file, v)
		}
		file = append(append(file, p...), d.b...)
	}
	path := filepath.Join(b.t.TempDir(), "leg.pcap")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// Wireshark sees one stream without a loss, a digit pressed by the other and one
// sent here, and reports it understands, in a call with loss, a change of source
// and another codec.
func TestWiresharkSeesOneStream(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed: apt-get install tshark")
		}
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{GSM, TelephoneEvent})
	src := &tone{hz: 440}
	var times []time.Time
	wait := func() {
		b.wait(20 * time.Millisecond)
		for len(times) < len(b.sent) {
			times = append(times, b.at)
		}
	}
	seq, ts := uint16(65000), uint32(0)
	talk := func(n int, ssrc uint32) {
		for i := range n {
			frame := src.frame(ulaw, 160)
			if i%20 != 7 {
				b.give(0, phone, rtp(0, seq, ts, ssrc, frame))
			}
			seq, ts = seq+1, ts+160
			wait()
		}
	}
	talk(300, 1)
	for i := range 6 {
		b.give(0, phone, rtp(101, seq, ts, 1, event(9, i >= 3, uint16(160*min(i+1, 4)))))
		seq++
		wait()
	}
	ts += 6 * 160
	talk(100, 1)
	seq, ts = 7, 0xffff0000
	talk(100, 2)
	if err := b.s.Leg(1).SendDigit('#', 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	talk(100, 2)
	file := b.capture(1, times)
	run := func(args ...string) string { return shown(t, path, file, args...) }
	streams := run("-q", "-z", "rtp,streams")
	if strings.Count(streams, "GSM 06.10")+strings.Count(streams, "GSM") < 1 || strings.Count(streams, " 0x") != 1 || !strings.Contains(streams, " 0 (0.0%)") {
		t.Errorf("%s", streams)
	}
	digits := strings.Fields(run("-Y", "rtpevent.end_of_event == 1", "-T", "fields", "-e", "rtpevent.event_id", "-e", "rtpevent.duration"))
	if strings.Join(digits, " ") != "9 640 9 640 9 640 11 800 11 800 11 800" {
		t.Errorf("%q", digits)
	}
	reports := strings.Split(strings.TrimSpace(run("-Y", "rtcp", "-T", "fields", "-e", "rtcp.pt", "-e", "rtcp.sender.packetcount")), "\n")
	if len(reports) < 1 || !strings.HasPrefix(reports[0], "200,202\t") {
		t.Errorf("%q", reports)
	}
	if bad := run("-Y", "_ws.malformed || _ws.expert.severity >= 6291456"); strings.TrimSpace(bad) != "" {
		t.Errorf("%s", bad)
	}
}

// shown is what tshark says of a file.
func shown(t *testing.T, path, file string, args ...string) string {
	cmd := exec.Command(path, append([]string{"-r", file, "-n", "-d", "udp.port==16500,rtp", "-d", "udp.port==16501,rtcp", "-o", "rtpevent.event_payload_type_value:101"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
