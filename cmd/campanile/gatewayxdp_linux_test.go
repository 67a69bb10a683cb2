package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"campanile.network/cmd/campanile/town"
)

// The gateway moves packets in the kernel's drivers, and is killed twice in the middle of
// a download: which goes on meanwhile, whole. What it has counted is what others have seen
// arrive at the tower and at the internet: no octet more or less, but for a packet that
// went the slow way at each kill.
func TestGatewayXDP(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	w.offloads("net", "ic")
	w.offloads("tower", "tc")
	w.ip("-n @net link set ic gro_max_size 1") // packets are counted one by one
	w.fastCounters()
	roles := w.core()
	mme := roles[3]
	w.stop(roles[2])
	gw := w.fastGateway()
	w.tower()
	key := w.subscriber("999700000000001")
	const size, sent = 40_000_000, 2_000_000
	gw, m := w.throughKills(key, gw, "--fetch", fmt.Sprintf("http://10.81.2.2:8000/?n=%d", size), "--post", "http://10.81.2.2:8000/", "--octets", fmt.Sprint(sent))
	want := sha256.Sum256(page(size))
	if m.Got != size || m.SHA256 != hex.EncodeToString(want[:]) || m.Sent != sent {
		t.Errorf("%+v", m)
	}
	if n := w.attaches(mme); n != 1 {
		t.Errorf("the phone has attached %d times", n)
	}
	w.says(gw, `msg="gateway: session ended"`)
	b, _ := os.ReadFile(gw.log)
	ended := regexp.MustCompile(`session ended" .* ul=(\d+) dl=(\d+)`).FindStringSubmatch(string(b))
	if ended == nil {
		t.Fatalf("%s", b)
	}
	var ul, dl uint64
	fmt.Sscan(ended[1]+" "+ended[2], &ul, &dl)
	up, down := w.fastCounted("net"), w.fastCounted("tower")
	t.Logf("%d octets arrived at the internet and %d at the tower; the gateway has counted %d up and %d down", up, down, ul, dl)
	if ul > up || dl > down || ul+2*packet < up || dl+2*packet < down {
		t.Errorf("the gateway has counted %d octets up and %d down; %d arrived at the internet and %d at the tower", ul, dl, up, down)
	}
	w.until(30*time.Second, "billing has what the gateway counted, and what arrived over the phone's rate", func() bool {
		return w.carried() >= ul+dl
	})
	w.fastEnds(gw)
}

// offloads has a veth's end take redirected frames, and finish the checksums of what is
// sent there.
func (w *world) offloads(ns, dev string) {
	w.t.Helper()
	done := make(chan error)
	go func() { // on a thread of its own, which ends in that namespace
		runtime.LockOSThread()
		done <- offload(w.ns(ns), dev)
	}()
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

func offload(ns, dev string) error {
	there, err := os.Open("/var/run/netns/" + ns)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	const setTXChecksum, setGRO = 0x17, 0x2c // linux/ethtool.h
	for _, value := range []struct{ what, on uint32 }{{setTXChecksum, 0}, {setGRO, 1}} {
		var r struct {
			name [16]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(r.name[:], dev)
		r.data = unsafe.Pointer(&value)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); e != 0 {
			return fmt.Errorf("ethtool %#x of %s: %w", value.what, dev, e)
		}
	}
	return nil
}

// fastCounters has hosts count what arrives of phones: inner packets at the internet,
// G-PDUs at the tower.
func (w *world) fastCounters() {
	w.t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("CI") == "true" {
			w.t.Fatal("nft (Debian: nftables) is not installed")
		}
		w.t.Skip("nft is not installed")
	}
	for ns, rule := range map[string]string{"net": "iifname ic ip saddr 10.45.0.0/16", "tower": "ip saddr 10.81.1.4 udp sport 2152 @th,72,8 255"} {
		for _, l := range []string{"table ip count", "chain ip count here { type filter hook prerouting priority -300 ; }", "rule ip count here " + rule + " counter"} {
			if out, err := exec.Command("ip", "netns", "exec", w.ns(ns), "nft", "add "+l).CombinedOutput(); err != nil {
				w.t.Fatalf("nft add %s: %v %s", l, err, out)
			}
		}
	}
}

// fastCounted is what has arrived there of inner packets, in octets.
func (w *world) fastCounted(ns string) uint64 {
	w.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", w.ns(ns), "nft", "list", "table", "ip", "count").CombinedOutput()
	var packets, octets uint64
	if i := strings.Index(string(out), "counter"); err != nil || i < 0 {
		w.t.Fatalf("nft: %v %s", err, out)
	} else if _, err := fmt.Sscanf(string(out[i:]), "counter packets %d bytes %d", &packets, &octets); err != nil {
		w.t.Fatalf("nft: %s: %v", out, err)
	}
	if ns == "tower" {
		octets -= packets * (20 + 8 + 8) // IP, UDP, GTP-U
	}
	return octets
}

// fastGateway starts the gateway anew with data path xdp, or skips where the kernel does
// not let it.
func (w *world) fastGateway() *process {
	t := w.t
	t.Helper()
	pins := filepath.Join(w.dir, "bpf")
	if err := os.Mkdir(pins, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", pins, "bpf", 0, ""); err != nil {
		t.Skipf("no packet programs here: no BPF file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(pins, 0); err != nil {
			t.Error(err)
		}
	})
	w.edit("gateway", "data_path = 'auto'", "data_path = 'xdp'", "sgi_device = ''", "sgi_device = 'none'", "xdp_pins = '/sys/fs/bpf'", "xdp_pins = '"+pins+"'")
	if _, err := w.try("core", "gateway", "--home", w.home("gateway")); err == nil || !strings.Contains(err.Error(), "data path xdp") || !strings.Contains(err.Error(), "device none") {
		t.Errorf("with a device that is not there: %v", err)
	}
	w.edit("gateway", "sgi_device = 'none'", "sgi_device = 'ci'")
	gw := w.start("core", "gateway")
	select {
	case <-gw.ready:
	case err := <-gw.done:
		gw.done <- err
		b, _ := os.ReadFile(gw.log)
		for _, lack := range []string{"CAP_BPF", "this kernel"} {
			if strings.Contains(string(b), lack) {
				t.Skipf("no packet programs here: %s", b[max(0, len(b)-1000):])
			}
		}
		t.Fatalf("the gateway ended: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("the gateway is not ready")
	}
	return gw
}

// fastEnds ends a gateway in every way, and wants it to leave no more than it should.
func (w *world) fastEnds(gw *process) {
	t := w.t
	t.Helper()
	out := w.run("core", "gateway", "status", "--home", w.home("gateway"))
	t.Log(out)
	if !strings.Contains(out, "data path  xdp, native, between ct and ci") {
		t.Error(out)
	}
	var v town.GatewayView
	if err := json.Unmarshal([]byte(w.run("core", "gateway", "status", "--json", "--home", w.home("gateway"))), &v); err != nil || v.Fast == nil || v.Fast.DLPackets == 0 || v.Fast.ULPackets == 0 {
		t.Errorf("%v %+v", err, v.Fast)
	}
	if out := w.run("core", "status", "--home", w.home("gateway")); !strings.Contains(out, "xdp, native") {
		t.Error(out)
	}
	w.kill(gw)
	if !w.programs("ct") || !w.programs("ci") {
		t.Error("a gateway that is killed has left no programs")
	}
	// A home that was made anew does not know what the one before it has left.
	pins := filepath.Join(w.home("gateway"), "gateway.pins")
	if err := os.Rename(pins, pins+".old"); err != nil {
		t.Fatal(err)
	}
	_, err := w.try("core", "gateway", "--home", w.home("gateway"))
	if err == nil {
		t.Fatal("two gateways have the same device")
	}
	m := regexp.MustCompile(`of the gateway of (\S+), which runs, or was killed: .*rm -r (\S+)`).FindStringSubmatch(err.Error())
	if m == nil || m[1] != w.home("gateway") {
		t.Fatalf("with programs that another has left: %v", err)
	}
	if err := os.Rename(pins+".old", pins); err != nil {
		t.Fatal(err)
	}
	gw = w.start("core", "gateway")
	w.up(gw)
	w.stop(gw)
	if w.programs("ct") || w.programs("ci") {
		t.Error("a gateway that was told to end has left its programs")
	}
	// Who counts elsewhere from now on leaves nothing of it.
	w.edit("gateway", "data_path = 'xdp'", "data_path = 'tun'")
	gw = w.start("core", "gateway")
	w.up(gw)
	if _, err := os.Stat(pins); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pins of data path xdp are kept: %v", err)
	}
	w.stop(gw)
}

// programs says whether a device of the core has packet programs.
func (w *world) programs(dev string) bool {
	w.t.Helper()
	out, err := exec.Command("ip", "-n", w.ns("core"), "link", "show", "dev", dev).CombinedOutput()
	if err != nil {
		w.t.Fatalf("ip: %v %s", err, out)
	}
	return strings.Contains(string(out), "prog/xdp")
}
