package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"campanile.network/cmd/campanile/town"
)

// pgw makes a second gateway, at 10.81.1.5, the PGW of APN internet, and has the other be its
// SGW, with a network of its own that nobody asks for.
func (w *world) pgw(sgw *process) *process {
	t := w.t
	t.Helper()
	w.ip("-n @core addr add 10.81.1.5/24 dev ct")
	var begun struct{ Key string }
	if err := json.Unmarshal([]byte(w.run("core", "init", "--json", "--role", "gateway", "--home", w.home("pgw"))), &begun); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(w.run("core", "invite", "--role", "gateway", "--key", begun.Key, "--home", w.home("hss-chain")))
	w.run("core", "init", "--role", "gateway", "--home", w.home("pgw"), "--invite", line, "--address", "10.81.1.5")
	w.edit("pgw", "gateways = []", "gateways = ['10.81.1.4/32']", "127.0.0.1:9103", "127.0.0.1:9113")
	w.stop(sgw)
	w.edit("gateway", "apn = 'internet'", "apn = 'unused'", "\napns = []", "\napns = [{name = 'internet', pgw = '10.81.1.5'}]", "data_path = 'auto'", "data_path = 'netstack'")
	w.up(w.start("core", "gateway"))
	p := w.startIn("core", "gateway", "pgw")
	w.up(p)
	return p
}

// bearers are the sessions of a gateway's home.
func (w *world) bearers(home string) (list []town.SessionView) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.run("core", "gateway", "bearers", "--json", "--home", w.home(home))), &list); err != nil {
		w.t.Fatal(err)
	}
	return list
}

// SGW and PGW are two processes of campanile gateway, joined by S5/S8: a phone's octets go
// through both, and both have counted the same. What an operator asks either of by the
// command line is so: status, bearers, top, a dedicated bearer, and a capture, which needs a
// reason and is noted, and which tshark reads.
func TestTwoGateways(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	roles := w.core()
	w.pgw(roles[2])
	w.tower()
	key := w.subscriber("999700000000001")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 60*time.Second, "through SGW and PGW")

	w.operates()
	p.gets(1, 60*time.Second, "after all that")
	p.tell(syscall.SIGSTOP) // the session stands, and soon nothing moves in it
	w.until(60*time.Second, "SGW and PGW have counted the same", func() bool {
		sgw, pgw := w.bearers("gateway"), w.bearers("pgw")
		if len(sgw) != 1 || len(pgw) != 1 {
			t.Fatalf("SGW %+v, PGW %+v", sgw, pgw)
		}
		up, down := carriedBy(sgw[0])
		up5, down5 := carriedBy(pgw[0])
		t.Logf("the SGW has counted %d octets up and %d down, the PGW %d and %d", up, down, up5, down5)
		return up == up5 && down == down5 && down > 100_000
	})
	p.tell(syscall.SIGCONT)
	p.stop() // it is detached, and both sessions end
	w.until(30*time.Second, "both sessions end", func() bool { return len(w.bearers("gateway"))+len(w.bearers("pgw")) == 0 })
	w.browse(key, 2_000_000, 300_000)
}

// carriedBy is what a session's bearers have carried.
func carriedBy(s town.SessionView) (up, down uint64) {
	for _, b := range s.Bearers {
		up, down = up+b.UL, down+b.DL
	}
	return up, down
}

// operates asks both gateways what an operator asks.
func (w *world) operates() {
	t := w.t
	t.Helper()
	says := func(want string, args ...string) {
		t.Helper()
		if out := w.run("core", append([]string{"gateway"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("gateway %v: lacks %q:\n%s", args, want, out)
		}
	}
	sgw, pgw := w.home("gateway"), w.home("pgw")
	says("1 roaming", "status", "--home", sgw)
	says("by the TUN device", "status", "--home", pgw)
	says("PGW 10.81.1.5", "bearers", "--home", sgw)
	says("10.81.1.4", "bearers", "--home", pgw)
	says("1 sessions", "top", "--rounds", "1", "--every", "500ms", "--home", sgw)
	says("bearer 6: created", "bearer", "create", "999700000000001", "--qci", "8", "--filter", "both tcp remote 10.81.2.2 port 8000", "--home", pgw)
	if out, err := w.try("core", "gateway", "bearer", "create", "999700000000001", "--qci", "8", "--filter", "both tcp port 1", "--home", sgw); err == nil || !strings.Contains(err.Error(), "10.81.1.5") {
		t.Errorf("a bearer made at the SGW: %s %v", out, err)
	}
	w.until(30*time.Second, "packets on the dedicated bearer", func() bool {
		for _, s := range w.bearers("gateway") {
			if len(s.Bearers) == 2 && s.Bearers[1].DL > 0 {
				return true
			}
		}
		return false
	})
	file := filepath.Join(w.dir, "taken.pcapng")
	if _, err := w.try("core", "gateway", "capture", "999700000000001", "--bearer", "6", "--for", "4s", "--pcapng", file, "--home", pgw); err == nil {
		t.Error("a capture without a reason")
	}
	w.run("core", "gateway", "capture", "999700000000001", "--bearer", "6", "--for", "4s", "--pcapng", file, "--why", "ticket 4711", "--home", pgw)
	noted, err := os.ReadFile(filepath.Join(pgw, town.AuditFile))
	if err != nil || !strings.Contains(string(noted), "ticket 4711") || !strings.Contains(string(noted), "capture of user packets ends") {
		t.Errorf("noted: %v %s", err, noted)
	}
	if _, err := exec.LookPath("tshark"); err != nil && os.Getenv("CI") != "true" {
		t.Log("tshark is not installed: nobody else has read the capture")
	} else if out, err := exec.Command("tshark", "-r", file, "-Y", "tcp.srcport == 8000", "-T", "fields", "-e", "ip.src").Output(); err != nil || !strings.Contains(string(out), "10.81.2.2") {
		t.Errorf("tshark: %v %q", err, out)
	}
	says("bearer 6: deleted", "bearer", "delete", "999700000000001", "--bearer", "6", "--home", pgw)
}
