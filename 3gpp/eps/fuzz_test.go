package eps

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/tree"
)

// FuzzParse: whatever parses can be appended, printed and parsed again to the
// same octets.
func FuzzParse(f *testing.F) {
	for _, p := range append(captured(f), heard(f)...) {
		f.Add(bool(p.dir), p.plain)
	}
	for _, file := range pycrateFiles {
		for _, p := range foreigners(f, file) {
			f.Add(bool(p.dir), p.octets)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, k := range kinds() {
		m := k.new()
		random(f, r, m, 5)
		b, err := Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bool(k.dir), b)
	}
	f.Fuzz(func(t *testing.T, down bool, b []byte) {
		before := bytes.Clone(b)
		m, err := Parse(Direction(down), b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			if _, ok := err.(*Error); !ok || err.Error() == "" {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		if text := m.String(); !json.Valid(tree.View{}.AppendJSON(nil, Tree(m))) || text == "" {
			t.Fatalf("%x is shown as %s", b, text)
		}
		out, err := Append(nil, m)
		if err != nil {
			t.Fatalf("%x parsed but not appended: %v", b, err)
		}
		back, err := Parse(Direction(down), out)
		if err != nil {
			t.Fatalf("%x appended as %x: %v", b, out, err)
		}
		again, err := Append(nil, back)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%x then %x: %v", out, again, err)
		}
	})
}

func FuzzProtected(f *testing.F) {
	for _, p := range captured(f) {
		f.Add(p.whole)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := HeaderOf(b)
		_ = h.String()
		p, err2 := ParseProtected(b)
		if err != nil && err2 == nil {
			t.Fatal(err)
		}
		if n := TreePDU(Uplink, b); len(n.Nodes) == 0 && n.Value == nil && len(b) > 0 && err2 == nil {
			t.Fatalf("%x is shown as nothing", b)
		}
		if err2 == nil && !bytes.Equal(p.Append(nil), b) {
			t.Fatalf("%x became %x", b, p.Append(nil))
		}
	})
}

// What hostile input makes Parse allocate is bounded: 8 times its size and
// 4 KiB.
func TestAllocationBound(t *testing.T) {
	inputs := map[string][]byte{}
	add := func(name, head string, repeat []byte, n int) {
		b := unhex(t, head)
		for len(b) < n {
			b = append(b, repeat...)
		}
		inputs[name] = b
	}
	const attach = "0741710809101010325476" + "0802f070" + "0001ff"
	add("unknown half octets", attach, []byte{0xb0}, 60000)
	add("unknown elements", attach, []byte{0x77, 0}, 60000)
	add("repeated elements", attach, []byte{0x5c, 1, 2}, 60000)
	add("empty APN labels", "0201d028ff", []byte{0}, 260)
	add("short APN labels", "0201d02864", []byte{1, 'a'}, 105)
	add("bad APN characters", "0201d02864", []byte{1, '_'}, 105)
	add("units of extended PCO", "0201d01"+"1"+"7bffff80", []byte{0, 13, 0}, 65544)
	add("units cut off", "0201d01"+"1"+"7bffff80", []byte{0, 13, 1}, 65543)
	add("tracking areas", "074201"+"c1"+"60"+"4f00f1100001", []byte{0, 2}, 80)
	add("many partial lists", "074201"+"c1"+"60", []byte{0x00, 0x00, 0xf1, 0x10, 0, 1}, 100)
	one := []byte{0, 0, 0xf1, 0x10, 0, 7} // a list of one tracking area
	dataSet := append(append(make([]byte, 24), 0x11, 0x11, 0, 0, 0, 0, 96), bytes.Repeat(one, 16)...)
	add("extended emergency numbers", "074201"+"c1"+"06000 0f110 0007"+"0005 0201c1 0101"+"7a ea61 00", []byte{1, 0xf1, 0}, 60022)
	add("ciphering data sets", "074201"+"c1"+"06000 0f110 0007"+"0005 0201c1 0101"+"7c 07f0", dataSet, 2053)
	add("remote UEs", "0201e9"+"79 01ff ff", []byte{1, 0}, 517)
	add("identities of remote UEs", "0201e9"+"79 0101 01 ff fc", []byte{0}, 263)
	for _, k := range kinds() {
		for share := range 11 {
			m := k.new()
			random(t, rand.New(rand.NewPCG(5, uint64(share))), m, share)
			b, err := Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			inputs[k.String()] = b
		}
	}
	for name, b := range inputs {
		for _, dir := range []Direction{Uplink, Downlink} {
			got := testkit.Allocated(func() { _, _ = Parse(dir, b) })
			if limit := uint64(8*len(b) + 4096); got > limit {
				t.Errorf("%s: %d octets made Parse allocate %d, limit %d", name, len(b), got, limit)
			}
		}
	}
}

var sink Message

// BenchmarkParse and BenchmarkAppend are of messages as they were captured.
func BenchmarkParse(b *testing.B) {
	for _, p := range messages(b) {
		b.Run(p.name(b), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := Parse(p.dir, p.plain)
				if err != nil {
					b.Fatal(err)
				}
				sink = m
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 512)
	for _, p := range messages(b) {
		m, err := Parse(p.dir, p.plain)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(p.name(b), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Append(buf, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	p := messages(b)[0]
	m, err := Parse(p.dir, p.plain)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = m.String()
	}
}

// messages are the first captured one of each type.
func messages(tb testing.TB) []pdu {
	seen := map[string]bool{}
	var list []pdu
	for _, p := range captured(tb) {
		if name := p.name(tb); !seen[name] {
			seen[name] = true
			list = append(list, p)
		}
	}
	return list
}

func (p pdu) name(tb testing.TB) string {
	m, err := Parse(p.dir, p.plain)
	if err != nil {
		tb.Fatal(err)
	}
	return m.table().name
}
