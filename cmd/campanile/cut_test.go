package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cut drops everything between a tower's router and the core, both ways, or no
// longer.
func (w *world) cut(yes bool) {
	w.t.Helper()
	if !yes {
		w.ip("netns exec @nat nft delete table ip cut")
		return
	}
	for _, l := range []string{"table ip cut", "chain ip cut way { type filter hook forward priority 0 ; }", "rule ip cut way drop"} {
		w.ip("netns exec @nat nft add " + l)
	}
}

// linked waits until a tower's status says that its link is up, or away.
func (w *world) linked(most time.Duration, ns, home, how string) {
	w.t.Helper()
	w.until(most, "the link of "+home+" is "+how, func() bool {
		out, err := w.try(ns, "status", "--home", w.home(home))
		return err == nil && strings.Contains(out, "the link to billing is "+how)
	})
}

// The way between tower and core is cut for 30 s while a phone moves data. That is
// longer than the link lives (10 s with something unsaid, else 20 s to a keepalive
// and 10 s for its answer), and shorter than SCTP, whose heartbeats give up after
// a minute; TestBehindNAT and TestTowerMoves lose the association. Healed, the
// phone goes on without an attach, and every octet is counted and promised once.
func TestCut(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	w.core()
	w.tower()
	key := w.subscriber("999700000000001")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "at first")
	start := time.Now()
	w.cut(true)
	w.linked(45*time.Second, "tower", "enb-agent", "away")
	t.Logf("link away %v after the cut", time.Since(start).Round(time.Second))
	w.until(40*time.Second, "30 s", func() bool { return time.Since(start) > 30*time.Second })
	w.cut(false)
	p.gets(1, 40*time.Second, "after the cut")
	w.linked(30*time.Second, "tower", "enb-agent", "up")
	p.gets(1, 20*time.Second, "with the link")
	if n := p.count(1, "attached"); n != 1 {
		t.Errorf("the phone has attached %d times", n)
	}
	p.stop()
	w.even()
}

// Two towers behind one router, each with its own key: phones at both are served
// at once, and both towers are paid. The router forgets all it knew and gives
// other ports: they go on within the time of a keepalive.
func TestTwoTowersBehindOneNAT(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	w.ip("netns add @other")
	w.ip("link add on netns @other type veth peer name side netns @nat")
	w.ip("-n @other addr add 192.168.8.2/24 dev on")
	w.ip("-n @nat addr add 192.168.8.1/24 dev side")
	for _, l := range []string{"@other link set lo up", "@other link set on up", "@nat link set side up", "@other route add default via 192.168.8.1"} {
		w.ip("-n " + l)
	}
	w.crossing("other")
	w.core()
	w.tower()
	w.run("core", w.newTower("other", "other-agent", "second", "--enb", "999/70-macro-0x19c", "--cell", fmt.Sprint(0x19c01))...)
	w.up(w.startIn("other", "enb-agent", "other-agent"))
	key := w.subscriber("999700000000001")
	w.subscriber("999700000000002")
	a := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	b := w.phone("other", "127.0.0.40", "999/70-macro-0x19c", "999700000000002", key)
	a.gets(1, 30*time.Second, "at the first tower")
	b.gets(1, 30*time.Second, "at the second tower")

	w.masquerade("meta l4proto { tcp, udp } masquerade to :20000-29999")
	a.gets(1, 40*time.Second, "with other ports")
	b.gets(1, 40*time.Second, "with other ports")
	for _, at := range [][2]string{{"tower", "enb-agent"}, {"other", "other-agent"}} {
		w.linked(60*time.Second, at[0], at[1], "up")
	}
	a.stop()
	b.stop()
	w.evenOver("tower", "enb-agent", "other", "other-agent")
	for _, at := range [][2]string{{"tower", "enb-agent"}, {"other", "other-agent"}} {
		w.until(20*time.Second, at[1]+" is paid", func() bool {
			out := w.run(at[0], "status", "--home", w.home(at[1]))
			return !strings.Contains(out, " for 0 octets")
		})
	}
}

// The provider gives a tower another address: it opens all anew there by itself,
// and the phone comes back.
func TestTowerMoves(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	w.core()
	agent := w.tower()
	key := w.subscriber("999700000000001")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "at the first address")
	w.ip("-n @tower addr del 10.81.1.10/24 dev tc")
	w.ip("-n @tower addr add 10.81.1.77/24 dev tc")
	w.says(agent, "now 10.81.1.77")
	p.gets(1, 90*time.Second, "at the new address")
	w.linked(40*time.Second, "tower", "enb-agent", "up")
	p.stop()
	w.even()
	if b, err := os.ReadFile(filepath.Join(w.home("enb-agent"), "campanile.toml")); err != nil || !strings.Contains(string(b), "core = 'auto'") {
		t.Errorf("agent.core: %v %s", err, b)
	}
}

// The home's process goes while a phone moves data, once as it is told to and
// once without a word: the phone goes on under its ticket, and whoever comes is
// not taken for a stranger (cause #17: it tries again). With the home back he is
// served by himself, no sequence number is used twice, and who is barred then is
// detached, though the MME is another process.
func TestHomeAway(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	roles := w.core()
	w.tower()
	key := w.subscriber("999700000000001")
	w.subscriber("999700000000002")
	w.subscriber("999700000000003")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "with the home")
	for i, end := range []func(*process){w.stop, w.kill} {
		end(roles[0])
		p.tell(syscall.SIGUSR1)
		p.says(2+i, 20*time.Second, "#17")
		p.gets(1, 10*time.Second, "without the home")
		roles[0] = w.start("core", "hss-chain")
		w.up(roles[0])
		p.gets(2+i, 40*time.Second, "with the home back")
	}
	for n, want := range []int{1, 1, 1} {
		if got := p.count(n+1, "attached"); got != want {
			t.Errorf("phone %d has attached %d times", n+1, got)
		}
	}
	if b, err := os.ReadFile(roles[0].log); err != nil || strings.Contains(string(b), "resynchronised") {
		t.Errorf("a card has seen a sequence number twice: %v", err)
	}
	w.run("core", "subscriber", "bar", "999700000000001", "--home", w.home("hss-chain"))
	p.says(1, 20*time.Second, "#15")
	p.gets(2, 10*time.Second, "while another is barred")
	p.stop()
	w.even()
}
