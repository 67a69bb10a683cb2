//go:build linux

package xdp

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
)

// The benchmark of the data path: what a packet costs, in ns of CPU, with counting,
// a session's rate and its quota on, from a tower to the packet network and back,
// over veth. Frames are made by a program in the kernel and counted by another
// where they arrive. What making them and one hop cost is measured as well and
// taken away. Costs are of this process, all of its threads, and of ksoftirqd.
const (
	benchEnv  = "BENCH_DATAPATH"
	benchSize = 512
	poolStart = 10<<24 | 16<<16 // 10.16.0.0

	// Any socket has room for a burst. What it costs to begin and end one is in
	// the baseline, which is measured with as many.
	fastPackets, fastBurst = 500_000, 10_000
	slowPackets, slowBurst = 20_000, 2_000
)

var (
	poolOf  = netip.MustParsePrefix("10.16.0.0/12")
	farAway = netip.MustParseAddr("198.51.100.7") // behind the default route, as nearly all is that phones speak to
)

func phone(i int) netip.Addr {
	a := uint32(poolStart + i)
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

// spent is the CPU time so far, ns.
func (c *course) spent() (ns uint64) {
	files := c.softirq
	for _, pid := range append(c.beside, os.Getpid()) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		must(c.t, err)
		files = append(files, threads...)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // ended
		}
		n, _ := strconv.ParseUint(strings.Fields(string(b))[0], 10, 64)
		ns += n
	}
	return ns
}

func newCourse(t *testing.T) *course {
	c := &course{t: t, town: newTown(t)}
	comms, err := filepath.Glob("/proc/[0-9]*/comm")
	must(t, err)
	for _, f := range comms {
		if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), "ksoftirqd/") {
			c.softirq = append(c.softirq, filepath.Join(filepath.Dir(f), "schedstat"))
		}
	}
	c.softirq = slices.Clip(c.softirq)
	return c
}

// course is a town with a source and a sink at each end.
type course struct {
	t       *testing.T
	town    *town
	softirq []string // where ksoftirqd's CPU time is told
	beside  []int    // other processes that work
}

// load gives the programs for n bearers.
func (c *course) load(p *place, n int, shuffled bool) *ebpf.Collection {
	spec, err := loadBench()
	must(c.t, err)
	set := map[string]uint32{benchVarIfindex: uint32(p.idx), benchVarBearers: uint32(n), benchVarPool: poolStart}
	if shuffled {
		set[benchVarShuffled] = 1
	}
	for name, v := range set {
		must(c.t, spec.Variables[name].Set(v))
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		needBPF(c.t, explain(err))
	}
	return coll
}

func tally(t testing.TB, c *ebpf.Collection) (v [4]uint64) {
	t.Helper()
	must(t, c.Maps[benchMapTally].Lookup(uint32(0), &v))
	return v
}

// result is one way in one round.
type result struct {
	packets int
	ns      float64 // a packet
	lost    float64 // part of the packets
}

// drive sends packets one way and says what one has cost. sink counts at its
// device; behind reads them out.
func (c *course) drive(from *place, program string, frame []byte, n int, shuffled bool, packets int, sink *ebpf.Collection) result {
	src := c.load(from, n, shuffled)
	defer src.Close()
	must(c.t, src.Maps[benchMapHead].Put(uint32(0), frame[:72]))
	const live = 1 << 1
	burst := slowBurst
	if packets == fastPackets {
		burst = fastBurst
	}
	one := func() {
		before := tally(c.t, sink)[1]
		must(c.t, from.run(func() error {
			_, err := src.Programs[program].Run(&ebpf.RunOptions{Data: frame, Repeat: uint32(burst), Flags: live})
			return err
		}))
		deadline := time.Now().Add(500 * time.Millisecond)
		for tally(c.t, sink)[1]-before < uint64(burst) && time.Now().Before(deadline) {
			wait(time.Millisecond) // looking is paid as well
		}
	}
	one() // neighbours, caches
	seen, cpu := tally(c.t, sink)[1], c.spent()
	for range packets / burst {
		one()
	}
	cpu = c.spent() - cpu
	got := tally(c.t, sink)[1] - seen
	return result{packets: packets, ns: float64(cpu) / float64(packets), lost: 1 - float64(got)/float64(packets)}
}

// catch counts what arrives at a place: in its driver, or where the kernel hands
// frames up.
func (c *course) catch(p *place, driver bool) (*ebpf.Collection, func()) {
	coll := c.load(p, 1, false)
	var l link.Link
	must(c.t, p.gro(false))
	must(c.t, p.run(func() (err error) {
		if driver {
			l, err = link.AttachXDP(link.XDPOptions{Program: coll.Programs[benchProgSink], Interface: p.idx, Flags: link.XDPDriverMode})
		} else {
			l, err = link.AttachTCX(link.TCXOptions{Program: coll.Programs[benchProgSinkSkb], Interface: p.idx, Attach: ebpf.AttachTCXIngress})
		}
		return err
	}))
	return coll, func() { l.Close(); coll.Close() }
}

func (c *course) upFrame() []byte {
	inner := packet(phone(0), farAway, 17, datagram(9, 9, data(benchSize-28)), nil)
	f := append(append([]byte(nil), c.town.s1.Attrs().HardwareAddr...), c.town.towers.mac...)
	return append(append(f, 8, 0), tunnelled(dptest.TowerA, townLocal4, gtpu.AppendGPDU(nil, 1<<20, inner), nil)...)
}

func (c *course) downFrame() []byte {
	f := append(append([]byte(nil), c.town.sgi.Attrs().HardwareAddr...), c.town.network.mac...)
	return append(append(f, 8, 0), packet(farAway, phone(0), 17, datagram(9, 9, data(benchSize-28)), nil)...)
}

// fill puts n phones with a rate and a quota.
func fill(t testing.TB, p datapath.Path, n int, open bool) {
	t.Helper()
	for i := range n {
		s := datapath.Session{ID: datapath.SessionID(i + 1), IPv4: phone(i), Beside: id.TEID(1<<20 | i), AMBR: datapath.Rates{UL: 1e12, DL: 1e12}, Open: open}
		must(t, p.PutSession(s))
		must(t, p.SetQuota(s.ID, datapath.Quota{Octets: 1 << 60}))
		must(t, p.PutBearer(datapath.Bearer{TEID: id.TEID(1<<20 | i), Session: s.ID, Default: true, Tunnel: datapath.Tunnel{Peer: dptest.TowerA, TEID: id.TEID(i + 1)}}))
	}
}

// variant is a data path to measure.
type variant struct {
	name     string
	mode     Mode // of xdp; Auto: userspace
	n        int
	shuffled bool
	closed   bool // with the firewall
	packets  int
	command  string // makes a data path that is not of this module
}

func (c *course) measure(v variant) (up, down result) {
	if v.command != "" {
		return c.measureBeside(v)
	}
	tun, err := userspace.OpenTUN("ue0", netip.MustParsePrefix("10.31.255.254/12"), 1500)
	must(c.t, err)
	dev, err := netlink.LinkByName("ue0")
	must(c.t, err)
	must(c.t, netlink.LinkSetTxQLen(dev, 8192)) // a whole burst waits for who reads it
	u := userspace.Options{Local: netip.AddrPortFrom(townLocal4, 0), Port: tun, MaxBearers: max(v.n, 1024), ReportOctets: 1 << 40, Logger: slog.New(slog.DiscardHandler)}
	var p datapath.Path
	var x *Path
	if v.mode == Auto {
		must(c.t, c.town.gro(true))
		must(c.t, feature("s1", "tx-udp-segmentation", false)) // what arrives is counted datagram by datagram
		p, err = userspace.New(u)
	} else {
		must(c.t, c.town.gro(v.mode == Generic))
		must(c.t, c.town.towers.gro(true)) // until the sinks are there
		must(c.t, c.town.network.gro(true))
		x, err = New(Options{Towers: "s1", Network: "sgi", Mode: v.mode, Pool: poolOf, Userspace: u})
		p = x
	}
	needBPF(c.t, err)
	fill(c.t, p, v.n, !v.closed)
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	up, down = c.cross(v, v.mode == Native)
	if x != nil {
		c.exact(x, v)
	}
	cancel()
	must(c.t, <-done)
	if x != nil {
		must(c.t, x.Close())
	}
	return up, down
}

// cross sends packets both ways through what stands between.
func (c *course) cross(v variant, driver bool) (up, down result) {
	net, end := c.catch(c.town.network, driver)
	up = c.drive(c.town.towers, benchProgUp, c.upFrame(), v.n, v.shuffled, v.packets, net)
	end()
	enb, end := c.catch(c.town.towers, driver)
	down = c.drive(c.town.network, benchProgDown, c.downFrame(), v.n, v.shuffled, v.packets, enb)
	end()
	return up, down
}

// exact says that the programs moved nearly all, and that their own sums agree.
func (c *course) exact(x *Path, v variant) {
	f, err := x.Fast()
	must(c.t, err)
	var sum datapath.Count
	for i := range v.n {
		u, err := x.Usage(id.TEID(1<<20 | i))
		must(c.t, err)
		sum = sum.Add(u.Count)
	}
	s := x.Stats()
	if sum.ULPackets != s.ULPackets || sum.DLPackets != s.DLPackets || sum.ULOctets != benchSize*sum.ULPackets || sum.DLOctets != benchSize*sum.DLPackets || f.Unmatched != 0 {
		c.t.Errorf("%s: bearers %+v, path %d up %d down, %+v", v.name, sum, s.ULPackets, s.DLPackets, f)
	}
	if v.mode == Native && f.Sent != f.ULPackets+f.DLPackets+2 { // two probes
		c.t.Errorf("%s: %d frames taken by drivers, %d counted", v.name, f.Sent, f.ULPackets+f.DLPackets)
	}
	if float64(f.ULPackets+f.DLPackets) < 0.99*float64(s.ULPackets+s.DLPackets) {
		c.t.Errorf("%s: only %d of %d packets went the fast way", v.name, f.ULPackets+f.DLPackets, s.ULPackets+s.DLPackets)
	}
}

// gro of the gateway's own devices: without a program in the driver they take
// redirected frames by it.
func (w *town) gro(on bool) error {
	for _, name := range []string{"s1", "sgi"} {
		if err := (&place{dev: name, do: here}).gro(on); err != nil {
			return err
		}
	}
	return nil
}

// here runs what is for this process's own namespace.
var here = func() chan func() {
	c := make(chan func())
	go func() {
		for f := range c {
			f()
		}
	}()
	return c
}()

// baseline is the cost of a packet that is made, sent and dropped at the next
// device's driver.
func (c *course) baseline(packets int) (up, down result) {
	for _, w := range []struct {
		dev     int
		from    *place
		program string
		frame   []byte
		to      *result
	}{{c.town.s1.Attrs().Index, c.town.towers, benchProgUp, c.upFrame(), &up}, {c.town.sgi.Attrs().Index, c.town.network, benchProgDown, c.downFrame(), &down}} {
		sink := c.load(w.from, 1, false)
		l, err := link.AttachXDP(link.XDPOptions{Program: sink.Programs[benchProgSink], Interface: w.dev, Flags: link.XDPDriverMode})
		must(c.t, err)
		*w.to = c.drive(w.from, w.program, w.frame, 1000, false, packets, sink)
		l.Close()
		sink.Close()
	}
	return up, down
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// TestBenchDatapath prints costs and ratios; it fails for wrong counts, not for
// slowness.
func TestBenchDatapath(t *testing.T) {
	if os.Getenv(benchEnv) == "" {
		t.Skip("make bench-datapath")
	}
	if !inside(t) {
		return
	}
	c := newCourse(t)
	rounds, _ := strconv.Atoi(cmp.Or(os.Getenv("BENCH_ROUNDS"), "3"))
	vs := append([]variant{
		{"userspace", Auto, 1000, false, false, slowPackets, ""},
		{"xdp generic", Generic, 1000, false, false, fastPackets, ""},
		{"xdp native", Native, 1000, false, false, fastPackets, ""},
		{"xdp native, firewall", Native, 1000, false, true, fastPackets, ""},
		{"userspace, random 1k", Auto, 1000, true, false, slowPackets, ""},
		{"userspace, random 100k", Auto, 100_000, true, false, slowPackets, ""},
		{"xdp native, random 1k", Native, 1000, true, false, fastPackets, ""},
		{"xdp native, random 100k", Native, 100_000, true, false, fastPackets, ""},
	}, beside()...)
	only := regexp.MustCompile(os.Getenv("BENCH_ONLY"))
	vs = slices.DeleteFunc(vs, func(v variant) bool { return !only.MatchString(v.name) })
	costs, base, lost := make(map[string][2][]float64), make(map[int][2][]float64), make(map[string]float64)
	for range rounds {
		for _, v := range vs {
			up, down := c.measure(v)
			bu, bd := c.baseline(up.packets)
			x, y := costs[v.name], base[up.packets]
			costs[v.name] = [2][]float64{append(x[0], up.ns-bu.ns), append(x[1], down.ns-bd.ns)}
			base[up.packets] = [2][]float64{append(y[0], bu.ns), append(y[1], bd.ns)}
			lost[v.name] = max(lost[v.name], up.lost, down.lost)
		}
	}
	fmt.Printf("%d CPUs, %s, %d octets, %d rounds in turn, medians\n", runtime.NumCPU(), kernelName(), benchSize, rounds)
	for n, b := range base {
		fmt.Printf("baseline of %d packets, taken away: %.0f ns up, %.0f down\n", n, median(b[0]), median(b[1]))
	}
	fmt.Printf("%-26s %8s %8s %10s %10s %14s %14s %12s %12s %7s\n", "", "up ns", "down ns", "up/s", "down/s", "userspace/up", "userspace/down", "up/native", "down/native", "lost")
	net := func(name string) (up, down float64) {
		return median(costs[name][0]), median(costs[name][1])
	}
	su, sd := net("userspace")
	nu, nd := net("xdp native")
	for _, v := range vs {
		u, d := net(v.name)
		fmt.Printf("%-26s %8.0f %8.0f %10.0f %10.0f %13.2fx %13.2fx %11.2fx %11.2fx %6.2f%%\n", v.name, u, d, 1e9/u, 1e9/d, su/u, sd/d, u/nu, d/nd, 100*lost[v.name])
	}
	for _, name := range []string{"userspace", "xdp native"} {
		fu, fd := net(name + ", random 1k")
		if mu, md := net(name + ", random 100k"); !math.IsNaN(mu / fu) {
			fmt.Printf("%s: random 100k bearers cost %.2fx (up) and %.2fx (down) of 1k\n", name, mu/fu, md/fd)
		}
	}
}

func kernelName() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(b))
}
