package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rules counts the gateway's rules of address translation in the core's host.
func (w *world) rules() int {
	w.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", w.ns("core"), "nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		w.t.Fatalf("nft: %v %s", err, out)
	}
	return strings.Count(string(out), "masquerade")
}

// again ends the gateway as it is told to and starts it with another configuration.
func (w *world) again(p *process, pairs ...string) *process {
	w.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			w.t.Fatalf("the gateway ended: %v", err)
		}
	case <-time.After(40 * time.Second):
		w.t.Fatal("the gateway does not end")
	}
	w.edit("gateway", pairs...)
	p = w.start("core", "gateway")
	w.up(p)
	return p
}

// nat = "nat44": two phones reach a server that knows no way back to their pool, and sees
// the gateway's address. A gateway that is killed and comes back has its rules once, and
// one that ends leaves none.
func TestAddressesTranslated(t *testing.T) {
	w := newWorld(t)
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("nft (Debian: nftables) is not installed")
		}
		t.Skip("nft is not installed")
	}
	w.internet()
	w.ip("-n @net route del 10.45.0.0/16 via 10.81.2.1")
	w.cable()
	gw := w.again(w.core()[2], "nat = 'none'", "nat = 'nat44'")
	w.tower()
	w.subscriber("999700000000001")
	key := w.subscriber("999700000000002")
	seen := func(when string) {
		t.Helper()
		if n := w.rules(); n != 1 {
			t.Errorf("%s: %d rules, want 1", when, n)
		}
		out := w.run("tower", "sim", "--json", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "2", "--imsi", "999700000000001", "--key-file", key, "--fetch", "http://10.81.2.2:8000/who")
		var all []moved
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 {
			t.Fatalf("%s: %v %s", when, err, out)
		}
		sum := sha256.Sum256([]byte("10.81.2.1"))
		for _, m := range all {
			if m.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: the server saw somebody else: %+v", when, m)
			}
		}
	}
	seen("at first")
	w.kill(gw)
	if n := w.rules(); n != 1 {
		t.Errorf("killed: %d rules, want 1", n)
	}
	gw = w.start("core", "gateway")
	w.up(gw)
	seen("after kill -9")
	gw = w.again(gw)
	seen("after an orderly restart")
	w.kill(gw)
	w.edit("gateway", "nat = 'nat44'", "nat = 'none'")
	gw = w.start("core", "gateway")
	w.up(gw)
	if n := w.rules(); n != 0 {
		t.Errorf("%d rules of a killed gateway are left", n)
	}
	gw = w.again(gw, "nat = 'none'", "nat = 'nat44'")
	if err := gw.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := <-gw.done
	gw.done <- err
	if n := w.rules(); err != nil || n != 0 {
		t.Errorf("%v, %d rules at the end", err, n)
	}
}
