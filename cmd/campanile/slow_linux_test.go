package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a bad way does to each direction.
const (
	slowBy    = 50 * time.Millisecond
	lostOf100 = 5
)

// slow leads what a host sends to those on the wire dev through a tunnel device,
// where this process holds it up and loses some of it: so many octets by now.
func (w *world) slow(ns, dev, own string, others ...string) (lost *atomic.Uint64) {
	w.t.Helper()
	tun := w.tunnel(ns)
	for _, l := range []string{"all/rp_filter 0", "slow/rp_filter 0", "slow/accept_local 1", "all/forwarding 1"} {
		var key, value string
		fmt.Sscan(l, &key, &value)
		if out, err := exec.Command("ip", "netns", "exec", w.ns(ns), "sh", "-c", "echo "+value+" > /proc/sys/net/ipv4/conf/"+key).CombinedOutput(); err != nil {
			w.t.Fatalf("%s: %s", l, out)
		}
	}
	w.ip("-n @" + ns + " link set slow up")
	w.ip("-n @" + ns + " rule add iif slow table 100")
	for _, o := range others {
		w.ip("-n @" + ns + " route add " + o + " dev " + dev + " table 100")
		w.ip("-n @" + ns + " route add " + o + " dev slow src " + own)
	}
	return w.holdUp(tun)
}

// holdUp gives what it reads back later, or not.
func (w *world) holdUp(tun *os.File) (lost *atomic.Uint64) {
	type packet struct {
		due time.Time
		b   []byte
	}
	lost = new(atomic.Uint64)
	way, written := make(chan packet, 1<<14), make(chan struct{})
	go func() {
		defer close(way)
		buf := make([]byte, 1<<16)
		for {
			n, err := tun.Read(buf)
			if err != nil {
				return
			}
			if rand.IntN(100) < lostOf100 {
				lost.Add(uint64(n))
				continue
			}
			way <- packet{time.Now().Add(slowBy), append([]byte(nil), buf[:n]...)}
		}
	}()
	go func() {
		defer close(written)
		for p := range way {
			<-time.After(time.Until(p.due))
			tun.Write(p.b) // an error is a loss more
		}
	}()
	w.t.Cleanup(func() {
		tun.Close()
		<-written
	})
	return lost
}

// tunnel makes the device slow in a namespace.
func (w *world) tunnel(ns string) *os.File {
	w.t.Helper()
	type made struct {
		fd  int
		err error
	}
	c := make(chan made)
	go func() { // on a thread of its own, which ends in that namespace
		runtime.LockOSThread()
		fd, err := openIn("/var/run/netns/"+w.ns(ns), "slow")
		c <- made{fd, err}
	}()
	m := <-c
	if m.err != nil {
		w.t.Fatal(m.err)
	}
	return os.NewFile(uintptr(m.fd), "/dev/net/tun")
}

func openIn(namespace, name string) (int, error) {
	there, err := os.Open(namespace)
	if err != nil {
		return 0, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("entering %s: %w", namespace, err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("making %s: %w", name, err)
	}
	return fd, nil
}

// Between tower and core every packet takes 50 ms and one of twenty is lost, both
// ways: phones are served, and what arrived counts. What the gateway sent and the
// tower did not get is not paid, nor what the tower sent and the gateway did not
// get, and nothing else is missing.
func TestSlowWay(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	up := w.slow("tower", "tc", "10.81.1.10", "10.81.1.1", "10.81.1.2", "10.81.1.3", "10.81.1.4")
	down := w.slow("core", "ct", "10.81.1.1", "10.81.1.10")
	w.core()
	w.tower()
	w.browse(w.subscriber("999700000000001"), 300_000, 50_000)
	w.until(30*time.Second, "counts equal but for what was lost", func() bool {
		promised, unpaid := w.vouchers("tower", "enb-agent")
		carried := w.carried()
		if promised > carried {
			t.Fatalf("%d octets promised, %d carried", promised, carried)
		}
		return promised > 0 && carried-promised <= down.Load()+underWay && unpaid <= up.Load()+underWay
	})
	t.Logf("%d octets lost up, %d down", up.Load(), down.Load())
	if up.Load() == 0 || down.Load() == 0 {
		t.Error("nothing was lost")
	}
	w.paid()
}
