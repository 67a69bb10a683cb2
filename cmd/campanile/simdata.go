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

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/sdr/sim"
)

// moved is what one phone did with --fetch and --post.
type moved struct {
	IMSI    string  `json:"imsi"`
	Address string  `json:"address"`
	IPv6    string  `json:"ipv6,omitempty"`
	DNS     string  `json:"dns,omitempty"` // as the network told with the addresses
	MTU     uint16  `json:"mtu,omitempty"` // likewise
	Echoes  int     `json:"echoes,omitempty"`
	Answer  string  `json:"answer,omitempty"` // to --post, its first octets
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
		fmt.Fprintf(w, "%s  %s %s  attached in %.0f ms, got %d octets, sent %d, in %.1f s\n", m.IMSI, m.Address, m.IPv6, m.Attach, m.Got, m.Sent, m.Seconds)
	}
}

// userPlane is the eNB's end of S1-U when phones move data.
func (f *simFlags) userPlane(local netip.Addr) netip.AddrPort {
	if !f.moves() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(local, gtpu.Port)
}

// moves says that phones move data.
func (f *simFlags) moves() bool { return f.fetch != "" || f.post != "" || len(f.ping) > 0 }

// pdnTypes are the words for what a phone asks for.
var pdnTypes = map[string]eps.PDNType{"": eps.PDNTypeIPv4, "ipv4": eps.PDNTypeIPv4, "ipv6": eps.PDNTypeIPv6, "ipv4v6": eps.PDNTypeIPv4v6}

// pings waits for the phone's addresses and has an echo from each address it is told.
func (f *simFlags) pings(ctx context.Context, p *sim.Phone, s sim.Session, m *moved) error {
	ctx, done := context.WithTimeout(ctx, 30*time.Second)
	defer done()
	if s.Address.IsValid() {
		m.Address = s.Address.String()
	}
	if s.IID != [8]byte{} {
		a, err := p.Host().Addr6(ctx)
		if err != nil {
			return err
		}
		m.IPv6 = a.String()
	}
	for _, text := range f.ping {
		to, err := netip.ParseAddr(text)
		if err != nil {
			return &usageError{err: fmt.Errorf("--ping %w", err)}
		}
		if err := p.Host().Ping(ctx, to, make([]byte, f.pingOctets)); err != nil {
			return err
		}
		m.Echoes++
	}
	return nil
}

// settle waits until nothing of a phone has moved for a moment: its last connections
// are over.
func settle(ctx context.Context, p *sim.Phone) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := [2]uint64{}
	for range 40 {
		up, down := p.Counted()
		if last == [2]uint64{up, down} {
			return
		}
		last = [2]uint64{up, down}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// move attaches phone after phone and moves data over each one's own IP stack.
func (f *simFlags) move(ctx context.Context, o sim.LoadOptions) (out []moved, err error) {
	pdn, ok := pdnTypes[f.pdn]
	if !ok {
		return nil, &usageError{err: fmt.Errorf("--pdn %q: want ipv4, ipv6 or ipv4v6", f.pdn)}
	}
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
		p, err := sim.NewPhone(sim.PhoneOptions{SIM: sim.SIM{IMSI: imsi, K: o.K, OPc: o.OPc}, ENB: o.ENBs[i%len(o.ENBs)], IMEISV: imeisv, PDN: pdn, IP: true})
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
	m.Attach, m.MTU, m.DNS = float64(s.Took)/float64(time.Millisecond), s.MTU, fmt.Sprint(s.DNS)
	if err := f.pings(ctx, p, s, &m); err != nil {
		return m, err
	}
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
		answer, err := io.ReadAll(io.LimitReader(res.Body, 200))
		res.Body.Close()
		if err != nil {
			return m, err
		}
		m.Sent, m.Answer = f.octets, string(answer)
	}
	m.Seconds = time.Since(start).Seconds()
	settle(ctx, p)
	bye, done := context.WithTimeout(ctx, 15*time.Second)
	defer done()
	err = p.Detach(bye, false)
	m.Out, m.In = p.Counted()
	return m, err
}

// zeros is an endless row of zero octets.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
