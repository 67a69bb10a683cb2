package mme_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"campanile.network/mme"
	"campanile.network/mme/store"
)

func onDisk(b *testing.B) *store.Store {
	s := opened(b, filepath.Join(b.TempDir(), "mme.db"))
	b.Cleanup(func() { closed(b, s) })
	return s
}

func opened(b *testing.B, dir string) *store.Store {
	s, err := store.Open(dir, store.Options{Key: [32]byte{1}})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func closed(b *testing.B, s *store.Store) {
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}

// BenchmarkAttachStored is BenchmarkAttach with every commit point on disk. One
// phone at a time: the disk is waited for, where many phones share its writes.
func BenchmarkAttachStored(b *testing.B) { mme.AttachWith(b, onDisk(b)) }

// BenchmarkServiceRequestStored is BenchmarkServiceRequest likewise.
func BenchmarkServiceRequestStored(b *testing.B) { mme.ServeWith(b, onDisk(b)) }

// BenchmarkUpdateStored is BenchmarkUpdate likewise.
func BenchmarkUpdateStored(b *testing.B) { mme.UpdateWith(b, onDisk(b)) }

// BenchmarkLoadFromDisk is the start of an MME on the phones of the one before it, of which
// one is then paged. PHONES says how many; 20,000.
func BenchmarkLoadFromDisk(b *testing.B) {
	n := 20_000
	if v := os.Getenv("PHONES"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < 1 {
			b.Fatalf("PHONES=%q", v)
		}
	}
	dir := filepath.Join(b.TempDir(), "mme.db")
	s := opened(b, dir)
	mme.Fill(b, s, n)
	closed(b, s)
	for b.Loop() {
		s := opened(b, dir)
		mme.LoadAndPage(b, s, n)
		closed(b, s)
	}
}
