//go:build linux

package xdp

import (
	"bufio"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

var (
	aPhone  = datapath.Session{ID: 7, IPv4: phone4, Open: true, Resume: true}
	aBearer = datapath.Bearer{TEID: teid, Session: 7, Default: true, Resume: true, Tunnel: datapath.Tunnel{Peer: dptest.TowerA, TEID: 9}}
)

func putPhone(t *testing.T, p datapath.Path) {
	t.Helper()
	must(t, p.PutSession(aPhone))
	must(t, p.PutBearer(aBearer))
}

func (r *rig) upFrom(n int) {
	for range n {
		r.fromTower(dptest.TowerA, gtpu.AppendGPDU(nil, teid, udp4(100)))
	}
}

func (r *rig) downTo(n int) {
	for range n {
		r.fromNetwork(down4(200))
	}
}

// TestRefusedByTheDriverIsNotCharged: a driver takes no more of what is
// redirected to it, and nobody pays; uplink the tower has brought it.
func TestRefusedByTheDriverIsNotCharged(t *testing.T) {
	if !inside(t) {
		return
	}
	w := newTown(t)
	must(t, w.towers.gro(true))
	must(t, w.network.gro(true))
	r, end := newRig(t, w, dptest.Config{}, Options{Mode: Native}, slog.New(slog.DiscardHandler))
	defer end()
	putPhone(t, r.path)
	r.upFrom(100)
	r.downTo(100)
	r.settle()
	must(t, w.towers.gro(false))
	must(t, w.network.gro(false))
	r.upFrom(70)
	r.downTo(80)
	r.settle()
	must(t, w.towers.gro(true))
	must(t, w.network.gro(true))
	r.upFrom(10)
	r.downTo(10)
	r.settle()
	u, err := r.path.Usage(teid)
	must(t, err)
	charged, err := r.path.Charged(7)
	must(t, err)
	up, down := len(r.nw.take(netip.Addr{})), len(r.tw.take(dptest.TowerA))
	f, err := r.path.Fast()
	must(t, err)
	if want := (datapath.Count{ULOctets: 11000, ULPackets: 110, DLOctets: 22000, DLPackets: 110, LostOctets: 7000, LostPackets: 70}); u.Count != want || up != 110 || down != 110 || charged != u.Octets() {
		t.Errorf("counted %+v, want %+v; delivered %d, %d; charged %d", u.Count, want, up, down, charged)
	}
	s := r.path.Stats()
	if f.Refused != 150 || f.Unmatched != 0 || s.Dropped[datapath.ULPort] != 70 || s.Dropped[datapath.DLSend] != 80 {
		t.Errorf("%+v, dropped %d up, %d down", f, s.Dropped[datapath.ULPort], s.Dropped[datapath.DLSend])
	}
}

const servesEnv = "CAMPANILE_XDP_SERVES"

// TestKilledGatewayGoesOnCounting: the process is killed; packets go on, and are
// counted; the next process finds them.
func TestKilledGatewayGoesOnCounting(t *testing.T) {
	if dir := os.Getenv(servesEnv); dir != "" {
		serveUntilKilled(t, dir)
		return
	}
	if !inside(t) {
		return
	}
	w := newTown(t)
	must(t, w.towers.gro(true))
	must(t, w.network.gro(true))
	pins := bpffs(t)
	needBPF(t, tryLoad())
	first := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	first.Env = append(os.Environ(), servesEnv+"="+pins)
	first.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	first.Stderr = os.Stderr
	out, err := first.StdoutPipe()
	must(t, err)
	must(t, first.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "serving" {
	}
	r := &rig{t: t, town: w, tw: listenAt(t, w.towers, atTowers), nw: listenAt(t, w.network, atNetwork)}
	arrived := func(n int) {
		t.Helper()
		up, down := 0, 0
		for deadline := time.Now().Add(20 * time.Second); up < n || down < n; wait(time.Millisecond) {
			up, down = up+len(r.nw.take(netip.Addr{})), down+len(r.tw.take(dptest.TowerA))
			if time.Now().After(deadline) {
				t.Fatalf("%d up and %d down of %d arrived", up, down, n)
			}
		}
	}
	r.upFrom(50)
	r.downTo(50)
	arrived(50)
	must(t, first.Process.Kill())
	_ = first.Wait() // killed, as it says
	r.upFrom(60)
	r.downTo(60)
	arrived(60)

	next, end := newRig(t, w, dptest.Config{}, Options{Mode: Native, Pin: pins}, slog.New(slog.DiscardHandler))
	defer end()
	putPhone(t, next.path)
	next.upFrom(5)
	next.downTo(5)
	next.settle()
	u, err := next.path.Usage(teid)
	must(t, err)
	charged, err := next.path.Charged(7)
	must(t, err)
	if want := (datapath.Count{ULOctets: 11500, ULPackets: 115, DLOctets: 23000, DLPackets: 115}); u.Count != want || charged != want.Octets() {
		t.Errorf("counted %+v, want %+v; charged %d", u.Count, want, charged)
	}
}

func tryLoad() error {
	k, err := load("", sizes{slots: 64, flows: 64, hops: 8}, map[string]any{})
	if err == nil {
		err = k.Close()
	}
	return err
}

// serveUntilKilled is the process that is killed.
func serveUntilKilled(t *testing.T, pins string) {
	p, _ := begin(t, dptest.Config{}, Options{Mode: Native, Pin: pins}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	putPhone(t, p)
	fmt.Println("serving")
	must(t, p.Serve(t.Context()))
}
