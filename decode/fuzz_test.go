package decode_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"campanile.network/3gpp/secret"
	"campanile.network/decode"
	"campanile.network/decode/observer"
)

// counting counts what is written.
type counting struct{ n int }

func (c *counting) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

// robust decodes anything in every format: nothing panics, and JSON is lines
// of printable objects.
func robust(t *testing.T, in []byte, o decode.Options) {
	o.Keys = srsSIM()
	o.Keys.KASME = []secret.Key256{{1, 2, 3}}
	for _, f := range []decode.Format{decode.Text, decode.JSON, decode.Summary} {
		o.Format = f
		d, err := decode.New(o)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.Run(context.Background(), bytes.NewReader(in), &b); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		out := b.String()
		if f == decode.JSON {
			objects(t, out)
		}
		if strings.ContainsAny(out, "\x1b\x00\x07\r") || !utf8.ValidString(out) {
			t.Errorf("a terminal would obey: %q", out)
		}
	}
}

func FuzzCapture(f *testing.F) {
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		all := frames(f, b)[4:8] // short seeds: the fuzzer is quick
		f.Add(pcap(le, false, 1, all))
		f.Add(pcap(le, false, 101, rewrap(all, inFragments)))
		f.Add(pcap(le, true, 101, rewrap(all, inUDP(9899, 1))))
		f.Add(pcap(be, false, 101, rewrap(all, inIPv6(true))))
		f.Add(pcapng(be, 0x80|20, 1, all))
	}
	f.Fuzz(func(t *testing.T, b []byte) { robust(t, b, decode.Options{Input: "pcap"}) })
}

func FuzzText(f *testing.F) {
	f.Add("0741720bf600f110000201030003e605f07000001000050215d011d1")
	f.Add("0x07, 0x44, 0x11\nB0QR\n# comment\n0000  07 44 11   .D.\n0003  00\n0000010\n")
	f.Add(strings.Repeat("09", 40) + "\n190110\n")
	f.Add(hex.EncodeToString(createSession(f)))
	f.Add("+CMGL: 1,0,,23\n07914151551512f2040B916105551511f100006060605130308A04D4F29C0E\n\nOK\n> 0011000B916407281553F80000AA0AE8329BFD4697D9EC37\n")
	f.Add("Frame (3 bytes):\n0000  07 44 11   .D.\nBitstring tvb (1 byte):\n0000  44   D\n\n/* a */\nchar b[] = {\n0x07, 0x44, // x\n0x11,\n};\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, as := range []string{"auto", "s1ap", "nas", "gtpv2", "gtpu", "sms", "sms-up", "sctp", "ethernet"} {
			robust(t, []byte(s), decode.Options{As: as})
		}
	})
}

// FuzzGTPv2 takes octets as they are.
func FuzzGTPv2(f *testing.F) {
	f.Add(createSession(f))
	f.Fuzz(func(t *testing.T, b []byte) { robust(t, b, decode.Options{Input: "raw", As: "gtpv2"}) })
}

// What a hostile capture makes us write is in proportion to its size.
func TestOutputIsInProportion(t *testing.T) {
	for _, name := range []string{idleCapture, linuxSCTP} {
		in := file(t, name)
		for _, f := range []decode.Format{decode.Text, decode.JSON, decode.Summary} {
			d, err := decode.New(decode.Options{Format: f, Keys: observer.Options{}})
			if err != nil {
				t.Fatal(err)
			}
			var n counting
			if err := d.Run(context.Background(), bytes.NewReader(in), io.Writer(&n)); err != nil || n.n > 20*len(in) {
				t.Errorf("%s: %d octets of %d, %v", name, n.n, len(in), err)
			}
		}
	}
}
