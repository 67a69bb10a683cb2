package decode_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/decode"
	"campanile.network/decode/capture"
)

// frames are the frames of a capture, their octets kept.
func frames(t testing.TB, b []byte) (all []capture.Packet) {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Data = slices.Clone(p.Data)
		all = append(all, p)
	}
}

// order is a byte order to write with.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var le, be = binary.LittleEndian, binary.BigEndian

// pcap writes frames as a classic capture.
func pcap(o order, nano bool, link capture.LinkType, all []capture.Packet) []byte {
	magic := uint32(0xa1b2c3d4)
	if nano {
		magic = 0xa1b23c4d
	}
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(o.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(o.AppendUint32(b, 262144), uint32(link))
	for _, p := range all {
		frac := uint32(p.Time.Nanosecond())
		if !nano {
			frac /= 1000
		}
		b = o.AppendUint32(o.AppendUint32(b, uint32(p.Time.Unix())), frac)
		b = o.AppendUint32(o.AppendUint32(b, uint32(len(p.Data))), uint32(max(p.Length, len(p.Data))))
		b = append(b, p.Data...)
	}
	return b
}

// pcapng writes frames with a resolution of if_tsresol, among blocks that hold
// none.
func pcapng(o order, resolution byte, link capture.LinkType, all []capture.Packet) []byte {
	block := func(b []byte, typ uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		b = o.AppendUint32(o.AppendUint32(b, typ), uint32(len(body)+12))
		return o.AppendUint32(append(b, body...), uint32(len(body)+12))
	}
	head := o.AppendUint16(o.AppendUint16(o.AppendUint32(nil, 0x1a2b3c4d), 1), 0)
	head = append(head, 255, 255, 255, 255, 255, 255, 255, 255)
	b := block(nil, 0x0a0d0d0a, head)
	id := o.AppendUint16(o.AppendUint16(nil, uint16(link)), 0)
	id = o.AppendUint32(id, 262144)
	id = append(o.AppendUint16(o.AppendUint16(id, 9), 1), resolution, 0, 0, 0)
	b = block(b, 1, append(id, 0, 0, 0, 0))
	b = block(b, 5, make([]byte, 12)) // statistics
	for i, p := range all {
		ticks := uint64(p.Time.UnixNano())
		if resolution&0x80 != 0 {
			exp := resolution & 0x7f
			ticks = uint64(p.Time.Unix())<<exp | uint64((p.Time.Nanosecond()<<exp+999999999)/1000000000)
		} else {
			for range 9 - resolution {
				ticks /= 10
			}
		}
		e := o.AppendUint32(o.AppendUint32(o.AppendUint32(nil, 0), uint32(ticks>>32)), uint32(ticks))
		e = o.AppendUint32(o.AppendUint32(e, uint32(len(p.Data))), uint32(max(p.Length, len(p.Data))))
		b = block(b, 6, append(e, p.Data...))
		if i == 3 {
			b = block(b, 0xabcd, make([]byte, 100)) // unknown
		}
	}
	return b
}

func gzipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

// rewrap gives each frame's IP packet a new beginning.
func rewrap(all []capture.Packet, wrap func(ip []byte) [][]byte) (out []capture.Packet) {
	for _, p := range all {
		for _, f := range wrap(p.Data[14:]) {
			out = append(out, capture.Packet{Time: p.Time, Data: f, Length: len(f)})
		}
	}
	return out
}

func before(head ...byte) func([]byte) [][]byte {
	return func(ip []byte) [][]byte { return [][]byte{append(slices.Clone(head), ip...)} }
}

// inFragments cuts IPv4 packets in pieces of 48 octets, last first.
func inFragments(ip []byte) (out [][]byte) {
	ip = ip[:binary.BigEndian.Uint16(ip[2:])]
	head, payload := ip[:20], ip[20:]
	for at := 0; at < len(payload); at += 48 {
		piece := payload[at:min(at+48, len(payload))]
		f := append(slices.Clone(head), piece...)
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		field := uint16(at / 8)
		if at+48 < len(payload) {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(f[6:], field)
		out = append([][]byte{f}, out...)
	}
	return out
}

// inUDP puts SCTP in UDP (RFC 6951) between two ports.
func inUDP(from, to uint16) func([]byte) [][]byte {
	return func(ip []byte) [][]byte {
		ip = ip[:binary.BigEndian.Uint16(ip[2:])]
		f := append(slices.Clone(ip[:20]), byte(from>>8), byte(from), byte(to>>8), byte(to), 0, 0, 0, 0)
		f = append(f, ip[20:]...)
		binary.BigEndian.PutUint16(f[24:], uint16(len(f)-20))
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		f[9] = capture.UDP
		return [][]byte{f}
	}
}

// inIPv6 gives the packet IPv6's header, with an extension, and optionally
// fragments.
func inIPv6(fragments bool) func([]byte) [][]byte {
	return func(ip []byte) (out [][]byte) {
		payload := ip[20:binary.BigEndian.Uint16(ip[2:])]
		head := func(n int) []byte {
			h := append([]byte{0x60, 0, 0, 0, 0, 0, 0, 64}, make([]byte, 32)...)
			h[8], h[24] = 0xfd, 0xfd
			copy(h[20:24], ip[12:16])
			copy(h[36:40], ip[16:20])
			binary.BigEndian.PutUint16(h[4:], uint16(n))
			return h
		}
		options := []byte{capture.SCTP, 0, 1, 4, 0, 0, 0, 0}
		if !fragments {
			return [][]byte{append(append(head(len(payload)+8), options...), payload...)}
		}
		options[0] = 44
		for at := 0; at < len(payload); at += 64 {
			piece := payload[at:min(at+64, len(payload))]
			more := byte(0)
			if at+64 < len(payload) {
				more = 1
			}
			frag := []byte{capture.SCTP, 0, byte(at >> 8), byte(at) | more, 0, ip[4], ip[5], 7}
			out = append(out, append(append(append(head(len(piece)+16), options...), frag...), piece...))
		}
		return out
	}
}

// stripped are the messages without where they were.
func stripped(t *testing.T, b []byte, o decode.Options) string {
	t.Helper()
	o.Format, o.Keys = decode.JSON, srsSIM()
	out, _, err := run(t, o, b)
	if err != nil {
		t.Error(err)
	}
	var s strings.Builder
	for _, m := range objects(t, out) {
		for _, k := range []string{"frame", "src", "dst"} {
			delete(m, k)
		}
		fmt.Fprintln(&s, m)
	}
	return s.String()
}

// However a conversation was recorded, the same is shown.
func TestRecordedDifferently(t *testing.T) {
	all := frames(t, file(t, idleCapture))
	want := stripped(t, file(t, idleCapture), decode.Options{})
	if strings.Count(want, "\n") != 43 {
		t.Errorf("%d messages", strings.Count(want, "\n"))
	}
	eth := all[0].Data[:12]
	vlan := append(slices.Clone(eth), 0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0)
	sll := append(make([]byte, 14), 8, 0)
	sll2 := append([]byte{8, 0}, make([]byte, 18)...)
	for name, b := range map[string][]byte{
		"nanoseconds":      pcap(le, true, capture.LinkEthernet, all),
		"big endian":       pcap(be, false, capture.LinkEthernet, all),
		"big endian, nano": pcap(be, true, capture.LinkEthernet, all),
		"gzip":             gzipped(pcap(le, false, capture.LinkEthernet, all)),
		"pcapng":           pcapng(le, 6, capture.LinkEthernet, all),
		"pcapng, nano":     pcapng(be, 9, capture.LinkEthernet, all),
		"pcapng, binary":   pcapng(le, 0x80|30, capture.LinkEthernet, all),
		"two sections":     append(pcapng(be, 6, capture.LinkEthernet, all[:20]), pcapng(le, 9, capture.LinkEthernet, all[20:])...),
		"VLANs":            pcap(le, false, capture.LinkEthernet, rewrap(all, before(vlan...))),
		"cooked":           pcap(le, false, capture.LinkSLL, rewrap(all, before(sll...))),
		"cooked 2":         pcap(le, false, capture.LinkSLL2, rewrap(all, before(sll2...))),
		"raw IP":           pcap(le, false, capture.LinkRaw, rewrap(all, before())),
		"loopback":         pcap(le, false, capture.LinkNull, rewrap(all, before(2, 0, 0, 0))),
		"fragments":        pcap(le, false, capture.LinkRaw, rewrap(all, inFragments)),
		"RFC 6951":         pcap(le, false, capture.LinkRaw, rewrap(all, inUDP(9899, 40000))),
		"any UDP port":     pcap(le, false, capture.LinkRaw, rewrap(all, inUDP(1234, 40000))),
		"IPv6":             pcap(le, false, capture.LinkIPv6, rewrap(all, inIPv6(false))),
		"IPv6 fragments":   pcap(le, false, capture.LinkRaw, rewrap(all, inIPv6(true))),
	} {
		if got := stripped(t, b, decode.Options{}); got != want {
			t.Errorf("%s: shown otherwise\n%.2000s", name, diff(got, want))
		}
	}
}

func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("message %d: %s\nwant %s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return fmt.Sprintf("%d messages, want %d", len(g)-1, len(w)-1)
}

// What was sent again is shown once, what a cut capture lacks is said, and a
// damaged file is shown up to its damage.
func TestImperfectCaptures(t *testing.T) {
	all := frames(t, file(t, idleCapture))
	want := stripped(t, file(t, idleCapture), decode.Options{})
	twice := slices.Insert(slices.Clone(all), 12, all[11], all[9])
	if got := stripped(t, pcap(le, false, capture.LinkEthernet, twice), decode.Options{}); got != want {
		t.Errorf("sent again: %.2000s", diff(got, want))
	}
	if _, notes, _ := run(t, decode.Options{}, pcap(le, false, capture.LinkEthernet, twice)); !slices.Contains(notes, "2 SCTP chunks were sent again and are shown once") {
		t.Errorf("notes %q", notes)
	}
	short := slices.Clone(all)
	short[11].Data, short[11].Length = all[11].Data[:150], len(all[11].Data)
	out, _, err := run(t, decode.Options{Frame: 12}, pcap(le, false, capture.LinkEthernet, short))
	var broken *decode.Malformed
	if !errors.As(err, &broken) || *broken != (decode.Malformed{Broken: 1, Messages: 1}) || !strings.Contains(out, "the capture left 105 of 177 octets out") || !strings.Contains(out, "MME-UE-S1AP-ID: 1\n") || strings.Contains(out, "SecurityKey") {
		t.Errorf("%v\n%s", err, out)
	}
	whole := pcap(le, false, capture.LinkEthernet, all)
	out, _, err = run(t, decode.Options{Format: decode.Summary}, whole[:len(whole)-10])
	if err == nil || !strings.Contains(err.Error(), "frame 90: the file ends inside it") || strings.Count(out, "\n") != 43 {
		t.Errorf("%v\n%s", err, out)
	}
	bad := slices.Clone(whole)
	le.PutUint32(bad[24+8:], 1<<30)
	if _, _, err = run(t, decode.Options{}, bad); err == nil || !strings.Contains(err.Error(), "frame 1: it claims 1073741824 octets") {
		t.Error(err)
	}
	if out, notes, err := run(t, decode.Options{}, pcap(le, false, 9999, all)); out != "" || err != nil || len(notes) != 1 {
		t.Errorf("%v %q %s", err, notes, out)
	}
	if len(all) != 90 || !all[0].Time.Before(all[89].Time) || all[0].Time.Year() != 2026 || all[0].Time.Location() != time.UTC {
		t.Errorf("%d frames, first %v", len(all), all[0].Time)
	}
}

// What else SCTP carried is said, by its name where it has one.
func TestOtherPayloadProtocols(t *testing.T) {
	all := frames(t, file(t, idleCapture))
	for i, ppid := range map[int]uint32{4: 60, 5: 60, 6: 4711} {
		all[i].Data = bytes.Replace(all[i].Data, []byte{0, 0, 0, 18}, be.AppendUint32(nil, ppid), 1)
	}
	out, notes, err := run(t, decode.Options{Format: decode.Summary}, pcap(le, false, capture.LinkEthernet, all))
	if want := "SCTP messages that are not S1AP are not shown: 2 of NGAP, 1 of others"; err != nil || !slices.Contains(notes, want) {
		t.Errorf("%v %q\n%s", err, notes, out)
	}
}

// Messages that were recorded without a network are known by the link type
// that srsRAN uses, by the name that Wireshark exports them with, or by what
// they are.
func TestMessagesWithoutNetwork(t *testing.T) {
	setup := "0011002d000004003b00080000f110000019b0003c400a0380737273656e62303100400007000001c000f1100089400140"
	b, err := hex.DecodeString(setup)
	if err != nil {
		t.Fatal(err)
	}
	exported := append([]byte{0, 12, 0, 4, 's', '1', 'a', 'p', 0, 20, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0}, b...)
	other := append([]byte{0, 12, 0, 4, 'h', 't', 't', 'p', 0, 0, 0, 0}, "GET"...)
	for name, c := range map[string]struct {
		link capture.LinkType
		data []byte
		want string
	}{
		"srsRAN S1AP": {150, b, "S1SetupRequest"}, "srsRAN NAS": {148, []byte{7, 0x44, 0x11}, "ATTACH REJECT"}, "any user type": {160, b, "S1SetupRequest"},
		"exported": {capture.LinkUpperPDU, exported, "S1SetupRequest"}, "of another trade": {capture.LinkUpperPDU, other, ""},
		"nothing known": {150, []byte{1, 2, 3}, "malformed: 3 octets that are no whole message"},
	} {
		p := capture.Packet{Data: c.data, Length: len(c.data), Time: time.Unix(1, 0)}
		out, _, _ := run(t, decode.Options{Format: decode.Summary}, pcap(le, false, c.link, []capture.Packet{p}))
		if !strings.Contains(out, c.want) || (out == "") != (c.want == "") {
			t.Errorf("%s: %s", name, out)
		}
	}
}
