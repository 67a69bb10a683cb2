package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/sim"
)

// livingPhone is a process: an eNB and a phone that somebody uses without a
// pause, and with every SIGUSR1 another of the next IMSI. Each says every page it
// got, and attaches whenever it is not, as a phone does that is switched on.
func livingPhone(local, enb, imsi, keyFile, url string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	f := simFlags{mme: "127.0.0.11", local: local, transport: "udp", plmn: "999/70", enb: enb, imsi: imsi, keyFile: keyFile, fetch: url, tac: 7, ues: 1, enbs: 1}
	_, err := f.run(ctx, &globals{level: "warn", format: "text"}, func(ctx context.Context, o sim.LoadOptions) (r sim.LoadReport, err error) {
		more := make(chan os.Signal, 4)
		signal.Notify(more, syscall.SIGUSR1)
		var phones sync.WaitGroup
		defer phones.Wait()
		for n := 1; ; n++ {
			phones.Go(func() {
				if err := browseOn(ctx, o, n, url); err != nil {
					fmt.Println(n, "ended:", err)
				}
			})
			select {
			case <-more:
			case <-ctx.Done():
				return r, nil
			}
		}
	})
	if err != nil && ctx.Err() == nil {
		fmt.Println("ended:", err)
		return 1
	}
	return 0
}

func browseOn(ctx context.Context, o sim.LoadOptions, n int, url string) error {
	imeisv, err := id.ParseIMEI(fmt.Sprintf("35%014d", n))
	if err != nil {
		return err
	}
	first := o.First.Digits()
	last, err := strconv.Atoi(first[10:])
	if err != nil {
		return err
	}
	imsi, err := id.ParseIMSI(fmt.Sprintf("%s%05d", first[:10], last+n-1))
	if err != nil {
		return err
	}
	p, err := sim.NewPhone(sim.PhoneOptions{SIM: sim.SIM{IMSI: imsi, K: o.K, OPc: o.OPc}, ENB: o.ENBs[0], IMEISV: imeisv, IP: true})
	if err != nil {
		return err
	}
	defer p.SwitchOff()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	web := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if h := p.Host(); h != nil {
			return h.DialContext(ctx, network, addr)
		}
		return nil, errors.New("not attached")
	}}}
	for {
		var err error
		if p.State() == sim.Deregistered {
			attaching, done := context.WithTimeout(ctx, 20*time.Second)
			_, err = p.Attach(attaching)
			done()
			if err == nil {
				fmt.Println(n, "attached")
			}
		} else {
			var octets int64
			if octets, err = get(&web, url); err == nil {
				fmt.Println(n, "got", octets)
			}
		}
		if err != nil && ctx.Err() == nil {
			fmt.Println(n, "failed:", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			bye, done := context.WithTimeout(context.Background(), 5*time.Second)
			defer done()
			err := p.Detach(bye, false)
			fmt.Println(n, "refused", refused(p.Stats()), "messages of the network")
			return err
		}
	}
}

// refused is how often a phone would not accept what came from the network.
func refused(s *sim.PhoneStats) uint64 {
	return s.MAC.Load() + s.Replayed.Load() + s.Plain.Load() + s.Capabilities.Load() + s.Changed.Load() + s.Undecodable.Load()
}

func get(web *http.Client, url string) (int64, error) {
	res, err := web.Get(url)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(io.Discard, res.Body)
}

// phone is a process of living phones.
type phone struct {
	w    *world
	cmd  *exec.Cmd
	stop func()

	mu    sync.Mutex
	lines []string
}

// phone starts one at a tower.
func (w *world) phone(ns, local, enb, imsi, keyFile string) *phone {
	w.t.Helper()
	c := w.command(ns, "phone", local, enb, imsi, keyFile, "http://10.81.2.2:8000/?n=20000")
	p := &phone{w: w, cmd: c}
	c.Stdout, c.Stderr = p, os.Stderr
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	p.stop = sync.OnceFunc(func() {
		c.Process.Signal(syscall.SIGCONT)
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			c.Process.Kill()
			<-done
		}
	})
	w.t.Cleanup(func() {
		p.stop()
		if w.t.Failed() {
			w.t.Logf("phone %s: %s", imsi, strings.Join(p.lines[max(0, len(p.lines)-30):], "; "))
		}
	})
	return p
}

// Write takes what the process says.
func (p *phone) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, strings.Split(strings.TrimSpace(string(b)), "\n")...)
	return len(b), nil
}

// count is how often the nth phone has said so.
func (p *phone) count(n int, what string) (times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if strings.HasPrefix(l, fmt.Sprint(n, " ")) && strings.Contains(l, what) {
			times++
		}
	}
	return times
}

// gets waits until the nth phone has got pages anew.
func (p *phone) gets(n int, most time.Duration, when string) {
	p.w.t.Helper()
	start, had := time.Now(), p.count(n, "got")
	p.w.until(most, fmt.Sprintf("phone %d gets pages %s", n, when), func() bool { return p.count(n, "got") >= had+3 })
	p.w.t.Logf("phone %d gets pages %s: after %v, attached %d times", n, when, time.Since(start).Round(100*time.Millisecond), p.count(n, "attached"))
}

// says waits until the nth phone has said something.
func (p *phone) says(n int, most time.Duration, what string) {
	p.w.t.Helper()
	p.w.until(most, fmt.Sprintf("phone %d says %q", n, what), func() bool { return p.count(n, what) > 0 })
}

// tell signals the process.
func (p *phone) tell(s syscall.Signal) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.t.Fatal(err)
	}
}
