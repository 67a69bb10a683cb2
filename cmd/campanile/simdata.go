package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/sdr/sim"
)

// moved is what one phone did with --fetch and --post.
type moved struct {
	IMSI    string  `json:"imsi"`
	Address string  `json:"address"`
	Attach  float64 `json:"attach_ms"`
	Got     int64   `json:"got"` // octets
	SHA256  string  `json:"sha256,omitempty"`
	Sent    int64   `json:"sent"`
	Seconds float64 `json:"seconds"`
	In      uint64  `json:"ip_octets_in"`  // at the phone's IP interface, headers included
	Out     uint64  `json:"ip_octets_out"` // likewise
}

func printMoved(w io.Writer, all []moved) {
	for _, m := range all {
		fmt.Fprintf(w, "%s  %s  attached in %.0f ms, got %d octets, sent %d, in %.1f s\n", m.IMSI, m.Address, m.Attach, m.Got, m.Sent, m.Seconds)
	}
}

// userPlane is the eNB's end of S1-U when phones move data.
func (f *simFlags) userPlane(local netip.Addr) netip.AddrPort {
	if f.fetch == "" && f.post == "" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(local, gtpu.Port)
}

// move attaches phone after phone and moves data over each one's own IP stack.
func (f *simFlags) move(ctx context.Context, o sim.LoadOptions) (out []moved, err error) {
	prefix := o.First.Digits()[:15-9]
	n := 0
	if _, err := fmt.Sscanf(o.First.Digits()[15-9:], "%d", &n); err != nil {
		return nil, err
	}
	for i := range f.ues {
		imsi, err := id.ParseIMSI(fmt.Sprintf("%s%09d", prefix, n+i))
		if err != nil {
			return out, err
		}
		imeisv, err := id.ParseIMEI(fmt.Sprintf("35%014d", i+1))
		if err != nil {
			return out, err
		}
		p, err := sim.NewPhone(sim.PhoneOptions{SIM: sim.SIM{IMSI: imsi, K: o.K, OPc: o.OPc}, ENB: o.ENBs[i%len(o.ENBs)], IMEISV: imeisv, IP: true})
		if err != nil {
			return out, err
		}
		m, err := f.moveOne(ctx, p)
		m.IMSI = imsi.Digits()
		p.SwitchOff()
		if err != nil {
			return out, fmt.Errorf("phone %d: %w", i+1, err)
		}
		out = append(out, m)
	}
	return out, nil
}

func (f *simFlags) moveOne(ctx context.Context, p *sim.Phone) (m moved, err error) {
	attaching, done := context.WithTimeout(ctx, 30*time.Second)
	s, err := p.Attach(attaching)
	done()
	if err != nil {
		return m, err
	}
	m.Address, m.Attach = s.Address.String(), float64(s.Took)/float64(time.Millisecond)
	start := time.Now()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return p.Host().DialContext(ctx, network, addr)
	}}
	web := &http.Client{Transport: tr, Timeout: 5 * time.Minute}
	if f.fetch != "" {
		res, err := web.Get(f.fetch)
		if err != nil {
			return m, err
		}
		h := sha256.New()
		m.Got, err = io.Copy(h, res.Body)
		res.Body.Close()
		if err != nil {
			return m, err
		}
		m.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	if f.post != "" {
		res, err := web.Post(f.post, "application/octet-stream", io.LimitReader(zeros{}, f.octets))
		if err != nil {
			return m, err
		}
		res.Body.Close()
		m.Sent = f.octets
	}
	m.Seconds = time.Since(start).Seconds()
	counts := p.Host().Counters()
	m.In, m.Out = counts.InOctets, counts.OutOctets
	bye, done := context.WithTimeout(ctx, 15*time.Second)
	defer done()
	return m, p.Detach(bye, false)
}

// zeros is an endless row of zero octets.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
