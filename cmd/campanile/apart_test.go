package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"campanile.network/internal/sctp"
)

// core makes the operator's homes, a host's worth each, by what a person would
// paste, and starts their roles. Each role has an address of its own.
func (w *world) core() []*process {
	t := w.t
	t.Helper()
	w.run("core", "init", "--role", "hss-chain", "--home", w.home("hss-chain"), "--address", "10.81.1.1")
	w.edit("hss-chain", "mme = '10.81.1.1'", "mme = '10.81.1.3'", "gateway = '10.81.1.1'", "gateway = '10.81.1.4'", "'10.81.1.1:7101'", "'10.81.1.2:7101'", "grpc = '127.0.0.1:9090'", "grpc = ''")
	all := []*process{w.start("core", "hss-chain")}
	w.up(all[0])
	for role, address := range map[string]string{"billing": "10.81.1.2", "mme": "10.81.1.3"} {
		line := strings.TrimSpace(w.run("core", "invite", "--role", role, "--home", w.home("hss-chain")))
		w.run("core", "init", "--role", role, "--home", w.home(role), "--invite", line, "--address", address)
		if _, err := w.try("core", role, "--home", w.home(role)); err == nil || !strings.Contains(err.Error(), "copy keys/operator from the operator's main home") {
			t.Errorf("%s without the operator's key: %v", role, err)
		}
		b, err := os.ReadFile(filepath.Join(w.home("hss-chain"), "keys", "operator"))
		if err == nil {
			err = os.WriteFile(filepath.Join(w.home(role), "keys", "operator"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var begun struct{ Key string }
	if err := json.Unmarshal([]byte(w.run("core", "init", "--json", "--role", "gateway", "--home", w.home("gateway"))), &begun); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(w.run("core", "invite", "--role", "gateway", "--key", begun.Key, "--home", w.home("hss-chain")))
	w.run("core", "init", "--role", "gateway", "--home", w.home("gateway"), "--invite", line, "--address", "10.81.1.4")
	for _, role := range []string{"billing", "gateway", "mme"} {
		all = append(all, w.start("core", role))
	}
	for _, p := range all {
		w.up(p)
	}
	return all
}

// tower makes a tower's home by two lines pasted, and starts its agent.
func (w *world) tower() *process {
	w.t.Helper()
	p, register := w.stranger()
	w.run("core", register...)
	w.up(p)
	return p
}

// stranger makes a tower's home and starts its agent before the tower is
// registered: by the command it returns.
func (w *world) stranger() (p *process, register []string) {
	t := w.t
	t.Helper()
	register = w.newTower("tower", "enb-agent", "first")
	return w.start("tower", "enb-agent"), register
}

// newTower makes a tower's home, and gives the command that registers it.
func (w *world) newTower(ns, home, name string, more ...string) (register []string) {
	t := w.t
	t.Helper()
	line := strings.TrimSpace(w.run("core", "invite", "--role", "enb-agent", "--home", w.home("hss-chain")))
	var made struct{ Next []string }
	args := append([]string{"init", "--json", "--role", "enb-agent", "--home", w.home(home), "--invite", line, "--tower", name}, more...)
	if err := json.Unmarshal([]byte(w.run(ns, args...)), &made); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(made.Next[0], fmt.Sprintf("campanile tower register %q ", name))
	if !ok {
		t.Fatalf("%q", made.Next)
	}
	return append([]string{"tower", "register", name, "--home", w.home("hss-chain")}, strings.Fields(rest)...)
}

// until asks again and again for at most so long.
func (w *world) until(most time.Duration, what string, ask func() bool) {
	w.t.Helper()
	end := time.After(most)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-end:
			w.t.Fatalf("not within %v: %s", most, what)
		case <-tick.C:
		}
	}
}

// subscriber adds one; the key file is for the phone, too.
func (w *world) subscriber(imsi string) (keyFile string) {
	w.t.Helper()
	keyFile = filepath.Join(w.dir, "sim")
	if err := os.WriteFile(keyFile, bytes.Repeat([]byte("5a"), 32), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.run("core", "subscriber", "add", imsi, "--key-file", keyFile, "--home", w.home("hss-chain"))
	return keyFile
}

// browse has a phone at the tower fetch and send, and compares every octet.
func (w *world) browse(keyFile string, down, up int) {
	t := w.t
	t.Helper()
	out := w.run("tower", "sim", "--json", "--mme", "127.0.0.11", "--enb", "999/70-macro-0x19b", "--ues", "1", "--imsi", "999700000000001", "--key-file", keyFile,
		"--fetch", fmt.Sprintf("http://10.81.2.2:8000/?n=%d", down), "--post", "http://10.81.2.2:8000/", "--octets", strconv.Itoa(up))
	var moved []moved
	if err := json.Unmarshal([]byte(out), &moved); err != nil || len(moved) != 1 {
		t.Fatalf("%v %s", err, out)
	}
	want := sha256.Sum256(page(down))
	if m := moved[0]; m.Got != int64(down) || m.SHA256 != hex.EncodeToString(want[:]) || m.Sent != int64(up) {
		t.Errorf("%+v", m)
	}
	t.Logf("attach %.0f ms, %d octets down and %d up in %.2f s", moved[0].Attach, down, up, moved[0].Seconds)
}

// paid waits until the tower's owner has claimed something.
func (w *world) paid() {
	w.t.Helper()
	w.until(40*time.Second, "a claim", func() bool {
		var claim struct{ Amount string }
		if err := json.Unmarshal([]byte(w.run("core", "claim", "--json", "--home", w.home("hss-chain"))), &claim); err != nil {
			w.t.Fatal(err)
		}
		return claim.Amount != "0"
	})
}

// internet is joined to the core, and has a web server.
func (w *world) internet() {
	w.ip("netns add @core")
	w.ip("netns add @net")
	w.ip("link add ci netns @core type veth peer name ic netns @net")
	w.ip("-n @core addr add 10.81.2.1/24 dev ci")
	w.ip("-n @net addr add 10.81.2.2/24 dev ic")
	for _, l := range []string{"@core link set ci up", "@core link set lo up", "@net link set ic up", "@net link set lo up", "@tower link set lo up"} {
		w.ip("-n " + l)
	}
	w.ip("-n @net route add 10.45.0.0/16 via 10.81.2.1")
	w.ip("netns exec @core sysctl -qw net.ipv4.ip_forward=1")
	web := w.command("net", "web", "10.81.2.2:8000")
	if err := web.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { web.Process.Kill(); web.Wait() })
}

// cable joins tower and core.
func (w *world) cable() {
	w.ip("link add tc netns @tower type veth peer name ct netns @core")
	w.ip("-n @tower addr add 10.81.1.10/24 dev tc")
	for i := 1; i <= 4; i++ {
		w.ip(fmt.Sprintf("-n @core addr add 10.81.1.%d/24 dev ct", i))
	}
	w.ip("-n @tower link set tc up")
	w.ip("-n @core link set ct up")
}

// home is a tower's usual place: behind a router that masquerades, and gives
// every flow a port of its own choice.
func (w *world) homeRouter() {
	w.t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("CI") == "true" {
			w.t.Fatal("nft (Debian: nftables) is not installed")
		}
		w.t.Skip("nft is not installed")
	}
	w.ip("netns add @nat")
	w.ip("link add tn netns @tower type veth peer name nt netns @nat")
	w.ip("link add nc netns @nat type veth peer name cn netns @core")
	w.ip("-n @tower addr add 192.168.7.2/24 dev tn")
	w.ip("-n @nat addr add 192.168.7.1/24 dev nt")
	w.ip("-n @nat addr add 10.81.1.10/24 dev nc")
	for i := 1; i <= 4; i++ {
		w.ip(fmt.Sprintf("-n @core addr add 10.81.1.%d/24 dev cn", i))
	}
	for _, l := range []string{"@tower link set tn up", "@nat link set nt up", "@nat link set nc up", "@core link set cn up", "@tower route add default via 192.168.7.1"} {
		w.ip("-n " + l)
	}
	w.ip("netns exec @nat sysctl -qw net.ipv4.ip_forward=1")
	w.masquerade("masquerade fully-random")
	w.offloads("core", "cn") // datagrams that leave as one message are apart on the wire
	w.crossing("core")
	w.crossing("tower")
}

// masquerade has the router begin anew: it forgets what it knew, and gives ports
// as it is told.
func (w *world) masquerade(how string) {
	w.ip("netns exec @nat nft flush ruleset")
	w.ip("netns exec @nat nft add table ip n")
	w.ip("netns exec @nat nft add chain ip n post { type nat hook postrouting priority 100 ; }")
	w.ip("netns exec @nat nft add rule ip n post oifname nc " + how)
	w.ip("-n @nat link set nc down") // which ends every flow it masquerades
	w.ip("-n @nat link set nc up")
}

// Behind a NAT all of it works the same: the link, S1AP in UDP, and user packets
// both ways. When the NAT loses its memory, it goes on without a person.
func TestBehindNAT(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	roles := w.core()
	agent := w.tower()
	key := w.subscriber("999700000000001")
	w.browse(key, 3_000_000, 400_000)
	w.masquerade("masquerade fully-random")
	w.ip("-n @nat addr add 10.81.1.11/24 dev nc") // the provider gives another address
	w.ip("-n @nat addr del 10.81.1.10/24 dev nc")
	w.ip("-n @nat addr replace 10.81.1.11/24 dev nc")
	w.until(90*time.Second, "the link with the new address", func() bool {
		out, err := w.try("tower", "status", "--home", w.home("enb-agent"))
		b, _ := os.ReadFile(filepath.Join(w.dir, "enb-agent.log"))
		return err == nil && strings.Contains(out, "the link to billing is up") && bytes.Contains(b, []byte("10.81.1.11"))
	})
	w.browse(key, 1_000_000, 100_000)
	w.kill(agent)
	w.up(w.start("tower", "enb-agent"))
	w.kill(roles[1])
	w.up(w.start("core", "billing"))
	w.until(60*time.Second, "the link after billing was killed", func() bool {
		out, err := w.try("core", "status", "--home", w.home("billing"))
		return err == nil && strings.Contains(out, "1 linked of 1 known")
	})
	w.browse(key, 500_000, 50_000)
	w.paid()
}

// kill ends a role without a word.
func (w *world) kill(p *process) {
	w.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	p.done <- <-p.done
}

// Every role is a process with a home of its own, tower, core and internet are
// hosts of their own: phones are served, octets arrive whole, the tower is paid,
// and every role ends well when it is told to.
func TestSeparateHosts(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	roles := w.core()
	agent := w.tower()
	key := w.subscriber("999700000000001")
	w.browse(key, 3_000_000, 400_000)
	w.paid()
	for _, role := range []string{"hss-chain", "billing", "gateway", "mme"} {
		if out := w.run("core", "status", "--home", w.home(role)); !strings.Contains(out, "role       "+role) {
			t.Errorf("status of %s: %s", role, out)
		}
	}
	if out := w.run("tower", "status", "--home", w.home("enb-agent")); !strings.Contains(out, "the link to billing is up") {
		t.Errorf("status of the agent: %s", out)
	}
	w.endings(append(roles, agent), key)
	for role, word := range map[string]string{"operator": "hss-chain billing mme", "hss": "hss-chain", "hss-hpke": "hss-chain", "tower": "enb-agent", "gateway": "gateway"} {
		for _, p := range append([]*process{agent}, roles...) {
			_, err := os.Stat(filepath.Join(w.home(p.name), "keys", role))
			if has := err == nil; has != strings.Contains(" "+word+" ", " "+p.name+" ") {
				t.Errorf("%s has the key %s: %t", p.name, role, has)
			}
		}
	}
}

// endings ends every role with a phone attached. Roles are those of core, then
// the agent.
func (w *world) endings(roles []*process, key string) {
	t := w.t
	t.Helper()
	home, billing, gateway, mme, agent := roles[0], roles[1], roles[2], roles[3], roles[4]
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "before anything ends")
	w.stop(mme)
	w.says(agent, sctp.ErrShutdown.Error()) // and no abort, which eNBs do not notice
	mme = w.start("core", "mme")
	w.up(mme)
	p.gets(1, 60*time.Second, "with another MME process")

	p.tell(syscall.SIGSTOP) // a session stands, and nothing moves in it
	w.stop(gateway)
	w.even() // what the gateway counted last has reached billing
	gateway = w.start("core", "gateway")
	w.up(gateway)
	p.stop()
	p = w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 60*time.Second, "with another gateway process")

	p.tell(syscall.SIGSTOP)
	w.until(8*time.Second, "billing has heard all", func() bool {
		promised, unpaid := w.vouchers("tower", "enb-agent")
		counted := promised + unpaid // billing needs both ends' counts
		return w.carried()-counted+underWay <= 2*underWay && w.heard()-counted+underWay <= 2*underWay
	})
	w.stop(billing) // before a voucher is due
	promised, unpaid := w.vouchers("tower", "enb-agent")
	if unpaid > underWay {
		t.Errorf("billing has ended and left %d octets unpaid", unpaid)
	}
	w.stop(agent)
	agent = w.start("tower", "enb-agent")
	w.up(agent)
	if again, _ := w.vouchers("tower", "enb-agent"); again != promised {
		t.Errorf("the tower had %d octets promised, after its end it has %d", promised, again)
	}
	billing = w.start("core", "billing")
	w.up(billing)
	p.tell(syscall.SIGCONT)
	p.gets(1, 90*time.Second, "with other processes of agent and billing")

	// With a peer that hangs they end, too.
	w.freeze(billing, true)
	for _, p := range []*process{gateway, mme, agent} {
		w.ends(p, 12*time.Second)
	}
	w.freeze(billing, false)
	p.stop()
	w.stop(billing)
	w.stop(home)
}

// freeze stops a process without its knowing, or lets it go on.
func (w *world) freeze(p *process, yes bool) {
	w.t.Helper()
	s := syscall.SIGCONT
	if yes {
		s = syscall.SIGSTOP
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// stop ends a role as an init system does, and wants it to end well.
func (w *world) stop(p *process) {
	w.t.Helper()
	if err := w.ends(p, 12*time.Second); err != nil {
		w.t.Errorf("%s, told to stop: %v", p.name, err)
	}
}

// ends tells a role to end, and wants it to within a time; how it has is another
// matter.
func (w *world) ends(p *process, most time.Duration) error {
	w.t.Helper()
	start := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		w.t.Logf("%s ended in %v: %v", p.name, time.Since(start).Round(time.Millisecond), err)
		return err
	case <-time.After(most):
		w.t.Errorf("%s does not end within %v", p.name, most)
		return nil
	}
}
