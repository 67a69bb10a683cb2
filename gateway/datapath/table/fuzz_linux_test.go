package table

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"campanile.network/gateway/datapath"
)

// FuzzFile gives the table a file of whatever is in it: it is refused as no table of
// this shape, or taken up, whatever the records say; then a bearer goes on with its
// count only if the record is its own, begins at nothing otherwise, and the quota
// holds.
func FuzzFile(f *testing.F) {
	const teid, owner = 0x100001, 77
	made := filepath.Join(f.TempDir(), "made")
	t, err := Open(made, 2, 2, true)
	if err != nil {
		f.Fatal(err)
	}
	t.TakeSession(1, owner, false).Charge(500)
	t.TakeBearer(1, teid, 1, false).Counters.Add(ULOctets, 500)
	if err := t.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(made)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, []byte{})
	f.Add(whole[:header], whole[header:header+100])
	f.Add(whole[:100], []byte{})
	f.Add([]byte{}, make([]byte, 100))
	f.Add([]byte(magic), whole[header:])
	path := filepath.Join(f.TempDir(), "counts")
	f.Fuzz(func(t *testing.T, head, records []byte) {
		if len(head)+len(records) > 1<<16 {
			return
		}
		b := append(head[:len(head):len(head)], records...)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := Open(path, 2, 2, true)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		defer tab.Close()
		if tab.Sessions() != 2 || tab.Bearers() != 2 || !tab.Classes() {
			t.Fatalf("%d sessions, %d bearers", tab.Sessions(), tab.Bearers())
		}
		had, used := tab.Usage(1).Count, tab.Session(1).Charged()
		mine, ours := tab.Bearer(1).TEID == teid, tab.Session(1).Owner() == owner
		s := tab.TakeSession(1, owner, true)
		r := tab.TakeBearer(1, teid, 1, true)
		if now := r.Counters.Count(); mine && now != had || !mine && now != (datapath.Count{}) {
			t.Fatalf("its own %v: had %+v, goes on with %+v", mine, had, now)
		}
		if now := s.Charged(); ours && now != used || !ours && now != 0 {
			t.Fatalf("its own %v: used %d, goes on with %d", ours, used, now)
		}
		r.Source()
		s.SetQuota(used/2, 0)
		if ok, _ := s.Charge(1); ok && s.Charged() > used/2 {
			t.Fatalf("%d of %d", s.Charged(), used/2)
		}
		if u := tab.TakeBearer(1, teid+1, 0, true); u.Counters.Count() != (datapath.Count{}) {
			t.Fatal("another's count goes on")
		}
	})
}
