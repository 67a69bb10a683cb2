package sctp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// captured is an SCTP packet of a capture.
type captured struct {
	src  netip.Addr
	data []byte
}

// readCapture returns the SCTP packets of a classic pcap file with Ethernet frames.
func readCapture(t testing.TB, name string) (out []captured) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if len(b) < 24 || le.Uint32(b) != 0xa1b2c3d4 || le.Uint32(b[20:]) != 1 {
		t.Fatalf("%s is not a little-endian Ethernet pcap", name)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(le.Uint32(b[8:]))
		f := b[16 : 16+n]
		b = b[16+n:]
		if len(f) < 34 || f[12] != 8 || f[13] != 0 || f[23] != 132 {
			continue
		}
		ip := f[14:]
		out = append(out, captured{netip.AddrFrom4([4]byte(ip[12:16])), ip[int(ip[0]&15)*4 : binary.BigEndian.Uint16(ip[2:])]})
	}
	return out
}

var captures = []string{"linux_kernel_sctp_vs_usrsctp_echo.pcap", "srsran_linux_kernel_sctp_attach.pcap",
	"srsran_raw132_25prb_attach_idle_service_paging_detach_guti.pcap"}

// Every packet of Linux's and usrsctp's parses, and their INITs say what is known of them.
func TestCapturedPackets(t *testing.T) {
	for _, name := range captures {
		inits := 0
		for i, p := range readCapture(t, name) {
			_, rest, err := parsePacket(slices.Clone(p.data))
			if err != nil {
				t.Errorf("%s SCTP packet %d: %v", name, i+1, err)
				continue
			}
			c, _, _ := nextChunk(rest)
			if c.typ != ctInit {
				continue
			}
			inits++
			in, err := parseInit(c.value)
			linux := in.rwnd == 106496 && in.out == 10 && in.in == 65535
			usrsctp := in.rwnd == 131072 && in.out == 10 && in.in == 2048
			if err != nil || !linux && !usrsctp || in.hostName || in.tag == 0 || string(in.unknown) != "\xc0\x00\x00\x04" {
				t.Errorf("%s SCTP packet %d: INIT %+v, %v", name, i+1, in, err)
			}
		}
		if inits == 0 {
			t.Errorf("%s: no INIT", name)
		}
	}
}

// goldenMessages returns what tshark says each client sent: by capture, address, port and tag, "stream ppid bytes" lines.
func goldenMessages(t *testing.T) map[string][]string {
	b, err := os.ReadFile("testdata/captured_messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if f[0] != "#" {
			k := strings.Join(f[:4], " ")
			out[k] = append(out[k], strings.Join(f[4:], " "))
		}
	}
	return out
}

// Replays the recorded clients against an endpoint: only verification tags and the cookie are ours. It must understand the same messages as
// tshark.
func TestCapturedClientsReplay(t *testing.T) {
	golden := goldenMessages(t)
	for key, want := range golden {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := strings.Fields(key)
				var port uint16
				var tag uint32
				if _, err := fmt.Sscanf(f[2]+" "+f[3], "%d 0x%x", &port, &tag); err != nil {
					t.Fatal(err)
				}
				p := newScript(t, Options{InStreams: 16, ReceiveBuffer: 1 << 20})
				p.sock.Close()
				addr := netip.AddrPortFrom(netip.MustParseAddr(f[1]), 9899)
				p.sock = p.openSocket(addr)
				got := replay(t, p, readCapture(t, f[0]), addr.Addr(), port, tag)
				slices.SortStableFunc(got, byStream)
				slices.SortStableFunc(want, byStream)
				if !slices.Equal(got, want) {
					t.Errorf("messages\n%q, want\n%q", got, want)
				}
			})
		})
	}
}

func byStream(a, b string) int {
	a, _, _ = strings.Cut(a, " ")
	b, _, _ = strings.Cut(b, " ")
	return strings.Compare(a, b)
}

// replay plays one client, from the INIT before its first packet with the server's tag, and returns the messages received.
func replay(t *testing.T, p *script, packets []captured, client netip.Addr, port uint16, tag uint32) (got []string) {
	mine := func(c captured) bool { return c.src == client && binary.BigEndian.Uint16(c.data) == port }
	start := slices.IndexFunc(packets, func(c captured) bool { return mine(c) && binary.BigEndian.Uint32(c.data[4:]) == tag })
	for start--; start >= 0 && (!mine(packets[start]) || packets[start].data[12] != ctInit); start-- {
	}
	if start < 0 {
		t.Fatal("no INIT in the capture")
	}
	done := make(chan bool)
	var cookie []byte
	for _, c := range packets[start:] {
		b := slices.Clone(c.data)
		if !mine(c) {
			continue
		}
		switch {
		case b[12] == ctInit && cookie == nil:
			p.own = binary.BigEndian.Uint32(b[16:])
			send(t, p.sock, b)
			i, err := parseInit(p.recv(ctInitAck).chunks[0].value)
			if err != nil {
				t.Fatal(err)
			}
			p.tag, cookie = i.tag, i.cookie
		case binary.BigEndian.Uint32(b[4:]) != tag: // T bit, or the next association on the same ports
			continue
		case b[12] == ctCookieEcho:
			n := pad4(int(binary.BigEndian.Uint16(b[14:])))
			b = append(appendChunk(appendPacket(nil, port, p.dst, p.tag), ctCookieEcho, 0, cookie), b[12+n:]...)
			send(t, p.sock, b)
			a, err := p.l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				defer close(done)
				for {
					m, err := a.Recv(t.Context())
					if err != nil {
						return
					}
					got = append(got, fmt.Sprintf("%d %d %d", m.Stream, m.PPID, len(m.Data)))
				}
			}()
		default:
			binary.BigEndian.PutUint32(b[4:], p.tag)
			send(t, p.sock, b)
		}
		time.Sleep(2 * time.Millisecond)
	}
	p.send(appendChunk(nil, ctAbort, 0))
	<-done
	if n := p.dropped(dropMalformed) + p.dropped(dropChecksum) + p.dropped(dropFragment); n != 0 {
		t.Errorf("%+v", p.e.Stats())
	}
	return got
}

func send(t *testing.T, s *sctptest.Socket, b []byte) {
	seal(b)
	if err := s.WriteTo(b, serverAddr); err != nil {
		t.Fatal(err)
	}
}
