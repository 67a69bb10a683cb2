package calls

import (
	"fmt"
	"net/netip"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/memnet"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// peer is a phone, an app or another network: it says what a test has it say.
type peer struct {
	r    *rig
	name string
	at   netip.AddrPort
	conn *memnet.Conn
	in   chan *sip.Message
	seq  int
}

func (r *rig) peer(name, at string) *peer {
	r.t.Helper()
	p := &peer{r: r, name: name, at: netip.MustParseAddrPort(at), in: make(chan *sip.Message, 256)}
	r.script.name(p.at, name)
	var err error
	if p.conn, err = r.net.Listen(p.at); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	r.t.Cleanup(func() { _ = p.conn.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, _, err := p.conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			m, err := sip.Parse(b[:n], false)
			if err != nil {
				r.t.Errorf("%s cannot read what the switch says: %v\n%s", name, err, b[:n])
				continue
			}
			p.in <- m
		}
	}()
	return p
}

// phone is a GSM phone in a cell of a station at an address.
func (r *rig) phone(name, at string, n int, msisdn string) *peer {
	p := r.peer(name, at)
	i := imsi(r.t, n)
	r.station(at)
	flow := txn.Flow{Transport: txn.UDP, Local: r.at, Remote: p.at}
	cell := r.book.stations[p.at.Addr()].Cell
	r.book.parties[i] = append(r.book.parties[i], Party{Access: AccessGSM, IMSI: i, Number: number(r.t, msisdn), Station: r.book.stations[p.at.Addr()].Station, Cell: cell,
		URI: sip.URI{Scheme: "sip", User: "IMSI" + i.Digits(), Host: p.at.Addr().String(), Port: int(p.at.Port())}, Target: txn.To(flow)})
	r.book.numbers[number(r.t, msisdn)] = i
	r.book.stays[i] = &stay{cell: cell}
	return p
}

// station is a trusted base station.
func (r *rig) station(at string) {
	a := netip.MustParseAddrPort(at).Addr()
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		r.t.Fatal(err)
	}
	r.book.stations[a] = Party{Access: AccessGSM, Station: "bts-" + a.String(), Cell: id.CGI{PLMN: plmn, LAC: 1000, CI: uint16(a.As4()[3])}}
}

// app is a SIP app.
func (r *rig) app(name, at string, n int, msisdn string) *peer {
	p := r.peer(name, at)
	i := imsi(r.t, n)
	flow := txn.Flow{Transport: txn.UDP, Local: r.at, Remote: p.at}
	r.book.parties[i] = append(r.book.parties[i], Party{Access: AccessApp, IMSI: i, Number: number(r.t, msisdn),
		URI: sip.URI{Scheme: "sip", User: name, Host: p.at.Addr().String(), Port: int(p.at.Port())}, Target: txn.To(flow)})
	r.book.numbers[number(r.t, msisdn)] = i
	return p
}

// say sends a message to the switch.
func (p *peer) say(m *sip.Message) {
	p.r.t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		p.r.t.Fatal(err)
	}
	if _, err := p.conn.WriteToUDPAddrPort(b, p.r.at); err != nil {
		p.r.t.Fatal(err)
	}
}

// hear waits for a message: a method or a status. 100 is passed over where it is
// not wanted; anything else is not.
func (p *peer) hear(want string) *sip.Message {
	p.r.t.Helper()
	for {
		select {
		case m := <-p.in:
			got := string(m.Method)
			if !m.IsRequest() {
				got = fmt.Sprint(m.Status)
			}
			if got == want {
				return m
			}
			if got != "100" {
				p.r.t.Fatalf("%s hears %s, want %s:\n%s", p.name, got, want, text(m))
			}
		case <-time.After(5 * time.Minute): // virtual
			p.r.t.Fatalf("%s hears nothing, want %s", p.name, want)
		}
	}
}

// silent says that nothing has come, but for 100.
func (p *peer) silent() {
	p.r.t.Helper()
	synctest.Wait()
	for {
		select {
		case m := <-p.in:
			if m.Status != 100 {
				p.r.t.Fatalf("%s hears:\n%s", p.name, text(m))
			}
		default:
			return
		}
	}
}

func text(m *sip.Message) string {
	b, err := m.Append(nil)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// acks takes the ACK of a refusal, which the next INVITE may overtake.
func (p *peer) acks() {
	p.r.t.Helper()
	synctest.Wait()
	n := 0
	for range len(p.in) {
		if m := <-p.in; m.Method == "ACK" {
			n++
		} else {
			p.in <- m
		}
	}
	if n != 1 {
		p.r.t.Fatalf("%s hears %d ACKs", p.name, n)
	}
}
