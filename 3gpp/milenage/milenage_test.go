package milenage_test

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"

	wmnsk "github.com/wmnsk/milenage"
)

var _ aka.Algorithm = (*milenage.Cipher)(nil)

// testSet is one published set: set K RAND SQN AMF OP OPc f1 f1* f2 f3 f4 f5 f5*.
type testSet struct {
	name string
	f    [12][]byte
}

func testSets(t testing.TB) (all []testSet) {
	t.Helper()
	for _, fields := range testkit.Rows(t, "testdata/ts35208-milenage.txt") {
		s := testSet{name: fields[0]}
		if s.name != strconv.Itoa(len(all)+1) {
			t.Fatalf("set %s stands where set %d of TS 35.208 §4.3 should", s.name, len(all)+1)
		}
		// K RAND SQN AMF OP OPc and then f1 ... f5*; OP and OPc share no index below.
		if len(fields) != 14 {
			t.Fatalf("set %s: %d fields, want 14", fields[0], len(fields))
		}
		for i, x := range append(fields[1:6:6], fields[7:]...) {
			s.f[i] = testkit.Unhex(t, x)
		}
		opc := milenage.OPc(secret.Key128(s.f[0]), secret.Key128(s.f[4]))
		if want, _ := hex.DecodeString(fields[6]); !bytes.Equal(opc[:], want) {
			t.Errorf("set %s: OPc %x, want %s", fields[0], opc[:], fields[6])
		}
		all = append(all, s)
	}
	if len(all) != 20 {
		t.Fatalf("%d test sets, want 20", len(all))
	}
	return all
}

func (s testSet) cipher() *milenage.Cipher {
	k := secret.Key128(s.f[0])
	return milenage.New(k, milenage.OPc(k, secret.Key128(s.f[4])))
}

func (s testSet) input() (rand [16]byte, sqn [6]byte, amf [2]byte) {
	return [16]byte(s.f[1]), [6]byte(s.f[2]), [2]byte(s.f[3])
}

func TestPublishedSets(t *testing.T) {
	for _, s := range testSets(t) {
		t.Run(s.name, func(t *testing.T) {
			c := s.cipher()
			rand, sqn, amf := s.input()
			v := c.Compute(rand, sqn, amf)
			got := [][]byte{v.MACA[:], v.MACS[:], v.RES.Bytes(), v.CK[:], v.IK[:], v.AK[:], v.AKS[:]}
			macA, macS := c.F1(rand, sqn, amf)
			res, ck, ik, ak := c.F2345(rand)
			aks := c.F5Star(rand)
			single := [][]byte{macA[:], macS[:], res.Bytes(), ck[:], ik[:], ak[:], aks[:]}
			if a, r, c, i, k := c.F12345(rand, sqn, amf); a != v.MACA || r != v.RES || c != v.CK || i != v.IK || k != v.AK {
				t.Errorf("F12345 %x %x %x %x %x differs from Compute", a, r.Bytes(), c[:], i[:], k)
			}
			for i, name := range []string{"f1", "f1*", "f2", "f3", "f4", "f5", "f5*"} {
				if want := s.f[5+i]; !bytes.Equal(got[i], want) {
					t.Errorf("Compute %s %x, want %x", name, got[i], want)
				}
				if want := s.f[5+i]; !bytes.Equal(single[i], want) {
					t.Errorf("%s %x, want %x", name, single[i], want)
				}
			}
		})
	}
}

func TestVectorAllocatesOnce(t *testing.T) {
	s := testSets(t)[2]
	c := s.cipher()
	rand, sqn, amf := s.input()
	if n := testing.AllocsPerRun(100, func() { c.Compute(rand, sqn, amf) }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { c.F12345(rand, sqn, amf) }); n > 1 {
		t.Errorf("F12345: %v allocations, want at most 1", n)
	}
}

// BenchmarkVector makes all seven functions of one RAND: with the key expanded
// before, with the key expanded each time, and by github.com/wmnsk/milenage.
func BenchmarkVector(b *testing.B) {
	s := testSets(b)[2]
	k := secret.Key128(s.f[0])
	opc := milenage.OPc(k, secret.Key128(s.f[4]))
	rand, sqn, amf := s.input()
	b.Run("ours", func(b *testing.B) {
		c := milenage.New(k, opc)
		b.ReportAllocs()
		for b.Loop() {
			c.Compute(rand, sqn, amf)
		}
	})
	b.Run("ours+key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			milenage.New(k, opc).Compute(rand, sqn, amf)
		}
	})
	b.Run("wmnsk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := wmnsk.NewWithOPc(k[:], opc[:], s.f[1], 0x9d0277595ffc, 0x725c)
			if err := m.ComputeAll(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
