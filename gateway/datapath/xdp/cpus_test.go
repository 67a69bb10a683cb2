//go:build linux

package xdp

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campanile.network/gateway/datapath/table"
)

// cpus are those this process may run on, two at most.
func cpus(t *testing.T) (all []int) {
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	for i := 0; len(all) < 2 && i < 1024; i++ {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all
}

// asked is what became of one frame.
type asked struct {
	before, after time.Time
	verdict       uint32
}

// race has two threads, each on a CPU of its own where there are two, give frames
// for one bearer to the program until more is false.
func (b *bench) race(t *testing.T, frames [2][]byte, more func(sent int) bool) (all [2][]asked) {
	t.Helper()
	on := cpus(t)
	var wg sync.WaitGroup
	var errs [2]error
	for i, f := range frames {
		wg.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with this
			var set unix.CPUSet
			set.Set(on[i%len(on)])
			if errs[i] = unix.SchedSetaffinity(0, &set); errs[i] != nil {
				return
			}
			for n := 0; more(n); n++ {
				a := asked{before: time.Now()}
				if a.verdict, _, errs[i] = b.coll.Programs["towers"].Test(f); errs[i] != nil {
					return
				}
				a.after = time.Now()
				all[i] = append(all[i], a)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		must(t, err)
	}
	return all
}

// TestTwoCPUsOnOneBearer: what two CPUs count and charge at once is exactly what
// they let through, and together they take no octet more than the quota, nor stop
// while there is room.
func TestTwoCPUsOnOneBearer(t *testing.T) {
	b := newBench(t, nil)
	s := b.tab.Session(3)
	sizes := [2]int{400, 300}
	frames := [2][]byte{up4(udp4(sizes[0])), up4(udp4(sizes[1]))}
	const n = 5000
	passed := func(all [2][]asked) (octets, packets uint64) {
		for i := range all {
			for _, a := range all[i] {
				if a.verdict == xdpRedirect {
					octets, packets = octets+uint64(sizes[i]), packets+1
				}
			}
		}
		return octets, packets
	}
	octets, packets := passed(b.race(t, frames, func(sent int) bool { return sent < n }))
	if u := b.usage(); packets != 2*n || u.ULPackets != packets || u.ULOctets != octets || s.Charged() != octets {
		t.Errorf("%d octets in %d packets went; counted %+v, charged %d", octets, packets, u, s.Charged())
	}
	if len(cpus(t)) == 2 {
		for i, cpu := range cpus(t) {
			if c := b.counts[cpu*b.slots+slot]; c.ULPackets != n || c.ULOctets != uint64(n*sizes[i]) {
				t.Errorf("CPU %d counted %+v", cpu, c)
			}
		}
	}
	quota := octets + n*350 + 17
	s.SetQuota(quota, 0)
	more, _ := passed(b.race(t, frames, func(sent int) bool { return sent < 2*n }))
	for range 3 { // there was room, or there is none now
		b.run("towers", frames[1])
	}
	octets += more
	if u := b.usage(); u.ULOctets != s.Charged() || s.Charged() > quota || quota-s.Charged() >= uint64(sizes[1]) || u.ULOctets < octets || u.LostPackets != 0 {
		t.Errorf("quota %d: %d octets went; counted %+v, charged %d", quota, octets, u, s.Charged())
	}
}

// TestRateIsMetByTwoCPUs: a session's rate, asked for far more by two CPUs, lets
// through within -2 and +0 % of itself. Between a refusal and the next, 50 ms later
// at most, no credit is lost; what a busy machine makes longer is not held against
// the rate.
func TestRateIsMetByTwoCPUs(t *testing.T) {
	b := newBench(t, nil)
	const rate, size = 20_000_000, 1000
	b.tab.Session(3).UL.SetRate(rate)
	f := up4(udp4(size))
	start := time.Now()
	all := b.race(t, [2][]byte{f, f}, func(int) bool { return time.Since(start) < 500*time.Millisecond })
	each := append(all[0], all[1]...)
	var refused []asked
	for _, a := range each {
		if a.verdict == xdpDrop {
			refused = append(refused, a)
		}
	}
	if len(refused) < 2 {
		t.Fatalf("of %d packets %d were refused", len(each), len(refused))
	}
	slices.SortFunc(refused, func(a, b asked) int { return a.before.Compare(b.before) })
	first, last := refused[0], refused[len(refused)-1]
	lost := time.Duration(0)
	for i := 1; i < len(refused); i++ {
		lost += max(0, refused[i].after.Sub(refused[i-1].before)-table.Burst)
	}
	went := 0 // surely between the two
	for _, a := range each {
		if a.verdict == xdpRedirect && a.before.After(first.before) && a.after.Before(last.after) {
			went++
		}
	}
	octets := func(d time.Duration) float64 { return d.Seconds() * rate / 8 }
	least, most := 0.98*octets(last.before.Sub(first.after)-lost)-3*size, octets(last.after.Sub(first.before))+3*size
	if got := float64(went * size); got < least || got > most {
		t.Errorf("%d octets went between refusals, want %.0f to %.0f", went*size, least, most)
	}
	t.Logf("%d packets asked for, %d refused; %d octets of %.0f went in %v, %v of it not held against the rate",
		len(each), len(refused), went*size, most, last.after.Sub(first.before), lost)
}
