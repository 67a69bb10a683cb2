package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/cmd/campanile/town"
)

// packet is the largest that a phone gets, in octets.
const packet = 1400

// killed is what two kills may leave uncounted: each a call's worth of packets.
const killed = 2 * 128 * packet

// A gateway that is killed with kill -9 in the middle of a download, twice: the phone gets
// the rest of it over the same session and TCP connection, whole; and what the gateway has
// counted down is what the kernel has seen it send, but for what one system call had taken
// at each kill and was not counted yet.
func TestGatewayKilled(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	roles := w.core()
	gw, mme := roles[2], roles[3]
	for _, l := range []string{"table ip count", "chain ip count down { type filter hook prerouting priority -300 ; }", "rule ip count down ip saddr 10.81.1.4 udp sport 2152 counter"} {
		w.ip("netns exec @nat nft add " + l)
	}
	w.tower()
	key := w.subscriber("999700000000001")
	const size = 40_000_000
	_, m := w.throughKills(key, gw, "--fetch", fmt.Sprintf("http://10.81.2.2:8000/?n=%d", size))
	want := sha256.Sum256(page(size))
	if m.Got != size || m.SHA256 != hex.EncodeToString(want[:]) {
		t.Errorf("%+v", m)
	}
	if n := w.attaches(mme); n != 1 {
		t.Errorf("the phone has attached %d times", n)
	}
	var billing struct {
		UL uint64 `json:"ul_octets"`
		DL uint64 `json:"dl_octets"`
	}
	var sent uint64
	w.until(30*time.Second, "what billing has is what the kernel has seen", func() bool {
		if err := json.Unmarshal([]byte(w.run("core", "status", "--json", "--home", w.home("billing"))), &billing); err != nil {
			t.Fatal(err)
		}
		sent = w.sentDown()
		return billing.DL+killed >= sent
	})
	t.Logf("the kernel has seen %d octets of packets go down, %d came to the phone, the gateway has counted %d", sent, m.In, billing.DL)
	if billing.DL > sent || billing.DL < m.In-killed || billing.UL > m.Out+underWay {
		t.Errorf("the gateway has counted %d octets down and %d up; %d were sent, %d came to the phone, which sent %d", billing.DL, billing.UL, sent, m.In, m.Out)
	}
	if out := w.run("core", "gateway", "status", "--home", w.home("gateway")); !strings.Contains(out, "data path  userspace, by the TUN device") {
		t.Error(out)
	}
}

// throughKills has a phone move data while the gateway is killed and started anew, twice.
func (w *world) throughKills(key string, gw *process, what ...string) (*process, moved) {
	w.t.Helper()
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := w.try("tower", append([]string{"sim", "--json", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "1", "--imsi", "999700000000001", "--key-file", key}, what...)...)
		done <- result{out, err}
	}()
	for n := range 2 {
		least := uint64(n+1) * 5_000_000
		w.until(60*time.Second, fmt.Sprintf("%d octets through the gateway", least), func() bool {
			for _, s := range w.gateway().List {
				return s.Bearers[0].DL >= least
			}
			return false
		})
		w.kill(gw)
		gw = w.start("core", "gateway")
		w.up(gw)
		w.says(gw, "taken up from before the restart")
	}
	r := <-done
	var all []moved
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || r.err != nil || len(all) != 1 {
		w.t.Fatalf("%v %v %s", r.err, err, r.out)
	}
	return gw, all[0]
}

// gateway is what the gateway says of itself.
func (w *world) gateway() (v town.GatewayView) {
	w.t.Helper()
	out, err := w.try("core", "gateway", "bearers", "--json", "--home", w.home("gateway"))
	if err != nil {
		return v // it is starting
	}
	if err := json.Unmarshal([]byte(out), &v.List); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return v
}

// sentDown is what packets inside GTP-U have left the core's host for towers, in octets.
func (w *world) sentDown() uint64 {
	w.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", w.ns("nat"), "nft", "list", "table", "ip", "count").CombinedOutput()
	m := regexp.MustCompile(`counter packets (\d+) bytes (\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		w.t.Fatalf("nft: %v %s", err, out)
	}
	packets, _ := strconv.ParseUint(string(m[1]), 10, 64)
	octets, _ := strconv.ParseUint(string(m[2]), 10, 64)
	return octets - packets*(20+8+8) // IP, UDP, GTP-U
}
