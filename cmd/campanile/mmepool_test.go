package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair makes the core's MME one of two, by what an operator pastes: each has the line that the
// other's campanile mme member prints. The second's home is mme2.
func (w *world) pair(roles []*process) (a, b *process) {
	t := w.t
	t.Helper()
	w.ip("-n @core addr add 10.81.1.5/24 dev ct")
	w.edit("hss-chain", "more_mmes = []", "more_mmes = ['10.81.1.5']") // for what is invited from now on
	line := strings.TrimSpace(w.run("core", "invite", "--role", "mme", "--home", w.home("hss-chain")))
	w.run("core", "init", "--role", "mme", "--home", w.home("mme2"), "--invite", line, "--address", "10.81.1.5")
	key, err := os.ReadFile(filepath.Join(w.home("hss-chain"), "keys", "operator"))
	if err == nil {
		err = os.WriteFile(filepath.Join(w.home("mme2"), "keys", "operator"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.edit("gateway", "more_mmes = []", "more_mmes = ['10.81.1.5']")
	w.edit("mme2", "code = 1\n", "code = 2\n")
	if _, err := w.try("core", "mme", "member", "--home", w.home("mme2")); err == nil || !strings.Contains(err.Error(), "pool.listen is empty") {
		t.Errorf("a member that does not listen: %v", err)
	}
	lines := map[string]string{}
	for role, address := range map[string]string{"mme": "10.81.1.3", "mme2": "10.81.1.5"} {
		b, err := os.ReadFile(filepath.Join(w.home(role), "campanile.toml"))
		if err != nil {
			t.Fatal(err)
		}
		head, tail, _ := strings.Cut(string(b), "[pool]")
		tail = strings.Replace(tail, "listen = ''", "listen = '"+address+":7102'", 1)
		if err := os.WriteFile(filepath.Join(w.home(role), "campanile.toml"), []byte(head+"[pool]"+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		lines[role] = strings.TrimSpace(w.run("core", "mme", "member", "--home", w.home(role)))
	}
	for role, other := range map[string]string{"mme": "mme2", "mme2": "mme"} {
		w.edit(role, "members = []", "members = ['"+lines[other]+"']")
	}
	for _, p := range roles[2:] { // gateway and MME
		w.kill(p)
	}
	w.up(w.start("core", "gateway"))
	a, b = w.start("core", "mme"), w.startIn("core", "mme", "mme2")
	w.up(a)
	w.up(b)
	for _, role := range []string{"mme", "mme2"} {
		w.knows(role, "is there since")
	}
	return a, b
}

// knows waits until an MME's status says something of its pool.
func (w *world) knows(role, what string) {
	w.t.Helper()
	w.until(40*time.Second, "status of "+role+": "+what, func() bool {
		out, err := w.try("core", "status", "--home", w.home(role))
		return err == nil && strings.Contains(out, what)
	})
}

// taken is how many phones an MME's processes have taken over.
func (w *world) taken(p *process) int {
	w.t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Count(string(b), `msg="procedure done" role=mme procedure="take over"`)
}

// One of two MMEs is killed with kill -9 while phones move data: they go on with the other, with
// address and without an attach; the first comes back, and they with it when the second ends.
func TestPoolMMEKilled(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	a, b := w.pair(w.core())
	w.tower()
	key := w.subscriber("999700000000001")
	w.run("core", "subscriber", "add", "999700000000002", "--key-file", key, "--home", w.home("hss-chain"))
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "at first")
	p.tell(syscall.SIGUSR1)
	p.gets(2, 30*time.Second, "at first")
	w.knows("mme2", "copies of 2 phones")
	if n := w.attaches(a); n != 2 {
		t.Fatalf("%d attaches at the first MME", n)
	}

	killed := time.Now()
	w.kill(a)
	w.until(3*time.Minute, "the phones have gone to the second", func() bool { return w.taken(b) == 2 })
	t.Logf("taken over %v after the kill", time.Since(killed).Round(time.Second))
	for n := 1; n <= 2; n++ {
		p.gets(n, 60*time.Second, "with the second MME")
	}
	w.knows("mme2", "is away since")

	a = w.start("core", "mme")
	w.up(a)
	w.knows("mme", "copies of 2 phones")
	w.until(60*time.Second, "the first has given them up", func() bool {
		out, err := w.try("core", "ue", "list", "--home", w.home("mme"))
		return err == nil && strings.Contains(out, "no phone")
	})
	for n := 1; n <= 2; n++ {
		p.gets(n, 30*time.Second, "when the first MME is back")
	}

	before := w.taken(a)
	w.stop(b) // as for another version of it
	w.until(60*time.Second, "the phones have gone to the first", func() bool { return w.taken(a)-before == 2 })
	for n := 1; n <= 2; n++ {
		p.gets(n, 60*time.Second, "with the first MME again")
		if k := p.count(n, "attached"); k != 1 {
			t.Errorf("phone %d has attached %d times", n, k)
		}
	}
	if w.attaches(a) != 2 || w.attaches(b) != 0 {
		t.Errorf("%d attaches at the first MME, %d at the second", w.attaches(a), w.attaches(b))
	}
	p.stop()
	for n := 1; n <= 2; n++ {
		if p.count(n, "refused 0 messages") != 1 {
			t.Errorf("phone %d has refused something of the network", n)
		}
	}
}

// What may change while an MME runs is read again at SIGHUP, and by campanile mme reload; what
// may not is named. A mistake changes nothing. Drained is what the operator says, not the file.
func TestMMEReconfigured(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.cable()
	mme := w.core()[3]
	w.tower()
	key := w.subscriber("999700000000001")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "at first")

	w.edit("mme", "name = 'campanile'", "name = 'tower of bells'", "capacity = 255", "capacity = 7", "code = 1\n", "code = 9\n")
	hangup := func() {
		t.Helper()
		if err := mme.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup()
	w.says(mme, `capacity 7, shared PLMNs []; not before the next start: mme.code`)
	w.says(mme, `msg="MME reconfigured" role=mme name="tower of bells" capacity=7`)
	w.says(mme, `msg="MME configuration update done"`)
	w.edit("mme", "capacity = 7", "capacity = 700")
	hangup()
	w.says(mme, "configuration is not taken, all stays as it is")
	w.says(mme, "mme.capacity: 700; write 1 to 255")
	if _, err := w.try("core", "mme", "reload", "--home", w.home("mme")); err == nil || !strings.Contains(err.Error(), "mme.capacity: 700") {
		t.Errorf("reload with a mistake: %v", err)
	}
	if out := w.run("core", "mme", "drain", "--home", w.home("mme")); !strings.Contains(out, "phones that are here stay") {
		t.Errorf("drain: %s", out)
	}
	w.knows("mme", "drained")
	w.edit("mme", "capacity = 700", "capacity = 8")
	if out := w.run("core", "mme", "reload", "--home", w.home("mme")); !strings.Contains(out, "capacity 8") || !strings.Contains(out, "still drained") {
		t.Errorf("reload: %s", out)
	}
	w.run("core", "mme", "undrain", "--home", w.home("mme"))
	w.says(mme, `msg="MME reconfigured" role=mme name="tower of bells" capacity=8`)
	if b, err := os.ReadFile(mme.log); err != nil || strings.Count(string(b), `msg="MME reconfigured"`) != 3 {
		t.Errorf("not reconfigured three times: %v", err)
	}
	p.gets(1, 30*time.Second, "after all that")
	if n := w.attaches(mme); n != 1 {
		t.Errorf("the phone has attached %d times", n)
	}
}
