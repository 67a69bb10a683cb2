package codec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

func all() (pcm []int16, law []byte) {
	for i := range 1 << 16 {
		pcm = append(pcm, int16(i))
	}
	for i := range 1 << 8 {
		law = append(law, byte(i))
	}
	return pcm, law
}

// What CPython 3.11's audioop makes of every value, as SHA-256. For µ-law of
// what is negative it cuts 16 bits down to 14 towards minus infinity, which is
// not symmetric: only the half from 0 up is compared there.
func TestAgainstAudioop(t *testing.T) {
	pcm, law := all()
	little := func(s []int16) (b []byte) {
		for _, v := range s {
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		}
		return b
	}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"lin2ulaw, 0 to 32767", EncodeMu(nil, pcm[:1<<15]), "912062bf9c931c7ebc1dc1fd1d74faf0cfefcd47e8408a3ed4d07aa59f0f1c20"},
		{"lin2alaw", EncodeA(nil, pcm), "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f"},
		{"ulaw2lin", little(DecodeMu(nil, law)), "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"},
		{"alaw2lin", little(DecodeA(nil, law)), "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174"},
	} {
		sum := sha256.Sum256(c.got)
		if hex.EncodeToString(sum[:]) != c.want {
			t.Errorf("%s differs", c.name)
		}
	}
}

// The ends of ITU-T G.711 tables 1 and 2, scaled to 16 bits.
func TestEnds(t *testing.T) {
	for i, c := range []struct{ got, want int16 }{
		{DecodeMu(nil, []byte{0x80})[0], 32124}, {DecodeMu(nil, []byte{0x00})[0], -32124},
		{DecodeMu(nil, []byte{0xff})[0], 0}, {DecodeMu(nil, []byte{0x7f})[0], 0},
		{DecodeA(nil, []byte{0xaa})[0], 32256}, {DecodeA(nil, []byte{0x2a})[0], -32256},
		{DecodeA(nil, []byte{0xd5})[0], 8}, {DecodeA(nil, []byte{0x55})[0], -8},
	} {
		if c.got != c.want {
			t.Errorf("case %d is %d, want %d", i, c.got, c.want)
		}
	}
}

// An octet's value gets that octet (but µ-law's two zeros, which are one value);
// what is louder gets no smaller value, and none that is further off than its
// step is wide.
func TestOrder(t *testing.T) {
	_, law := all()
	for _, c := range []struct {
		name   string
		encode func([]byte, []int16) []byte
		decode func([]int16, []byte) []int16
	}{{"µ-law", EncodeMu, DecodeMu}, {"A-law", EncodeA, DecodeA}} {
		values := c.decode(nil, law)
		for i, b := range c.encode(nil, values) {
			if b != byte(i) && values[b] != values[i] {
				t.Errorf("%s %#02x is %d, which is %#02x", c.name, i, values[i], b)
			}
		}
		last := int32(-1 << 15)
		for s := int32(-1 << 15); s < 1<<15; s++ {
			v := int32(values[c.encode(nil, []int16{int16(s)})[0]])
			if off := max(s-v, v-s); v < last || off > 8+max(s, -s)/32+512*(max(s, -s)/32256) {
				t.Fatalf("%s of %d is %d, of the one below %d", c.name, s, v, last)
			}
			last = v
		}
	}
}

func BenchmarkG711(b *testing.B) {
	pcm := signals()["speech"][:Samples]
	law := EncodeA(nil, pcm)
	out, back := make([]byte, 0, Samples), make([]int16, 0, Samples)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out = EncodeA(out[:0], pcm)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			back = DecodeA(back[:0], law)
		}
	})
}
