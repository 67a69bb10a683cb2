package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
)

// says waits until a role's log has a text.
func (w *world) says(p *process, text string) {
	w.t.Helper()
	w.until(30*time.Second, p.name+" says "+text, func() bool {
		b, _ := os.ReadFile(p.log)
		return strings.Contains(string(b), text)
	})
}

// underWay is what may be on its way when a session ends, in octets: it is
// counted at one end only.
const underWay = 4096

// even wants what the gateway carried to be promised to the tower, no octet
// twice, and the tower to have counted no more, but for what was lost between.
func (w *world) even() {
	w.t.Helper()
	w.evenOver("tower", "enb-agent")
}

// evenOver is even for the only towers there are, by namespace and home.
func (w *world) evenOver(where ...string) {
	w.t.Helper()
	var said string
	defer func() {
		if w.t.Failed() {
			w.t.Log(said)
		}
	}()
	w.until(30*time.Second, "both counts equal and paid", func() bool {
		// First the towers: what is promised since is carried, too.
		var promised, unpaid, up, down uint64
		for i := 0; i < len(where); i += 2 {
			p, u := w.vouchers(where[i], where[i+1])
			promised, unpaid = promised+p, unpaid+u
			sent, got := w.crossed(where[i])
			up, down = up+sent, down+got
		}
		_, got := w.crossed("core")
		ul, dl := w.counted()
		carried := ul + dl
		up -= min(got, up)
		if down > 0 { // else the way is not watched, and must lose nothing
			down = dl - min(down, dl)
		}
		if promised > carried {
			w.t.Fatalf("%d octets promised, %d carried", promised, carried)
		}
		said = fmt.Sprintf("%d octets carried, %d promised, %d unpaid; lost on the way: %d up, %d down", carried, promised, unpaid, up, down)
		return promised > 0 && carried-promised <= down+underWay && unpaid <= up+underWay
	})
}

// crossing counts what a host sends and gets by GTP-U. What the gateway sends is
// counted at the towers only: many datagrams leave it as one message.
func (w *world) crossing(ns string) {
	w.t.Helper()
	for _, l := range []string{
		"table ip way",
		"chain ip way out { type filter hook output priority 0 ; }",
		"chain ip way in { type filter hook input priority 0 ; }",
		"rule ip way out oifname != lo udp sport 2152 counter",
		"rule ip way in iifname != lo udp dport 2152 counter",
	} {
		w.ip("netns exec @" + ns + " nft add " + l)
	}
}

// crossed is what crossing has counted, in octets within GTP-U; nothing where it
// was not asked.
func (w *world) crossed(ns string) (sent, got uint64) {
	out, err := exec.Command("ip", "netns", "exec", w.ns(ns), "nft", "list", "table", "ip", "way").Output()
	if err != nil {
		return 0, 0
	}
	for _, l := range strings.Split(string(out), "\n") {
		var p, n uint64
		if i := strings.Index(l, "counter"); i < 0 {
			continue
		} else if _, err := fmt.Sscanf(l[i:], "counter packets %d bytes %d", &p, &n); err != nil {
			w.t.Fatalf("nft: %q: %v", l, err)
		}
		n -= p * (20 + 8 + gtpu.HeaderLen)
		if strings.Contains(l, "sport") {
			sent = n
		} else {
			got = n
		}
	}
	return sent, got
}

// vouchers are what a tower has been promised and what is unpaid, in octets.
func (w *world) vouchers(ns, home string) (promised, unpaid uint64) {
	w.t.Helper()
	if m := vouchersSaid.FindStringSubmatch(w.run(ns, "status", "--home", w.home(home))); m != nil {
		promised, _ = strconv.ParseUint(m[1], 10, 64)
		unpaid, _ = strconv.ParseUint(m[2], 10, 64)
	}
	return promised, unpaid
}

var vouchersSaid = regexp.MustCompile(`for (\d+) octets, (\d+) octets unpaid`)

// heard is what towers have counted, as billing has heard, in octets.
func (w *world) heard() (n uint64) {
	w.t.Helper()
	if m := towersSaid.FindStringSubmatch(w.run("core", "status", "--home", w.home("billing"))); m != nil {
		n, _ = strconv.ParseUint(m[1], 10, 64)
	}
	return n
}

var towersSaid = regexp.MustCompile(`they count (\d+) octets`)

// carried is what the gateways have, as billing has heard, in octets.
func (w *world) carried() uint64 {
	w.t.Helper()
	ul, dl := w.counted()
	return ul + dl
}

// counted is the same by direction.
func (w *world) counted() (ul, dl uint64) {
	w.t.Helper()
	var billing struct {
		UL uint64 `json:"ul_octets"`
		DL uint64 `json:"dl_octets"`
	}
	if err := json.Unmarshal([]byte(w.run("core", "status", "--json", "--home", w.home("billing"))), &billing); err != nil {
		w.t.Fatal(err)
	}
	return billing.UL, billing.DL
}

// What breaks on the way and dies on either side: the tower is told what to do
// before it is registered, the cable is cut, MME and gateway are killed, packets
// are lost (make interop). Phones are served again without a person, and nothing
// is counted or paid twice.
func TestBrokenThings(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	roles := w.core()
	agent, register := w.stranger()
	w.says(agent, "the operator has to register it with: campanile tower register")
	w.run("core", register...)
	w.up(agent)
	key := w.subscriber("999700000000001")

	w.browse(key, 500_000, 100_000)
	w.even()
	w.ip("-n @nat link set nc down")
	w.kill(agent)
	agent = w.start("tower", "enb-agent")
	w.up(agent) // without the core: what it has to know is on its disk
	w.kill(roles[1])
	w.kill(roles[3])
	w.ip("-n @nat link set nc up")
	w.up(w.start("core", "billing"))
	w.up(w.start("core", "mme"))
	w.until(60*time.Second, "the link is back", func() bool {
		return strings.Contains(w.run("tower", "status", "--home", w.home("enb-agent")), "the link to billing is up")
	})
	w.browse(key, 500_000, 100_000)
	w.even()

	w.kill(roles[2])
	w.up(w.start("core", "gateway"))
	if os.Getenv("INTEROP") == "" { // how long it takes is luck
		w.browse(key, 500_000, 100_000)
	} else {
		for _, l := range []string{"table ip lossy", "chain ip lossy way { type filter hook forward priority 0 ; }", "rule ip lossy way numgen random mod 100 < 5 drop"} {
			w.ip("netns exec @nat nft add " + l)
		}
		w.browse(key, 500_000, 100_000)
		w.ip("netns exec @nat nft delete table ip lossy")
	}
	w.stopAtOnce(agent, key)
}

// stopAtOnce asks an agent twice to end while an eNB does not answer: the second
// time it does.
func (w *world) stopAtOnce(agent *process, key string) {
	t := w.t
	t.Helper()
	sim := w.command("tower", "campanile", "sim", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "1", "--imsi", "999700000000001", "--key-file", key,
		"--fetch", "http://10.81.2.2:8000/?n=2000000000")
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sim.Process.Kill()
		sim.Wait()
	}()
	w.until(20*time.Second, "a phone at the MME", func() bool {
		return strings.Contains(w.run("core", "status", "--home", w.home("mme")), "1 connected")
	})
	if err := errors.Join(sim.Process.Signal(syscall.SIGSTOP), agent.cmd.Process.Signal(syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	w.says(agent, "stopping")
	start := time.Now()
	if err := agent.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		t.Log("the agent has drained before it could be told twice")
		return
	} else if err != nil {
		t.Fatal(err)
	}
	err := <-agent.done
	agent.done <- err
	var exit *exec.ExitError
	if d := time.Since(start); d > 5*time.Second || !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("told twice: %v after %v", err, d)
	}
}
