package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// internet6 gives core and internet IPv6, too.
func (w *world) internet6() {
	w.t.Helper()
	w.ip("-n @core addr add fd99::1/64 dev ci nodad")
	w.ip("-n @net addr add fd99::2/64 dev ic nodad")
	w.ip("-n @net route add fd45::/48 via fd99::1")
	w.ip("netns exec @core sysctl -qw net.ipv6.conf.all.forwarding=1")
	web := w.command("net", "web", "[fd99::2]:8000")
	if err := web.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { web.Process.Kill(); web.Wait() })
}

// TestFullPackets has phones whose packets are as large as an Ethernet's, behind an
// S1-U of the same size: what goes there is in fragments, both ways. Phones of IPv4, of
// IPv6 and of both have pings of that size answered, and larger ones that are in
// fragments themselves, by the gateway and by the internet; they find a page by name at
// the name server that they were told of, and move megabytes both ways. The gateway and
// the tower count every octet once.
func TestFullPackets(t *testing.T) { fullPackets(t, "data_path = 'tun'") }

// TestFullPacketsFast is the same by data path xdp, which leaves fragments to the slow
// path.
func TestFullPacketsFast(t *testing.T) {
	fullPackets(t, "data_path = 'xdp'", "xdp_mode = 'auto'", "xdp_mode = 'generic'", "s1u_device = ''", "s1u_device = 'ct'", "sgi_device = ''", "sgi_device = 'ci'")
}

func fullPackets(t *testing.T, path string, more ...string) {
	w := newWorld(t)
	w.internet()
	w.internet6()
	w.cable()
	if len(more) > 0 {
		more = append(more, "xdp_pins = '/sys/fs/bpf'", "xdp_pins = '"+w.packetPrograms()+"'")
	}
	roles := w.core()
	w.stop(roles[2])
	w.edit("gateway", append(more, "data_path = 'auto'", path, "pool6 = ''", "pool6 = 'fd45::/48'", "mtu = 1400", "mtu = 1500")...)
	w.up(w.start("core", "gateway"))
	w.tower()
	key := w.subscriber("999700000000001")
	var counted uint64
	for _, c := range []struct{ pdn, url, dns, ping string }{
		{"ipv4", "http://10.81.2.2:8000/", "[10.45.0.1]", "10.45.0.1,10.81.2.2"},
		{"ipv6", "http://[fd99::2]:8000/", "[fd45::1]", "fd45::1,fd99::2"},
		{"ipv4v6", "http://[fd99::2]:8000/", "[10.45.0.1 fd45::1]", "fd45::1,10.81.2.2"},
	} {
		m := w.whole(c.pdn, c.ping, 4000, "http://web.campanile/bytes", "", key)
		n := w.whole(c.pdn, c.ping, 1472, c.url, c.url, key)
		if m.DNS != c.dns || n.DNS != c.dns {
			t.Errorf("%s: told of the name servers %s and %s, want %s", c.pdn, m.DNS, n.DNS, c.dns)
		}
		counted += m.In + m.Out + n.In + n.Out
	}
	var carried, heard uint64
	defer func() { t.Logf("phones %d, gateway %d, tower %d octets", counted, carried, heard) }()
	w.until(30*time.Second, "gateway and tower have counted what the phones have moved", func() bool {
		carried, heard = w.carried(), w.heard()
		return carried == counted && heard == counted
	})
	for _, ns := range []string{"core", "tower"} {
		if made, joined := w.fragments(ns); made < 1000 || joined < 1000 {
			t.Errorf("in %s %d datagrams were cut and %d put together: S1-U was not full", ns, made, joined)
		}
	}
}

// packetPrograms makes core a place for data path xdp, and gives the file system for its
// pins.
func (w *world) packetPrograms() (pins string) {
	w.t.Helper()
	w.offloads("net", "ic")
	w.offloads("tower", "tc")
	pins = filepath.Join(w.dir, "bpf")
	if err := os.Mkdir(pins, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "bpf", "bpf", pins).CombinedOutput(); err != nil {
		w.t.Skipf("no BPF file system here: %s", out)
	}
	w.t.Cleanup(func() { exec.Command("umount", "-l", pins).Run() })
	return pins
}

// whole has a phone ping, fetch and send, and looks at what has come.
func (w *world) whole(pdn, ping string, echo int, fetch, post, key string) moved {
	t := w.t
	t.Helper()
	const octets = 3_000_000
	args := []string{"sim", "--json", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "1", "--imsi", "999700000000001", "--key-file", key,
		"--pdn", pdn, "--ping", ping, "--ping-octets", strconv.Itoa(echo), "--fetch", fetch + "?n=" + strconv.Itoa(octets)}
	if post != "" {
		args = append(args, "--post", post, "--octets", strconv.Itoa(octets))
	}
	var all []moved
	out := w.run("tower", args...)
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	m := all[0]
	t.Logf("%s, %s: %.1f s, %d octets in, %d out", pdn, fetch, m.Seconds, m.In, m.Out)
	six, err := netip.ParseAddr(m.IPv6)
	if has := err == nil && netip.MustParsePrefix("fd45::/48").Contains(six); has != strings.HasSuffix(pdn, "v6") || (m.MTU == 1500) != strings.HasPrefix(pdn, "ipv4") || m.Echoes != 2 || m.Got != octets {
		t.Errorf("%s: %+v", pdn, m)
	}
	want, zero := sha256.Sum256(page(octets)), sha256.Sum256(make([]byte, octets))
	if post != "" && (m.SHA256 != hex.EncodeToString(want[:]) || m.Answer != fmt.Sprintf("%d %x <nil>", octets, zero)) {
		t.Errorf("%s: other octets than were sent: %+v", pdn, m)
	}
	return m
}

// fragments are the datagrams of IPv4 that a host has cut, and those it has put
// together.
func (w *world) fragments(ns string) (made, joined int) {
	w.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", w.ns(ns), "cat", "/proc/net/snmp").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			switch name {
			case "FragOKs":
				made, _ = strconv.Atoi(f[i])
			case "ReasmOKs":
				joined, _ = strconv.Atoi(f[i])
			}
		}
	}
	return made, joined
}
