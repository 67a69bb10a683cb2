package gsm7_test

import (
	"strings"
	"testing"

	oracle "github.com/warthog618/sms/encoding/gsm7"

	"campanile.network/3gpp/gsm7"
)

// BenchmarkText writes and reads a short message of 160 septets, beside
// warthog618/sms.
func BenchmarkText(b *testing.B) {
	english := strings.Repeat("Bells ring at noon, €5 a head. ", 5) + "Ding"
	tamil := strings.Repeat("தமிழில் செய்தி. ", 10)
	for _, tc := range []struct {
		name, text string
		a          gsm7.Alphabet
	}{{"default", english, gsm7.Alphabet{}}, {"tamil", tamil, gsm7.Alphabet{Locking: gsm7.Tamil, Single: gsm7.Tamil}}} {
		septets, err := tc.a.Append(nil, tc.text)
		if err != nil {
			b.Fatal(err)
		}
		encoder := oracle.NewEncoder(oracle.WithCharset(int(tc.a.Locking)), oracle.WithExtCharset(int(tc.a.Single)))
		decoder := oracle.NewDecoder(oracle.WithCharset(int(tc.a.Locking)), oracle.WithExtCharset(int(tc.a.Single)))
		src := []byte(tc.text)
		b.Run(tc.name+"/write/campanile", func(b *testing.B) {
			buf := make([]byte, 0, 200)
			b.ReportAllocs()
			for b.Loop() {
				if buf, err = tc.a.Append(buf[:0], tc.text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(tc.name+"/write/warthog618", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encoder.Encode(src); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(tc.name+"/read/campanile", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if tc.a.Text(septets) != tc.text {
					b.Fatal("another text")
				}
			}
		})
		b.Run(tc.name+"/read/warthog618", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decoder.Decode(septets); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	septets := []byte(strings.Repeat("Campanile ", 16))
	packed := gsm7.Pack(nil, septets, 0)
	buf := make([]byte, 0, 200)
	b.Run("write/campanile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = gsm7.Pack(buf[:0], septets, 0)
		}
	})
	b.Run("write/warthog618", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			oracle.Pack7Bit(septets, 0)
		}
	})
	b.Run("read/campanile", func(b *testing.B) {
		b.ReportAllocs()
		var err error
		for b.Loop() {
			if buf, err = gsm7.Unpack(buf[:0], packed, 0, len(septets)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read/warthog618", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			oracle.Unpack7Bit(packed, 0)
		}
	})
}

func BenchmarkChoose(b *testing.B) {
	text := strings.Repeat("हिन्दी में ", 10)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := gsm7.Choose(text); !ok {
			b.Fatal("no alphabet")
		}
	}
}
