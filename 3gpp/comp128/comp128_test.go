package comp128_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/secret"
)

type algorithm func(secret.Key128, [16]byte) ([4]byte, secret.Key64)

var versions = map[string]algorithm{"comp128v1": comp128.V1, "comp128v2": comp128.V2, "comp128v3": comp128.V3}

var unhex = testkit.Unhex

// compare holds the triplets of a testdata file against ours.
func compare(t *testing.T, file string, want map[string]int) {
	t.Helper()
	seen := map[string]int{}
	for _, f := range testkit.Rows(t, "testdata/"+file) {
		seen[f[0]]++
		sres, kc := versions[f[0]](secret.Key128(unhex(t, f[1])), [16]byte(unhex(t, f[2])))
		if !bytes.Equal(sres[:], unhex(t, f[3])) || !bytes.Equal(kc[:], unhex(t, f[4])) {
			t.Errorf("%s, Ki %s, RAND %s: SRES %x, Kc %x, want %s, %s", f[0], f[1], f[2], sres, kc[:], f[3], f[4])
		}
	}
	for v, n := range want {
		if seen[v] != n {
			t.Errorf("%s: %d triplets of %s, want %d", file, seen[v], v, n)
		}
	}
}

func TestAgainstOsmoAucGen(t *testing.T) {
	compare(t, "osmo-auc-gen-comp128.txt", map[string]int{"comp128v1": 200, "comp128v2": 200, "comp128v3": 200})
}

func TestVersionsTwoAndThreeDifferInTenBits(t *testing.T) {
	for i := range byte(50) {
		ki, rand := secret.Key128{i, 1}, [16]byte{2, i}
		s2, k2 := comp128.V2(ki, rand)
		s3, k3 := comp128.V3(ki, rand)
		k3[6] &= 0xfc
		k3[7] = 0
		if s2 != s3 || k2 != k3 {
			t.Errorf("%d: %x %x and %x %x", i, s2, k2[:], s3, k3[:])
		}
		if _, k1 := comp128.V1(ki, rand); k1[6]&3 != 0 || k1[7] != 0 {
			t.Errorf("%d: Kc of version 1 is %x", i, k1[:])
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for name, f := range versions {
		if n := testing.AllocsPerRun(10, func() { f(secret.Key128{1}, [16]byte{2}) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkTriplet(b *testing.B) {
	for _, name := range []string{"comp128v1", "comp128v2", "comp128v3"} {
		b.Run(name, func(b *testing.B) {
			ki, rand := secret.Key128{1}, [16]byte{2}
			b.ReportAllocs()
			for b.Loop() {
				rand[0]++
				versions[name](ki, rand)
			}
		})
	}
}
