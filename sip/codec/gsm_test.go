package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

const frames = 300 // of each signal: 6 s

// signals are what the codecs are tried with.
func signals() map[string][]int16 {
	n := frames * Samples
	r := rand.New(rand.NewPCG(6, 10))
	make16 := func(f func(i int) float64) []int16 {
		s := make([]int16, n)
		for i := range s {
			s[i] = int16(min(max(f(i), -32768), 32767))
		}
		return s
	}
	sine := func(i int, hz float64) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / SampleRate) }
	return map[string][]int16{
		"silence": make16(func(int) float64 { return 0 }),
		"tone":    make16(func(i int) float64 { return 12000 * sine(i, 440) }),
		"dtmf":    make16(func(i int) float64 { return 9000*sine(i, 770) + 9000*sine(i, 1336) }),
		"sweep":   make16(func(i int) float64 { return 20000 * sine(i, float64(i)/float64(n)*2000) }),
		"noise":   make16(func(int) float64 { return r.NormFloat64() * 3000 }),
		"loud":    make16(func(int) float64 { return r.NormFloat64() * 40000 }),
		"square":  make16(func(i int) float64 { return 40000 * (float64(i/37%2) - .5) * 2 }),
		"whisper": make16(func(int) float64 { return r.NormFloat64() * 20 }),
		"steps":   make16(func(i int) float64 { return float64(i%4000)*16 - 32000 }),
		"speech":  speech(n, r),
	}
}

// speech is a crowd of vowels: pulses of a gliding pitch, or noise, through two
// gliding resonances, with pauses between.
func speech(n int, r *rand.Rand) []int16 {
	s := make([]int16, n)
	var y1, y2, z1, z2, phase float64
	f1, f2, pitch, level, voiced := 500.0, 1500.0, 120.0, 0.0, true
	for i := range s {
		if i%1600 == 0 {
			f1, f2, pitch = 250+r.Float64()*600, 900+r.Float64()*1500, 80+r.Float64()*180
			voiced, level = r.Float64() < .7, r.Float64()*r.Float64()*6000
			if r.Float64() < .2 {
				level = 0
			}
		}
		x := r.NormFloat64() * .3
		if voiced {
			x *= .05
			if phase += pitch / SampleRate; phase >= 1 {
				phase -= 1
				x += 4
			}
		}
		const q = .97
		y := x + 2*q*math.Cos(2*math.Pi*f1/SampleRate)*y1 - q*q*y2
		y1, y2 = y, y1
		z := y + 2*q*math.Cos(2*math.Pi*f2/SampleRate)*z1 - q*q*z2
		z1, z2 = z, z1
		s[i] = int16(min(max(z*level/20, -32768), 32767))
	}
	return s
}

func encode(pcm []int16) []byte {
	var e Encoder
	var out []byte
	for ; len(pcm) >= Samples; pcm = pcm[Samples:] {
		out = e.Encode(out, (*[Samples]int16)(pcm))
	}
	return out
}

func decode(t *testing.T, gsm []byte) []int16 {
	var d Decoder
	var out []int16
	for ; len(gsm) >= FrameSize; gsm = gsm[FrameSize:] {
		var pcm [Samples]int16
		if err := d.Decode(&pcm, gsm[:FrameSize]); err != nil {
			t.Fatal(err)
		}
		out = append(out, pcm[:]...)
	}
	return out
}

func stranger(t *testing.T, name string, in []byte, args ...string) []byte {
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: apt-get install libgsm-tools", name)
		}
		t.Skipf("%s is not installed: apt-get install libgsm-tools", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return out
}

func octets(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, s := range pcm {
		b = binary.NativeEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// Every signal becomes the same octets as libgsm's, bit for bit, and these and
// octets at random the same samples.
func TestAgainstLibgsm(t *testing.T) {
	for name, pcm := range signals() {
		t.Run(name, func(t *testing.T) {
			want := stranger(t, "toast", octets(pcm), "-l")
			got := encode(pcm)
			if len(want) != frames*FrameSize {
				t.Fatalf("toast gave %d octets", len(want))
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("frame %d differs from libgsm's", firstDifference(got, want)/FrameSize)
			}
			same(t, got)
		})
	}
	t.Run("random octets", func(t *testing.T) {
		b := make([]byte, frames*FrameSize)
		rand.NewChaCha8([32]byte{46, 10}).Read(b)
		for i := 0; i < len(b); i += FrameSize {
			b[i] = signature<<4 | b[i]&0xf
		}
		same(t, b)
	})
}

func same(t *testing.T, gsm []byte) {
	t.Helper()
	want := stranger(t, "untoast", gsm, "-l")
	if got := octets(decode(t, gsm)); !bytes.Equal(got, want) {
		t.Fatalf("sample %d differs from libgsm's", firstDifference(got, want)/2)
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func BenchmarkGSM(b *testing.B) {
	pcm := signals()["speech"]
	gsm := encode(pcm)
	b.Run("encode", func(b *testing.B) {
		var e Encoder
		out := make([]byte, 0, FrameSize)
		b.ReportAllocs()
		for i := 0; b.Loop(); i = (i + 1) % frames {
			out = e.Encode(out[:0], (*[Samples]int16)(pcm[i*Samples:]))
		}
	})
	b.Run("decode", func(b *testing.B) {
		var d Decoder
		var out [Samples]int16
		b.ReportAllocs()
		for i := 0; b.Loop(); i = (i + 1) % frames {
			if err := d.Decode(&out, gsm[i*FrameSize:][:FrameSize]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The encoder homing frame gives the decoder homing frame (TS 46.010 §4.3).
func TestHoming(t *testing.T) {
	var pcm [Samples]int16
	for i := range pcm {
		pcm[i] = 0x0008
	}
	want := frame{larc: [8]int16{9, 23, 15, 8, 7, 3, 3, 2}}
	for i := range want.sub {
		want.sub[i].nc = 40
		for k := range want.sub[i].xmc {
			want.sub[i].xmc[k] = 4
		}
	}
	want.sub[3].xmc[4] = 3
	var e Encoder
	octets := e.Encode(nil, &pcm)
	var got frame
	if err := got.unpack(octets); err != nil || got != want {
		t.Errorf("%v\n got %v\nwant %v", err, got, want)
	}
}

func TestNoFrame(t *testing.T) {
	good := encode(signals()["tone"][:Samples])
	var d Decoder
	for name, b := range map[string][]byte{
		"nothing": nil, "half rate": good[:14], "short": good[:32], "long": append(good[:33:33], 0),
		"two": append(good[:33:33], good...), "enhanced": append([]byte{0xc0}, good[1:]...),
	} {
		pcm := [Samples]int16{7}
		if err := d.Decode(&pcm, b); err != ErrFrame || pcm[0] != 7 || d != (Decoder{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is lost is first repeated, then fades, and is silent after a while; a
// frame that comes then is heard again.
func TestConceal(t *testing.T) {
	gsm := encode(signals()["tone"])
	var d Decoder
	var pcm [Samples]int16
	for i := range 10 {
		d.Decode(&pcm, gsm[i*FrameSize:][:FrameSize])
	}
	before := energy(&pcm)
	d.Conceal(&pcm)
	if e := energy(&pcm); e < before/2 || e > before*2 {
		t.Errorf("the first lost frame has energy %g, the one before %g", e, before)
	}
	for range 20 {
		d.Conceal(&pcm)
	}
	if pcm != [Samples]int16{} {
		t.Errorf("after 420 ms it is not silent: %g", energy(&pcm))
	}
	for i := 10; i < 15; i++ {
		d.Decode(&pcm, gsm[i*FrameSize:][:FrameSize])
	}
	if e := energy(&pcm); e < before/2 || e > before*2 {
		t.Errorf("after the loss energy is %g, before it was %g", e, before)
	}
	d = Decoder{}
	if d.Conceal(&pcm); energy(&pcm) > 1e6 {
		t.Errorf("nothing was there and is heard: %g", energy(&pcm))
	}
}

func energy(pcm *[Samples]int16) (e float64) {
	for _, v := range pcm {
		e += float64(v) * float64(v)
	}
	return e
}

func TestNothingIsAllocated(t *testing.T) {
	var e Encoder
	var d Decoder
	var pcm [Samples]int16
	out := make([]byte, 0, FrameSize)
	if n := testing.AllocsPerRun(10, func() {
		out = e.Encode(out[:0], &pcm)
		d.Decode(&pcm, out)
		d.Conceal(&pcm)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
