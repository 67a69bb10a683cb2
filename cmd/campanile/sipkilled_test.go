package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/sdr/bts"
)

// gsmProcess is a whole network as a process on loopback addresses of its own, with
// one GSM cell, which is the test's and outlives it.
type gsmProcess struct {
	*world
	p *process
}

func (g *gsmProcess) verb(args ...string) (string, error) {
	c := exec.Command(g.self, append(args, "--home", g.home("home"))...)
	c.Env = append(os.Environ(), "CAMPANILE_TEST_AS=campanile")
	out, err := c.CombinedOutput()
	return string(out), err
}

// begin starts the process, anew after it was killed.
func (g *gsmProcess) begin() {
	g.t.Helper()
	g.p = g.startAs("home", func(args ...string) *exec.Cmd {
		c := exec.Command(g.self, args...)
		c.Env = append(os.Environ(), "CAMPANILE_TEST_AS=campanile")
		return c
	}, "up", "home")
	g.up(g.p)
}

func newGSMProcess(t *testing.T) *gsmProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &gsmProcess{world: &world{t: t, dir: t.TempDir(), self: self}}
	if out, err := g.verb("init"); err != nil {
		t.Fatal(err, out)
	}
	var own []string
	for _, n := range []int{10, 11, 12, 20, 30, 40, 50} {
		own = append(own, fmt.Sprintf("127.0.0.%d", n), fmt.Sprintf("127.0.47.%d", n))
	}
	for _, port := range []int{7100, 7101, 7103, 8080, 9100} {
		own = append(own, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.47.1:%d", port))
	}
	own = append(own, "gsm_phones = 2", "gsm_phones = 0", "grpc = '127.0.0.1:9090'", "grpc = ''",
		"stations = []", "stations = [{name = 'hill', from = ['127.0.47.41'], cells = ['03ef-000a']}]")
	f := filepath.Join(g.home("home"), "campanile.toml")
	b, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f, []byte(strings.NewReplacer(own...).Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	g.begin()
	return g
}

// phones subscribes GSM phones with numbers 99970001, 99970002, ...
func (g *gsmProcess) phones(n int) (list []*bts.Phone) {
	g.t.Helper()
	for i := range n {
		k := secret.Key128{byte(i + 1), 7}
		file := filepath.Join(g.dir, fmt.Sprint("ki", i))
		if err := os.WriteFile(file, fmt.Appendf(nil, "%x", k[:]), 0o600); err != nil {
			g.t.Fatal(err)
		}
		imsi, err := id.ParseIMSI(fmt.Sprintf("9997099%08d", i+1))
		if err != nil {
			g.t.Fatal(err)
		}
		if out, err := g.verb("subscriber", "add", imsi.Digits(), "--algorithm", "comp128v3", "--key-file", file, "--msisdn", fmt.Sprint(99970001+i)); err != nil {
			g.t.Fatal(err, out)
		}
		p, err := bts.NewPhone(bts.PhoneOptions{IMSI: imsi, Card: bts.COMP128(3, k)})
		if err != nil {
			g.t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

// The whole network is killed with kill -9, twice, while GSM phones talk and write: they
// stay registered and do not notice; each message that was taken is at its phone once;
// and calls go on to be possible.
func TestSIPKilled(t *testing.T) {
	t.Parallel()
	g := newGSMProcess(t)
	ctx, stop := context.WithTimeout(context.Background(), 4*time.Minute)
	defer stop()
	cell, err := bts.New(bts.Options{Listen: netip.MustParseAddrPort("127.0.47.41:5062"), Gateway: netip.MustParseAddrPort("127.0.47.40:5060"),
		Cell: id.CGI{PLMN: plmn(t, "99970"), LAC: 0x3ef, CI: 10}})
	if err != nil {
		t.Fatal(err)
	}
	serving, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- cell.Serve(serving) }()
	t.Cleanup(func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	p := g.phones(4)
	for i := range p {
		if err := p[i].Camp(ctx, cell); err != nil {
			t.Fatal(err)
		}
	}
	taken := map[string]bool{}
	sent := 0
	write := func(upTo int) {
		for ; sent < upTo; sent++ {
			text := fmt.Sprint("message ", sent)
			brief, done := context.WithTimeout(ctx, 20*time.Second)
			taken[text] = p[2].Send(brief, "99970004", text) == nil
			done()
		}
	}
	for kill := range 2 {
		call, err := p[0].Dial(ctx, "99970002")
		if err != nil {
			t.Fatalf("a call before kill %d: %v", kill, err)
		}
		write(sent + 5)
		g.kill(g.p)
		g.begin()
		brief, done := context.WithTimeout(ctx, 5*time.Second)
		call.Hangup(brief) // nobody knows the call any more
		if other := p[1].Calling(); other != nil {
			other.Hangup(brief)
		}
		done()
		write(sent + 5)
	}
	call, err := p[0].Dial(ctx, "99970002")
	if err != nil {
		t.Fatalf("a call after all: %v", err)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Error(err)
	}
	n := 0
	for _, ok := range taken {
		if ok {
			n++
		}
	}
	if n < 15 {
		t.Errorf("%d of %d messages were taken", n, sent)
	}
	g.until(time.Minute, "what was taken is there", func() bool { return len(p[3].Inbox()) >= n })
	got := map[string]int{}
	texts, err := p[3].Texts()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range texts {
		got[s]++
	}
	for text, ok := range taken {
		if got[text] > 1 || ok && got[text] == 0 {
			t.Errorf("%q is there %d times; taken: %v", text, got[text], ok)
		}
	}
	if s := cell.Stats(); s.Registrations != uint64(len(p)) {
		t.Errorf("%d registrations of %d phones", s.Registrations, len(p))
	}
	var list []json.RawMessage
	out, err := g.verb("sip", "registrations", "--json")
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != len(p) {
		t.Errorf("%d are registered: %v\n%s", len(list), err, out)
	}
}

func plmn(t *testing.T, digits string) id.PLMN {
	t.Helper()
	p, err := id.ParsePLMN(digits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
