package bts_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/loopback"
	"campanile.network/internal/vault"
	"campanile.network/sdr/bts"
)

const (
	gatewayEnv   = "CAMPANILE_TEST_GATEWAY" // folder, address of the gateway, addresses of cells
	killedPhones = 100
)

func numberOf(i int) string { return strconv.Itoa(2101 + i) }

// TestGatewayProcess is a home and a gateway in a process of their own, for
// TestGatewayKilled: it ends with its standard input, or when it is killed.
func TestGatewayProcess(t *testing.T) {
	f := strings.Fields(os.Getenv(gatewayEnv))
	if len(f) < 3 {
		t.Skip("it is a part of TestGatewayKilled")
	}
	w := newWorldAt(t, f[0], netip.MustParseAddrPort(f[1]))
	for _, cell := range f[2:] {
		w.trust(netip.MustParseAddr(cell))
	}
	w.block(ledger.Update{Subscribers: subscribers(w)})
	var err error
	if w.store, err = vault.Open(filepath.Join(f[0], "sip"), vault.Options{Key: [32]byte{3}, Role: "sip", Of: "the gateway"}); err != nil {
		t.Fatal(err)
	}
	w.gateway()
	fmt.Println("\nready")
	io.Copy(io.Discard, os.Stdin)
	w.stop()
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
}

// subscribers are the ledger's records, which outlive the process.
func subscribers(w *world) (recs []ledger.Subscriber) {
	w.t.Helper()
	file := filepath.Join(w.dir, "ledger")
	if f, err := os.Open(file); err == nil {
		defer f.Close()
		if err := gob.NewDecoder(f).Decode(&recs); err != nil {
			w.t.Fatal(err)
		}
		return recs
	}
	var subs []hss.Subscription
	for i := range killedPhones {
		subs = append(subs, subscription(numberOf(i), i%2 == 1))
	}
	recs, err := w.hss.Provision(subs, "open")
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range recs {
		recs[i].Operator = "camp1op"
	}
	f, err := os.Create(file)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if err := gob.NewEncoder(f).Encode(recs); err != nil {
		w.t.Fatal(err)
	}
	return recs
}

// process is the gateway's.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
}

func startGateway(t *testing.T, env string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestGatewayProcess$", "-test.timeout=10m")
	cmd.Env, cmd.Stderr = append(os.Environ(), gatewayEnv+"="+env), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if strings.TrimSpace(line) == "ready" {
			break
		}
		if said += line; err != nil {
			t.Fatalf("the gateway does not start: %v %v\n%s", err, cmd.Wait(), said)
		}
	}
	go io.Copy(io.Discard, out) // it ends with the process
	return process{cmd, in}
}

func (p process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// The gateway's process, with its message centre and the home, is killed again and
// again while phones in cells of both programs write to each other: every message
// that was taken is stored by its phone, and once. Phones stay registered.
// CAMPANILE_TEST_BTS_MESSAGES is how many there are.
func TestGatewayKilled(t *testing.T) {
	total, err := strconv.Atoi(cmp.Or(os.Getenv("CAMPANILE_TEST_BTS_MESSAGES"), "1000"))
	if err != nil {
		t.Fatal(err)
	}
	kills := min(20, total/50)
	// The world here has no gateway of its own: only cells, and a clock.
	w := &world{t: t, at: netip.AddrPortFrom(loopback.Addr(t, 5060), 5060)}
	w.plmn, _ = id.ParsePLMN("99970")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w.ctx = ctx
	// Both are patient: a busy machine may take its time to start the next process.
	cells := []*bts.Cell{w.cell(func(o *bts.Options) { o.Memory = time.Hour }), w.cell(func(o *bts.Options) { o.Memory, o.Dialect = time.Hour, bts.YateBTS })}
	env := t.TempDir() + " " + w.at.String()
	for _, c := range cells {
		env += " " + c.Addr().Addr().String()
	}
	gateway := startGateway(t, env)
	defer func() {
		gateway.in.Close()
		if err := gateway.cmd.Wait(); err != nil {
			t.Errorf("the gateway ended: %v", err)
		}
	}()
	var phones []*bts.Phone
	for i := range killedPhones {
		p := handset(t, subscription(numberOf(i), i%2 == 1), nil)
		phones = append(phones, p)
		w.camp(cells[i/2%2], p)
	}

	w.writeAndKill(phones, total, kills, func() {
		gateway.kill()
		gateway = startGateway(t, env)
	})
	w.once(phones, total)
	t.Logf("%d messages, %d kills, %d and %d answered from a cell's memory", total, kills, cells[0].Stats().Repeated, cells[1].Stats().Repeated)
}

// writeAndKill has phones write to each other, each number to another phone, while
// the gateway is killed.
func (w *world) writeAndKill(phones []*bts.Phone, total, kills int, kill func()) {
	w.t.Helper()
	var taken atomic.Int64
	var writers sync.WaitGroup
	for i, p := range phones {
		writers.Go(func() {
			for n := i; n < total; n += killedPhones {
				if err := p.Send(w.ctx, numberOf((n/killedPhones+i+1)%killedPhones), fmt.Sprintf("message %d", n)); err != nil {
					w.t.Errorf("message %d: %v", n, err)
					return
				}
				taken.Add(1)
			}
		})
	}
	for k := range kills {
		w.until("messages are taken", func() bool { return int(taken.Load()) >= (k+1)*total/(kills+1) || w.t.Failed() })
		kill()
	}
	writers.Wait()
}

// once waits until all messages are there, and counts each.
func (w *world) once(phones []*bts.Phone, total int) {
	w.t.Helper()
	stored := func() (n int) {
		for _, p := range phones {
			n += len(p.Inbox())
		}
		return n
	}
	w.until("all are there", func() bool { return stored() >= total || w.t.Failed() })

	seen := map[string]int{}
	for _, p := range phones {
		texts, err := p.Texts()
		if err != nil {
			w.t.Error(err)
		}
		for _, s := range texts {
			seen[s]++
		}
	}
	for n := range total {
		if got := seen[fmt.Sprintf("message %d", n)]; got != 1 {
			w.t.Errorf("message %d is there %d times", n, got)
		}
	}
}
