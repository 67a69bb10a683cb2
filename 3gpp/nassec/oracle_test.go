package nassec_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"

	oracle "github.com/free5gc/nas/security"
)

// TestAgainstFree5GC compares with github.com/free5gc/nas/security, whose 5G
// ciphers are the same, over random keys, counts and lengths. It starts at one
// octet because that library panics on none.
func TestAgainstFree5GC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		var key secret.Key128
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		count, bearer, dir := r.Uint32(), uint8(r.UintN(32)), nassec.Direction(r.UintN(2))
		data := make([]byte, 1+n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		for alg := uint8(1); alg <= 3; alg++ {
			g, err := nassec.NewIntegrity(nassec.EIA(alg), key)
			if err != nil {
				t.Fatal(err)
			}
			want, err := oracle.NASMacCalculate(alg, key, count, bearer, uint8(dir), bytes.Clone(data))
			if err != nil {
				t.Fatal(err)
			}
			if got := g.MAC(count, bearer, dir, data); !bytes.Equal(got[:], want) {
				t.Errorf("EIA%d over %d octets: %x, want %x", alg, len(data), got, want)
			}
			c, err := nassec.NewCipher(nassec.EEA(alg), key)
			if err != nil {
				t.Fatal(err)
			}
			text := bytes.Clone(data)
			if err := oracle.NASEncrypt(alg, key, count, bearer, uint8(dir), text); err != nil {
				t.Fatal(err)
			}
			got := bytes.Clone(data)
			if c.Apply(count, bearer, dir, got); !bytes.Equal(got, text) {
				t.Errorf("EEA%d over %d octets:\n%x, want\n%x", alg, len(data), got, text)
			}
		}
	}
}

func TestEmptyMessage(t *testing.T) {
	for alg := range uint8(4) {
		c, err := nassec.NewCipher(nassec.EEA(alg), secret.Key128{})
		if err != nil {
			t.Fatal(err)
		}
		c.Apply(0, 0, nassec.Uplink, nil)
		g, err := nassec.NewIntegrity(nassec.EIA(alg), secret.Key128{})
		if err != nil {
			t.Fatal(err)
		}
		if m := g.MAC(0, 0, nassec.Uplink, nil); (m == [4]byte{}) != (alg == 0) {
			t.Errorf("EIA%d of nothing: %x", alg, m)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	data := make([]byte, 100)
	for alg := range uint8(4) {
		c, _ := nassec.NewCipher(nassec.EEA(alg), secret.Key128{1})
		g, _ := nassec.NewIntegrity(nassec.EIA(alg), secret.Key128{1})
		if n := testing.AllocsPerRun(50, func() { c.Apply(1, 2, nassec.Uplink, data) }); n != 0 {
			t.Errorf("EEA%d allocates %v times", alg, n)
		}
		if n := testing.AllocsPerRun(50, func() { g.MAC(1, 2, nassec.Uplink, data) }); n != 0 {
			t.Errorf("EIA%d allocates %v times", alg, n)
		}
	}
	p := newPair(t, state(nassec.EEA2, nassec.EIA2))
	buf, out := make([]byte, 0, 200), make([]byte, 0, 200)
	if n := testing.AllocsPerRun(50, func() {
		pdu, _ := p.phone.Protect(buf, nassec.IntegrityCiphered, data)
		if _, err := p.network.Unprotect(out, pdu); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a protected message allocates %v times", n)
	}
}

// sizes are those of a short NAS message and of a full packet, in octets.
var sizes = []int{100, 1400}

func BenchmarkEEA(b *testing.B) {
	for alg := uint8(1); alg <= 3; alg++ {
		for _, n := range sizes {
			data := make([]byte, n)
			b.Run(fmt.Sprintf("EEA%d/%d/ours", alg, n), func(b *testing.B) {
				c, _ := nassec.NewCipher(nassec.EEA(alg), secret.Key128{1})
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					c.Apply(1, 0, nassec.Uplink, data)
				}
			})
			b.Run(fmt.Sprintf("EEA%d/%d/free5gc", alg, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					_ = oracle.NASEncrypt(alg, [16]byte{1}, 1, 0, 0, data)
				}
			})
		}
	}
}

func BenchmarkEIA(b *testing.B) {
	for alg := uint8(1); alg <= 3; alg++ {
		for _, n := range sizes {
			data := make([]byte, n)
			b.Run(fmt.Sprintf("EIA%d/%d/ours", alg, n), func(b *testing.B) {
				g, _ := nassec.NewIntegrity(nassec.EIA(alg), secret.Key128{1})
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					g.MAC(1, 0, nassec.Uplink, data)
				}
			})
			b.Run(fmt.Sprintf("EIA%d/%d/free5gc", alg, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					_, _ = oracle.NASMacCalculate(alg, [16]byte{1}, 1, 0, 0, data)
				}
			})
		}
	}
}

func BenchmarkContext(b *testing.B) {
	p := newPair(b, state(nassec.EEA2, nassec.EIA2))
	data, buf, out := make([]byte, 100), make([]byte, 0, 200), make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		pdu, err := p.phone.Protect(buf, nassec.IntegrityCiphered, data)
		if err != nil { // 2^24 messages later
			p = newPair(b, state(nassec.EEA2, nassec.EIA2))
			continue
		}
		if _, err := p.network.Unprotect(out, pdu); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newPair(b, state(nassec.EEA2, nassec.EIA2))
	}
}
