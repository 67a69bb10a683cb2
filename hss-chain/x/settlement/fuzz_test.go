package settlement

import "testing"

// Whatever octets come as a voucher: no panic, and no money for any that the
// payer has not signed.
func FuzzSettle(f *testing.F) {
	seed := newWorld(f)
	if _, err := seed.open(100); err != nil {
		f.Fatal(err)
	}
	good := seed.sign(1, 1, 60)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append([]byte{0}, good...))
	f.Add(seed.sign(2, 1, 60))
	f.Add(seed.sign(1, 1<<63, 1<<62))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		id, err := w.open(100)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.settle(b)
		signed := string(b) == string(w.sign(id, 1, 60)) || string(b) == string(w.sign(id, 1<<63, 1<<62))
		if (err == nil) != signed {
			t.Errorf("voucher %x: %v", b, err)
		}
		if err := w.keeper.Recount(w.Read()); err != nil {
			t.Error(err)
		}
	})
}
