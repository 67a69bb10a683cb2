package mme

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
)

// file is a store that writes and syncs a file, and reads nothing.
type file struct{ f *os.File }

func (d file) Commit(_ context.Context, changes []Change) error {
	for _, c := range changes {
		if _, err := d.f.Write(c.Record); err != nil {
			return err
		}
	}
	return d.f.Sync()
}

func (d file) Load(func([]byte)) (int, error) { return 0, nil }

// BenchmarkAttachManyPhones is BenchmarkAttach with 64 phones at as many eNBs at a
// time, without a store and with one that syncs a file; sealing and Pebble are in
// mme/store's benchmarks. MME, eNBs, phones and home share the processors.
func BenchmarkAttachManyPhones(b *testing.B) {
	for _, stored := range []bool{false, true} {
		b.Run(fmt.Sprintf("stored=%v", stored), func(b *testing.B) {
			w := newWorld(b, func(o *Options) {
				quiet(o)
				if stored {
					o.Store = file{must(os.Create(filepath.Join(b.TempDir(), "phones")))}
				}
			})
			defer w.end()
			const many = 64
			free := make(chan *phone, many)
			for n := range uint32(many) {
				w.mu.Lock()
				w.towers[n] = [32]byte{1}
				w.mu.Unlock()
				free <- w.phone(w.tower(n))
			}
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for range b.N {
				p := <-free
				all.Go(func() {
					attachOnce(p)
					free <- p
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attaches/s")
			if s := w.m.Stats().Store; s.Commits > 0 {
				b.ReportMetric(float64(s.Records)/float64(s.Commits), "records/sync")
				b.ReportMetric(float64(s.Records)/float64(b.N), "records/attach")
			}
		})
	}
}

func attachOnce(p *phone) {
	p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	down[*eps.EMMInformation](p)
	p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
	p.released()
}

// many is a store of so many idle phones, made of one's record.
type many struct {
	n      int
	record []byte
	imsi   []byte
	tmsi   []byte
}

func (m many) Commit(context.Context, []Change) error { return nil }

func (m many) Load(f func([]byte)) (int, error) {
	var readers sync.WaitGroup
	cpus := runtime.GOMAXPROCS(0)
	for c := range cpus {
		readers.Go(func() {
			for i := c; i < m.n; i += cpus {
				b := bytes.Replace(m.record, m.imsi, []byte(fmt.Sprintf("00101%010d", i)), 1)
				f(bytes.Replace(b, m.tmsi, number[id.MTMSI](1<<32-1).put([]byte{3, 0, 5}, id.MTMSI(1<<31+i)), 1))
			}
		})
	}
	readers.Wait()
	return 0, nil
}

// BenchmarkLoad takes in a hundred thousand idle phones, each with a session, and says what
// one occupies. Reading and opening the sealed records is in mme/store's.
func BenchmarkLoad(b *testing.B) {
	u := someUE(rand.New(rand.NewPCG(1, 1)))
	u.imsi, u.tmsi, u.formerTMSI, u.next, u.closing, u.opening, u.radio = must(id.ParseIMSI("001010000000000")), 1<<31, 0, nil, nil, 0, make([]byte, 200)
	s := someSession(u.imsi, 5, 1)
	u.registered, u.pdns, u.served = true, []*pdn{newPDN(s, u.lease)}, false
	s1 := many{n: 100_000, record: u.record(), imsi: []byte("001010000000000"), tmsi: number[id.MTMSI](1<<32-1).put([]byte{3, 0, 5}, 1<<31)}
	for b.Loop() {
		w := makeWorld(b, quiet)
		w.o.Store, w.o.MaxUEs = s1, s1.n
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		m := must(New(w.o))
		b.ReportMetric(time.Since(began).Seconds(), "s/load")
		runtime.GC()
		runtime.ReadMemStats(&after)
		if known, registered := m.known.size(); known != s1.n || registered != s1.n {
			b.Fatalf("%d phones loaded, %d registered", known, registered)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(s1.n), "B/phone")
		b.ReportMetric(float64(len(s1.record)), "B/record")
	}
}
