package mme

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// What benchmarks with a store on disk, which imports this package, need of it.

// AttachWith is BenchmarkAttach with a store.
func AttachWith(b *testing.B, s Store) {
	w := newWorld(b, func(o *Options) { quiet(o); o.Store = s })
	defer w.end()
	attachAndDetach(b, w)
}

// ServeWith is BenchmarkServiceRequest with a store.
func ServeWith(b *testing.B, s Store) { serveIdle(b, s) }

// UpdateWith is BenchmarkUpdate with a store.
func UpdateWith(b *testing.B, s Store) { updateIdle(b, s) }

// manyGateway gives back every session, and looks none up.
type manyGateway struct {
	*testGateway
	paged *s11.Session // the one of the last phone
}

func (g *manyGateway) Restore(v s11.State) (*s11.Session, error) {
	s := &v.Session
	if s.SGW.TEID == pagedTEID {
		g.paged = s
	}
	return s, nil
}

// pagedTEID marks the session of the phone that is paged.
const pagedTEID = 0x7fffffff

// Fill puts n registered and idle phones into a store.
func Fill(b *testing.B, s Store, n int) {
	d := newDisk()
	w := newWorld(b, func(o *Options) { quiet(o); o.Store = d })
	p := registeredPhone(w)
	w.end()
	var changes []Change
	for i := range n {
		u := must(parseRecord(d.records[p.imsi], asWritten))
		u.imsi = must(id.ParseIMSI(fmt.Sprintf("00101%010d", i+1)))
		u.tmsi, u.formerTMSI = id.MTMSI(uint32(i)*2654435761|1<<31), 0
		x := u.pdns[0].session
		x.IMSI, x.SGW.TEID = u.imsi, id.TEID(i+1)
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 10<<24|uint32(i))
		x.Address = netip.AddrFrom4(a)
		if i == n-1 {
			x.SGW.TEID = pagedTEID
		}
		changes = append(changes, Change{u.imsi, u.record()})
		if len(changes) == 1000 || i == n-1 {
			if err := s.Commit(b.Context(), changes); err != nil {
				b.Fatal(err)
			}
			changes = changes[:0]
		}
	}
}

// LoadAndPage starts an MME on n phones of a store, and pages one of them.
func LoadAndPage(b *testing.B, s Store, n int) {
	gw := &manyGateway{testGateway: newTestGateway()}
	before := heap()
	began, used := time.Now(), processor(b)
	w := newWorld(b, func(o *Options) { quiet(o); o.Store, o.Gateway, o.MaxUEs = s, gw, n+10 })
	took := time.Since(began)
	b.ReportMetric((processor(b) - used).Seconds(), "cpu-s/load")
	defer w.end()
	if st := w.m.Stats(); st.Registered != n {
		b.Fatalf("%d of %d phones are registered: %+v", st.Registered, n, st.Store)
	}
	b.ReportMetric(float64(n)/took.Seconds(), "phones/s")
	b.ReportMetric(took.Seconds(), "s/load")
	b.ReportMetric(float64(heap()-before)/float64(n), "bytes/UE")
	e := w.tower(0x19b)
	w.m.DownlinkData(gw.paged, 5, 0)
	m := expect[*s1ap.Paging](e)
	u := w.m.known.byIMSI[must(id.ParseIMSI(fmt.Sprintf("00101%010d", n)))]
	if m.UEPagingID.STMSI == nil || m.UEPagingID.STMSI.ID().TMSI != u.tmsi {
		b.Errorf("paged is %+v, not %v", m.UEPagingID, u.tmsi)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// processor is what this process has used of it.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
