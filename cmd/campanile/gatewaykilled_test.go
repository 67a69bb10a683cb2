package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"campanile.network/cmd/campanile/town"
)

// A gateway that is killed with kill -9 in the middle of a download, twice: the phone gets
// the rest of it over the same session and TCP connection, whole; and what the gateway has
// counted down is what has come to the phone's IP interface, but for a packet at each
// kill that was sent and not counted yet.
func TestGatewayKilled(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	roles := w.core()
	gw, mme := roles[2], roles[3]
	w.tower()
	key := w.subscriber("999700000000001")
	const size = 40_000_000
	type result struct {
		out string
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := w.try("tower", "sim", "--json", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "1", "--imsi", "999700000000001", "--key-file", key,
			"--fetch", fmt.Sprintf("http://10.81.2.2:8000/?n=%d", size))
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
		t.Fatalf("%v %v %s", r.err, err, r.out)
	}
	want := sha256.Sum256(page(size))
	if m := all[0]; m.Got != size || m.SHA256 != hex.EncodeToString(want[:]) {
		t.Errorf("%+v", m)
	}
	if n := w.attaches(mme); n != 1 {
		t.Errorf("the phone has attached %d times", n)
	}
	var billing struct {
		DL uint64 `json:"dl_octets"`
	}
	const packet = 1500
	w.until(30*time.Second, "what the gateway has counted is what the phone got", func() bool {
		if err := json.Unmarshal([]byte(w.run("core", "status", "--json", "--home", w.home("billing"))), &billing); err != nil {
			t.Fatal(err)
		}
		return billing.DL+2*packet >= all[0].In
	})
	t.Logf("%d octets came to the phone, the gateway has counted %d", all[0].In, billing.DL)
	if billing.DL > all[0].In+packet {
		t.Errorf("the gateway has counted %d octets down, %d came to the phone", billing.DL, all[0].In)
	}
	if out := w.run("core", "gateway", "status", "--home", w.home("gateway")); !strings.Contains(out, "data path  userspace, by the TUN device") {
		t.Error(out)
	}
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
