package vault

import (
	"bytes"
	"testing"
)

// FuzzSealed: a record opens as what was sealed, under its own key, name and kind
// alone, and as nothing else however it is altered.
func FuzzSealed(f *testing.F) {
	s, err := newSealer([32]byte{1}, "gateway")
	if err != nil {
		f.Fatal(err)
	}
	other, err := newSealer([32]byte{1}, "MME")
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range [][]byte{nil, {0}, bytes.Repeat([]byte("value"), 100)} {
		f.Add([]byte("name"), v, s.seal(s.name('s', []byte("name")), v), uint16(3))
		f.Add([]byte(""), v, []byte{}, uint16(0))
		f.Add([]byte("other"), v, make([]byte, 40), uint16(30))
	}
	f.Fuzz(func(t *testing.T, name, value, foreign []byte, at uint16) {
		key := s.name('s', name)
		sealed := s.seal(key, value)
		if b, err := s.open(nil, key, sealed); err != nil || !bytes.Equal(b, value) {
			t.Fatalf("%x, %v", b, err)
		}
		for what, open := range map[string]func() ([]byte, error){
			"of another role": func() ([]byte, error) { return other.open(nil, key, sealed) },
			"of another kind": func() ([]byte, error) { return s.open(nil, s.name('t', name), sealed) },
			"of another name": func() ([]byte, error) { return s.open(nil, s.name('s', append(name[:len(name):len(name)], 0)), sealed) },
			"altered": func() ([]byte, error) {
				b := bytes.Clone(sealed)
				b[int(at)%len(b)] ^= 1 << (at >> 13)
				return s.open(nil, key, b)
			},
			"cut off": func() ([]byte, error) { return s.open(nil, key, sealed[:int(at)%len(sealed)]) },
			"foreign": func() ([]byte, error) { return s.open(nil, other.name('s', name), foreign) },
		} {
			if b, err := open(); err == nil {
				t.Fatalf("%s: opens as %x", what, b)
			}
		}
	})
}
