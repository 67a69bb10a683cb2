package gateway_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/mme/s11"
)

// pcapFile collects datagrams as raw IPv4 packets (link type 101).
type pcapFile struct{ b bytes.Buffer }

func newPcap() *pcapFile {
	p := &pcapFile{}
	p.b.Write([]byte{0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 101})
	return p
}

func (p *pcapFile) add(at time.Time, from, to netip.AddrPort, payload []byte) {
	n := 28 + len(payload)
	var h [16 + 28]byte
	binary.BigEndian.PutUint32(h[0:], uint32(at.Unix()))
	binary.BigEndian.PutUint32(h[4:], uint32(at.Nanosecond()/1000))
	binary.BigEndian.PutUint32(h[8:], uint32(n))
	binary.BigEndian.PutUint32(h[12:], uint32(n))
	ip := h[16:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(n))
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], to.Addr().AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(ip[20:], from.Port())
	binary.BigEndian.PutUint16(ip[22:], to.Port())
	binary.BigEndian.PutUint16(ip[24:], uint16(8+len(payload)))
	p.b.Write(h[:])
	p.b.Write(payload)
}

// tshark runs the dissector over the capture; it skips where there is none,
// but not in CI.
func (p *pcapFile) tshark(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	file := filepath.Join(t.TempDir(), "s11.pcap")
	if err := os.WriteFile(file, p.b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, append([]string{"-n", "-r", file, "-o", "ip.check_checksum:TRUE"}, args...)...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return string(out)
}

// TestStrangerReadsOurMessages has tshark dissect a session's whole life: every
// message in its place, nothing malformed, no expert mark.
func TestStrangerReadsOurMessages(t *testing.T) {
	capture := newPcap()
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.seen = func(from, to netip.AddrPort, b []byte) { capture.add(time.Now(), from, to, b) }
		s := r.attach(phone1, 1)
		r.ul(s, 100)
		r.dl(s, 200)
		r.must(r.mme.Release(t.Context(), s))
		r.dl(s, 300)
		r.must(r.mme.PagingFailed(s))
		synctest.Wait()
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 2)}))
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: towerIP, TEID: 0x6006}, Segment: r.segment(1, 3)}))
		r.tower.WriteToUDPAddrPort(gtpu.AppendEchoRequest(nil, 1), netip.AddrPortFrom(gwIP, 2152))
		r.tower.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, 0xdead, dptest.Packet(s.Address, webIP, 40)), netip.AddrPortFrom(gwIP, 2152))
		time.Sleep(125 * time.Second) // echoes
		r.must(r.mme.Delete(t.Context(), s))
		err := r.mme.Release(t.Context(), s)
		if err == nil {
			t.Error("a deleted session was released")
		}
	})
	if out := capture.tshark(t, "-Y", "_ws.malformed || _ws.expert.severity >= 4194304 || ip.checksum.status == 0", "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message"); out != "" {
		t.Errorf("tshark marks:\n%s", out)
	}
	var names []string
	for line := range strings.Lines(capture.tshark(t, "-Y", "gtpv2", "-T", "fields", "-e", "gtpv2.message_type")) {
		names = append(names, strings.TrimSpace(line))
	}
	got := strings.Join(names, " ")
	for _, want := range []string{"32 33 34 35 170 171 176 177 70 34 35 34 35", "36 37 170 171"} {
		if !strings.Contains(got, want) {
			t.Errorf("message types %q lack %q", got, want)
		}
	}
	if !strings.Contains(got, "1 2") {
		t.Errorf("no echo among %q", got)
	}
	fields := capture.tshark(t, "-Y", "gtpv2.message_type == 33", "-T", "fields", "-E", "separator=|", "-e", "gtpv2.cause", "-e", "gtpv2.pdn_addr_and_prefix.ipv4", "-e", "gtpv2.f_teid_ipv4", "-e", "gtpv2.apn")
	if !strings.HasPrefix(fields, "16,16|10.45.0.2|127.0.0.30") {
		t.Errorf("Create Session Response as tshark reads it: %q", fields)
	}
	fields = capture.tshark(t, "-Y", "gtpv2.message_type == 32", "-T", "fields", "-E", "separator=|", "-e", "e212.imsi", "-e", "e164.msisdn", "-e", "gtpv2.apn",
		"-e", "gtpv2.tai_tac", "-e", "gtpv2.ecgi_eci", "-e", "gtpv2.bearer_qos_label_qci", "-e", "gtpv2.bearer_qos_pl", "-e", "gtpv2.ambr_up", "-e", "gtpv2.ambr_down", "-e", "gtpv2.rec")
	if want := phone1 + "|491701234567|internet|0x0007|105217|9|8|50000|100000|1"; strings.TrimSpace(fields) != want {
		t.Errorf("Create Session Request as tshark reads it: %q, want %q", fields, want)
	}
	types := capture.tshark(t, "-Y", "gtp", "-T", "fields", "-e", "gtp.message")
	for _, want := range []string{"0xff", "0x01", "0x02", "0x1a", "0xfe"} {
		if !strings.Contains(types, want) {
			t.Errorf("GTP-U types %q lack %s", types, want)
		}
	}
}
