package decode_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"campanile.network/decode"
	"campanile.network/decode/capture"
)

// many is the capture over and over: 100 conversations in one file.
func many(b *testing.B) []byte {
	b.Helper()
	one := frames(b, file(b, idleCapture))
	var all []capture.Packet
	for i := range 100 {
		for _, p := range one {
			p.Data = bytes.Clone(p.Data)
			if len(p.Data) > 36 {
				p.Data[30], p.Data[26] = byte(i), byte(i) // other hosts: not the same chunks again
				for _, at := range []int{38, 39} {        // and other verification tags
					p.Data[at] ^= byte(i)
				}
			}
			all = append(all, p)
		}
	}
	return pcap(le, false, capture.LinkEthernet, all)
}

func BenchmarkDecode(b *testing.B) {
	in := many(b)
	for name, o := range map[string]decode.Options{
		"text":    {},
		"json":    {Format: decode.JSON},
		"summary": {Format: decode.Summary},
		"keys":    {Keys: srsSIM()},
	} {
		b.Run(name, func(b *testing.B) {
			d, err := decode.New(o)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				var out counting
				if err := d.Run(context.Background(), bytes.NewReader(in), &out); err != nil {
					b.Fatal(err)
				}
				if out.n == 0 {
					b.Fatal("nothing written")
				}
			}
		})
	}
}

// BenchmarkTshark is the same file, and as text or JSON the same question, put
// to tshark; its start is in the time.
func BenchmarkTshark(b *testing.B) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		b.Skip("tshark is not installed")
	}
	name := filepath.Join(b.TempDir(), "many.pcap")
	in := many(b)
	if err := os.WriteFile(name, in, 0o600); err != nil {
		b.Fatal(err)
	}
	for _, as := range [][]string{{"-V"}, {"-T", "json"}, nil} {
		b.Run(map[int]string{0: "summary", 1: "text", 2: "json"}[len(as)], func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				c := exec.Command(path, append([]string{"-r", name, "-Y", "s1ap"}, as...)...)
				c.Stdout = io.Discard
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
