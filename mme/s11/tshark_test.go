package s11_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// said are the types of messages that the MME sends on S11.
var said = []gtpc.Type{gtpc.EchoRequest, gtpc.EchoResponse, gtpc.VersionNotSupported, gtpc.CreateSessionRequest, gtpc.ModifyBearerRequest, gtpc.DeleteSessionRequest,
	gtpc.DeleteBearerCommand, gtpc.BearerResourceCommand, gtpc.DownlinkDataNotFailure, gtpc.CreateBearerResponse, gtpc.UpdateBearerResponse, gtpc.DeleteBearerResponse,
	gtpc.CreateForwardingRequest, gtpc.DeleteForwardingRequest, gtpc.ReleaseAccessBearersRequest, gtpc.DownlinkDataNotificationAck}

// Every kind of message that the MME sends on S11 is read by tshark without a
// malformed packet or an expert's word.
func TestTsharkReadsS11(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	capture := bytes.NewBuffer([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0}) // raw IP
	converse(t, func(from, to netip.AddrPort, b []byte) int {
		capture.Write(packet(from, to, b))
		return 1
	})
	file := filepath.Join(t.TempDir(), "s11.pcap")
	if err := os.WriteFile(file, capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		out, err := exec.Command(tshark, append([]string{"-n", "-r", file}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if bad := run("-Y", "_ws.malformed || (ip.src == 127.0.0.20 && _ws.expert.severity >= 0x400000)", "-O", "gtpv2"); bad != "" {
		t.Errorf("tshark finds fault:\n%s", bad)
	}
	var types []gtpc.Type
	for line := range strings.Lines(run("-Y", "ip.src == 127.0.0.20", "-T", "fields", "-e", "gtpv2.message_type")) {
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 8)
		if err != nil {
			t.Fatalf("%q is no GTPv2 message to tshark", line)
		}
		types = append(types, gtpc.Type(n))
	}
	for _, want := range said {
		if !slices.Contains(types, want) {
			t.Errorf("the MME can say %v, and tshark is not shown one", want)
		}
	}
	for _, got := range types {
		if !slices.Contains(said, got) {
			t.Errorf("the MME says %v, which is not in the table", got)
		}
	}
}

// packet is a datagram as a record of a capture, in IPv4 and UDP.
func packet(from, to netip.AddrPort, b []byte) []byte {
	be := binary.BigEndian
	ip := be.AppendUint16([]byte{0x45, 0}, uint16(28+len(b)))
	ip = append(ip, 0, 0, 0, 0, 64, 17, 0, 0)
	ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	ip = be.AppendUint16(be.AppendUint16(ip, from.Port()), to.Port())
	ip = append(be.AppendUint16(ip, uint16(8+len(b))), 0, 0)
	ip = append(ip, b...)
	now := time.Now()
	out := binary.LittleEndian.AppendUint32(nil, uint32(now.Unix()))
	out = binary.LittleEndian.AppendUint32(out, uint32(now.Nanosecond()/1000))
	for range 2 {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(ip)))
	}
	return append(out, ip...)
}

// converse has an MME and a gateway say all they can.
func converse(t *testing.T, seen func(from, to netip.AddrPort, b []byte) int) {
	enb := netip.MustParseAddr("127.0.0.10")
	o := s11.Options{
		OnBearers: func(r *s11.BearerRequest) {
			a := s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: []s11.BearerOutcome{{EBI: 6, Cause: gtpc.Accepted}}}
			if r.Type == gtpc.CreateBearerRequest {
				a.Bearers[0].ENB = s11.FTEID{Addr: enb, TEID: 0x44}
			}
			r.Reply(a)
		},
		OnDownlinkData: func(*s11.Session, id.EBI, gtpc.Cause) gtpc.Cause { return gtpc.Accepted },
	}
	inBubbleOn(t, seen, o, func(w *world) {
		s := w.create(request(t))
		local := s.State().Local
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		w.answer = func(m *gtpc.Message) *gtpc.Message { return gtpc.New(m.Type.Answer(), local, gtpc.CauseIE(nil)) }
		must(w.client.Modify(w.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: enb, TEID: 0x40}}))
		for _, m := range []*gtpc.Message{createBearer(local, wholeBearer()),
			gtpc.New(gtpc.UpdateBearerRequest, local, gtpc.BearerContext(0, gtpc.EBI(6), voice.IE()), gtpc.AMBR{UL: 1 * id.Mbps, DL: 2 * id.Mbps}.IE()),
			gtpc.New(gtpc.DeleteBearerRequest, local, ie.New(ie.EPSBearerID, 1, []byte{6})),
			gtpc.New(gtpc.DownlinkDataNotification, local, gtpc.EBI(5))} {
			_, err := w.gw.Request(w.Context(), mmeAddr, m)
			must(err)
		}
		must(w.client.PagingFailed(s))
		must(w.client.Release(w.Context(), s))
		end := func(kind uint8, teid id.TEID, instance uint8) *ie.IE {
			return gtpc.FTEID{Interface: kind, TEID: teid, Addr: gwAddr.Addr()}.IE(instance)
		}
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			if m.Type != gtpc.CreateForwardingRequest {
				return gtpc.New(m.Type.Answer(), local, gtpc.CauseIE(nil))
			}
			return gtpc.New(m.Type.Answer(), local, gtpc.CauseIE(nil), gtpc.BearerContext(0, gtpc.EBI(5), gtpc.CauseIE(nil), end(gtpc.IfSGWForwardDL, 0x151, 0), end(gtpc.IfSGWForwardUL, 0x152, 4)))
		}
		_, err := w.client.Forward(w.Context(), s, []s11.Forwarding{{EBI: 5, DL: s11.FTEID{Addr: enb, TEID: 0x51}, UL: s11.FTEID{Addr: enb, TEID: 0x52}}})
		must(err)
		must(w.client.EndForward(w.Context(), s))
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			trigger := createBearer(local, wholeBearer())
			if m.Type == gtpc.DeleteBearerCommand {
				trigger = gtpc.New(gtpc.DeleteBearerRequest, local, ie.New(ie.EPSBearerID, 1, []byte{6}))
			}
			go func() {
				_, err := w.gw.Trigger(context.Background(), mmeAddr, m, trigger)
				must(err)
			}()
			return gtpc.Held()
		}
		q := voice
		must(w.client.Resources(w.Context(), s, s11.ResourceRequest{PTI: 9, QoS: &q, TAD: flows}))
		must(w.client.Drop(w.Context(), s, []id.EBI{6}))
		synctest.Wait()
		stranger := w.listen(netip.MustParseAddrPort("127.0.0.31:2123"))
		defer stranger.Close()
		stranger.WriteToUDPAddrPort([]byte{0x60, 1, 0, 4, 0, 0, 1, 0}, mmeAddr) // version 3
		time.Sleep(125 * time.Second)                                           // echoes of both
		w.answer = accept
		must(w.client.Delete(w.Context(), s))
	})
}
