//go:build linux

package xdp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
)

// TestBenchMillion prints how long a million bearers take to load, and their
// memory.
func TestBenchMillion(t *testing.T) {
	if os.Getenv(benchEnv) == "" {
		t.Skip("make bench-datapath")
	}
	if !inside(t) {
		return
	}
	newTown(t)
	const n = 1_000_000
	tun, err := userspace.OpenTUN("ue0", netip.MustParsePrefix("10.31.255.254/12"), 1500)
	must(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	p, err := New(Options{Towers: "s1", Network: "sgi", Mode: Generic, Pool: poolOf, Userspace: userspace.Options{
		Local: netip.AddrPortFrom(townLocal4, 0), Port: tun, MaxBearers: n, Logger: slog.New(slog.DiscardHandler)}})
	needBPF(t, err)
	made := time.Since(start)
	start, cpu := time.Now(), ownCPU(t)
	for i := range n {
		s := datapath.Session{ID: datapath.SessionID(i + 1), IPv4: phone(i), Beside: id.TEID(1<<20 | i)}
		must(t, p.PutSession(s))
		must(t, p.PutBearer(datapath.Bearer{TEID: id.TEID(1<<20 | i), Session: s.ID, Default: true, Tunnel: datapath.Tunnel{Peer: dptest.TowerA, TEID: id.TEID(i + 1)}}))
	}
	took, cpu := time.Since(start), ownCPU(t)-cpu
	runtime.GC()
	runtime.ReadMemStats(&after)
	var kernel uint64
	for name, m := range p.k.coll.Maps {
		info, err := m.Info()
		must(t, err)
		if b, ok := info.Memlock(); ok && name != gatewayMapFlows {
			kernel += b
		}
	}
	fmt.Printf("%d bearers: maps made in %v, loaded in %v (%v of CPU, %.1f allocations a bearer); %d octets a bearer in the kernel on %d CPUs, %d in the process\n",
		n, made.Round(time.Millisecond), took.Round(time.Millisecond), cpu.Round(time.Millisecond), float64(after.Mallocs-before.Mallocs)/n, kernel/n, runtime.NumCPU(), (after.HeapAlloc-before.HeapAlloc)/n)
	must(t, p.Close())
}

// ownCPU is what this process has had of CPUs, the collector of garbage included.
func ownCPU(t testing.TB) time.Duration {
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
