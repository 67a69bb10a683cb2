package smsc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// centreEnv tells a copy of this test's program to be a centre over a folder, whose
// phones are at its standard input and output, and which is killed.
const centreEnv = "CAMPANILE_TEST_SMSC_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(centreEnv); dir != "" {
		if err := centreProcess(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// frame is what the phones and the centre tell each other, one a line.
type frame struct {
	Submit    int    `json:",omitempty"` // a phone submits: its number of the request
	Submitted int    `json:",omitempty"` // what came of it
	Deliver   int    `json:",omitempty"` // a message for a phone
	Answer    int    `json:",omitempty"` // the phone's answer
	Ready     bool   `json:",omitempty"`
	Drain     bool   `json:",omitempty"` // say so when nothing waits any more
	Phone     int    `json:",omitempty"`
	RP        []byte `json:",omitempty"`
	Key       smsc.Key
	Path      string `json:",omitempty"`
	Err       string `json:",omitempty"`
}

const notThere = "not registered"

// wire is one side of a pair of pipes.
type wire struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (w *wire) send(f frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.enc.Encode(f)
}

func phoneNumber(i int) smsc.Sender {
	return smsc.Sender{IMSI: must(id.ParseIMSI(fmt.Sprintf("00101%010d", i))), MSISDN: must(id.ParseMSISDN(fmt.Sprintf("88299%07d", i)))}
}

func numberOf(digits, prefix string) int {
	var n int
	fmt.Sscanf(strings.TrimLeft(strings.TrimPrefix(digits, prefix), "0"), "%d", &n)
	return n
}

// allNumbers has a subscriber for each number of ours.
type allNumbers struct{}

func (allNumbers) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	return phoneNumber(numberOf(n.Digits(), "88299")).IMSI, nil
}

func (allNumbers) Number(_ context.Context, i id.IMSI) (id.MSISDN, error) {
	return phoneNumber(numberOf(i.Digits(), "00101")).MSISDN, nil
}

// pipePath brings messages to phones at the other end of the pipes: those with an
// even number by "sip", the others by "nas".
type pipePath struct {
	name string
	odd  int
	out  *wire

	mu      sync.Mutex
	last    int
	answers map[int]chan frame
}

func (p *pipePath) Registered(i id.IMSI) (time.Time, bool) {
	return time.Time{}, numberOf(i.Digits(), "00101")%2 == p.odd
}

func (p *pipePath) Delivered(smsc.Delivery) {}

func (p *pipePath) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	if _, ok := p.Registered(d.IMSI); !ok {
		return nil, smsc.ErrNotRegistered
	}
	ch := make(chan frame, 1)
	p.mu.Lock()
	p.last += 2
	n := p.last + p.odd
	p.answers[n] = ch
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.answers, n)
		p.mu.Unlock()
	}()
	if err := p.out.send(frame{Deliver: n, Phone: numberOf(d.IMSI.Digits(), "00101"), RP: must(sms.Append(nil, &d.Data)), Key: d.Key, Path: p.name}); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case f := <-ch:
		switch f.Err {
		case "":
			return sms.ParseRP(sms.Uplink, f.RP)
		case notThere:
			return nil, smsc.ErrNotRegistered
		}
		return nil, errors.New(f.Err)
	}
}

func (p *pipePath) answer(f frame) {
	p.mu.Lock()
	ch := p.answers[f.Answer]
	p.mu.Unlock()
	if ch != nil {
		ch <- f
	}
}

// centreProcess serves until its input ends.
func centreProcess(dir string, in io.Reader, out io.Writer) error {
	w := &wire{enc: json.NewEncoder(out)}
	paths := []*pipePath{{name: "sip", odd: 0, out: w, answers: map[int]chan frame{}}, {name: "nas", odd: 1, out: w, answers: map[int]chan frame{}}}
	c, err := smsc.New(smsc.Options{Dir: dir, Key: [32]byte{3}, Address: must(sms.NewAddress("+882990000")), Directory: allNumbers{},
		Paths:  []smsc.NamedPath{{Name: "sip", Path: paths[0]}, {Name: "nas", Path: paths[1]}},
		Limits: smsc.Limits{PerSender: 1 << 20, Burst: 1 << 20, Parallel: 256}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx) }()
	var submits sync.WaitGroup
	for d := json.NewDecoder(in); ; {
		var f frame
		if err := d.Decode(&f); err != nil {
			submits.Wait()
			cancel()
			return <-served
		}
		switch {
		case f.Submit != 0:
			submits.Go(func() {
				rp, err := c.Submit(ctx, phoneNumber(f.Phone), must(sms.ParseRP(sms.Uplink, f.RP)))
				a := frame{Submitted: f.Submit, Phone: f.Phone}
				if err != nil {
					a.Err = err.Error()
				} else {
					a.RP = must(sms.Append(nil, rp))
				}
				w.send(a)
			})
		case f.Answer != 0:
			paths[f.Phone%2].answer(f)
		case f.Drain:
			submits.Go(func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for c.Stats().Waiting > 0 {
					<-tick.C
				}
				w.send(f)
			})
		case f.Ready:
			c.Ready(phoneNumber(f.Phone).IMSI)
		}
	}
}
