package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"

	"campanile.network/decode/capture"
)

// FuzzReader reads anything as a capture: frames are counted, none is larger
// than it may be, and damage is an *Error.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"srsran_linux_kernel_sctp_attach.pcap", "srsran_raw132_25prb_attach_idle_service_paging_detach_guti.pcap"} {
		b, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:1024]) // short seeds: the fuzzer is quick
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := capture.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var n capture.Network
		a := capture.NewAssociations()
		for i := 1; ; i++ {
			p, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var damage *capture.Error
			if err != nil {
				if !errors.As(err, &damage) || damage.Frame < i {
					t.Errorf("frame %d: %v", i, err)
				}
				return
			}
			if p.Number != i || len(p.Data) > capture.MaxPacket || p.Length < len(p.Data) {
				t.Errorf("frame %d: %d, %d of %d octets", i, p.Number, len(p.Data), p.Length)
			}
			if d, ok := n.Open(p); ok {
				a.Packet(d.Src.Addr(), d.Dst.Addr(), d.Payload, d.Cut)
			}
		}
	})
}

// FuzzSCTP takes packets of an association, each two octets of length and the
// chunks: what comes out was in them.
func FuzzSCTP(f *testing.F) {
	chunk := func(flags byte, tsn uint32, data string) []byte {
		c := []byte{0, flags, 0, byte(16 + len(data))}
		c = binary.BigEndian.AppendUint32(c, tsn)
		c = append(append(c, 0, 1, 0, 2, 0, 0, 0, 18), data...)
		for len(c)%4 != 0 {
			c = append(c, 0)
		}
		return append([]byte{0, byte(len(c))}, c...)
	}
	f.Add(bytes.Join([][]byte{chunk(2, 1, "be"), chunk(0, 2, "gin"), chunk(1, 3, "ning")}, nil), uint16(0))
	f.Add(bytes.Join([][]byte{chunk(1, 3, "ning"), chunk(3, 4, "whole"), chunk(0, 2, "gin"), chunk(2, 1, "be"), chunk(3, 4, "whole")}, nil), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		a := capture.NewAssociations()
		src, dst := netip.AddrFrom4([4]byte{1}), netip.AddrFrom4([4]byte{2})
		in, out := 0, 0
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			p := append([]byte{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0}, b[2:2+n]...)
			b = b[2+n:]
			in += len(p)
			all, _ := a.Packet(src, dst, p, int(cut)) // its error is of the packet
			for _, m := range all {
				out += len(m.Data)
				if m.Association != 1 || m.Cut < 0 || m.Src.Addr() != src {
					t.Errorf("%+v", m)
				}
			}
		}
		if out > in {
			t.Errorf("%d octets out of %d", out, in)
		}
	})
}
