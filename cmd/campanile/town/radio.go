package town

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

// startRadio puts the virtual eNB on the air; it finds the agent as any eNB
// would.
func (t *Town) startRadio(context.Context) error {
	if t.cfg.Radio.Kind != "virtual" {
		return nil
	}
	e, err := sim.NewENB(sim.ENBOptions{ID: t.set.enb, Name: "virtual", TAI: t.set.tai, Cell: t.set.cell.ECI,
		GTPU: netip.AddrPortFrom(t.set.eNB, gtpuPort), Inactivity: time.Duration(t.cfg.Radio.Inactivity), Log: t.role("radio")})
	if err != nil {
		return t.portTaken(err, "agent.enb")
	}
	ep, err := t.endpoint(t.set.fromENB)
	if err != nil {
		return err
	}
	t.enb = e
	to := netip.AddrPortFrom(t.set.agentRadio, s1apPort)
	t.serve("radio", func(ctx context.Context) error {
		return e.Serve(ctx, func(ctx context.Context) (sctp.Association, error) { return ep.Dial(ctx, to, sctp.DialOptions{}) })
	})
	return nil
}

// phone makes virtual phone i.
func (t *Town) phone(i int) (*sim.Phone, error) {
	imeisv, err := id.ParseIMEI(fmt.Sprintf("35%014d", i+1))
	if err != nil {
		return nil, err
	}
	p, err := sim.NewPhone(sim.PhoneOptions{SIM: t.cards[i], ENB: t.enb, IMEISV: imeisv, IP: true, PDN: t.phonesPDN(), SMS: t.centre != nil, Log: t.role("phone")})
	if err == nil {
		t.phones = append(t.phones, p)
	}
	return p, err
}

// phonesPDN is what virtual phones ask for, as phones do: whatever the network has.
func (t *Town) phonesPDN() eps.PDNType {
	if len(t.set.gatewayOptions.Networks[0].IPv6) > 0 {
		return eps.PDNTypeIPv4v6
	}
	return eps.PDNTypeIPv4
}

// startPhones switches the virtual phones on: each attaches and browses.
func (t *Town) startPhones(context.Context) error {
	for i := range t.cards {
		p, err := t.phone(i)
		if err != nil {
			return err
		}
		t.serve(fmt.Sprintf("phone %d", i+1), func(ctx context.Context) error {
			if t.enb.WaitReady(ctx) == nil {
				live(ctx, p, t.set.router, t.role("phone"), t.logEvent)
			}
			p.SwitchOff()
			return nil
		})
	}
	return nil
}

// live is a phone's day: attach, fetch and send now and then with pauses in
// which it goes idle, detach at the end.
func live(ctx context.Context, p *sim.Phone, router netip.Addr, log *slog.Logger, say func(kind, text string)) {
	attached := false
	for n := 0; ctx.Err() == nil; n++ {
		if p.State() == sim.Deregistered {
			attached = false
		}
		if !attached {
			s, err := attach(ctx, p)
			if err != nil {
				say("phone", "attach: "+strings.TrimPrefix(err.Error(), "sim: "))
				rest(ctx, 5*time.Second)
				continue
			}
			attached = true
			log.Info("attached", logs.Took, s.Took, logs.Address, s.Address)
		}
		down, up := browse(n)
		if err := transfer(ctx, p, router, down, up); err != nil && ctx.Err() == nil {
			say("phone", "transfer: "+err.Error())
			rest(ctx, 2*time.Second)
		}
		if n%24 == 23 {
			rest(ctx, 14*time.Second) // long enough to go idle and come back
		}
		rest(ctx, time.Second)
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if attached {
		p.Detach(bye, true)
	}
}

func attach(ctx context.Context, p *sim.Phone) (sim.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second) // T3410
	defer cancel()
	return p.Attach(ctx)
}

// browse gives the octets of the n-th look at the web: pages of all sizes, a
// picture now and then, and something sent.
func browse(n int) (down, up int) {
	down = 60_000 + 45_000*(n*n%7)
	if n%6 == 4 {
		down += 350_000
	}
	if n%3 != 0 {
		up = 25_000 + 30_000*(n*n%4)
	}
	return down, up
}

// transfer fetches and sends over the phone's own IP stack.
func transfer(ctx context.Context, p *sim.Phone, router netip.Addr, down, up int) error {
	h := p.Host()
	if h == nil {
		return errors.New("phone has no IP stack")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return h.DialContext(ctx, network, addr)
	}}
	defer tr.CloseIdleConnections()
	web := &http.Client{Transport: tr}
	base := "http://" + router.String()
	if down > 0 {
		n, err := ask(ctx, web, http.MethodGet, fmt.Sprintf("%s/bytes?n=%d", base, down), nil)
		if err == nil && n != int64(down) {
			err = fmt.Errorf("%d octets came, %d were asked for", n, down)
		}
		if err != nil {
			return err
		}
	}
	if up > 0 {
		if _, err := ask(ctx, web, http.MethodPost, base+"/sink", io.LimitReader(pattern{}, int64(up))); err != nil {
			return err
		}
	}
	return nil
}

func ask(ctx context.Context, web *http.Client, method, url string, body io.Reader) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, err
	}
	res, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return n, err
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// eventLog keeps the last things worth telling, for the console.
type eventLog struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	at         time.Time
	kind, text string
}

const maxEvents = 200

func (l *eventLog) add(kind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event{time.Now(), kind, text})
	if len(l.events) > maxEvents {
		l.events = append([]event(nil), l.events[len(l.events)-maxEvents:]...)
	}
}

func (l *eventLog) list() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event(nil), l.events...)
}
