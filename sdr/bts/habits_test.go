package bts_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/memnet"
	"campanile.network/sdr/bts"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
	"campanile.network/wire/sip/txn"
)

// bench is a cell in virtual time, with one phone, and a gateway that a test plays
// by hand.
type bench struct {
	t     *testing.T
	gw    *txn.Endpoint
	cell  *bts.Cell
	phone *bts.Phone
	net   *memnet.Network
	seq   uint32
}

var (
	benchGW   = netip.MustParseAddrPort("10.0.0.1:5060")
	benchCell = netip.MustParseAddrPort("10.0.0.2:5062")
)

const benchIMSI = "999700000000001"

// play runs a test in virtual time. The gateway answers 200 to all it is asked.
func play(t *testing.T, o bts.Options, phone bts.PhoneOptions, script func(*bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, net: memnet.New(nil)}
		conn, err := b.net.Listen(benchGW)
		if err != nil {
			t.Fatal(err)
		}
		if b.gw, err = txn.Listen(txn.Options{Packets: []txn.PacketConn{conn}, Host: benchGW.Addr().String()}); err != nil {
			t.Fatal(err)
		}
		if o.Packets, err = b.net.Listen(benchCell); err != nil {
			t.Fatal(err)
		}
		port := uint16(10000)
		o.Media = func() (txn.PacketConn, error) {
			port += 2
			return b.net.Listen(netip.AddrPortFrom(benchCell.Addr(), port))
		}
		plmn, _ := id.ParsePLMN("99970")
		o.Gateway, o.Cell = benchGW, id.CGI{PLMN: plmn, LAC: 1, CI: 2}
		if b.cell, err = bts.New(o); err != nil {
			t.Fatal(err)
		}
		phone.IMSI, _ = id.ParseIMSI(benchIMSI)
		phone.Card = bts.COMP128(3, secret.Key128{1})
		if b.phone, err = bts.NewPhone(phone); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- b.cell.Serve(ctx) }()
		go func() {
			done <- b.gw.Serve(ctx, func(_ context.Context, s *txn.Server) {
				if s.Request.Method != sip.MethodAck {
					s.Reply(200, "")
				}
			})
		}()
		if err := b.phone.Camp(ctx, b.cell); err != nil {
			t.Error(err)
		}
		script(b)
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// request begins a request to a user of the cell, with a tag for the sender.
func (b *bench) request(method sip.Method, user, tag string) *sip.Message {
	b.seq++
	m := sip.NewRequest(method, sip.URI{Scheme: "sip", User: user, Host: benchCell.Addr().String(), Port: int(benchCell.Port())})
	m.From = sip.Address{URI: sip.URI{Scheme: "sip", User: "2102", Host: "gw"}}
	m.From.SetTag(tag)
	m.To, m.CallID, m.CSeq.Seq = sip.Address{URI: m.URI}, "call-"+tag, b.seq
	m.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", Host: benchGW.Addr().String(), Port: int(benchGW.Port())}}}
	return m
}

func (b *bench) send(m *sip.Message) (*sip.Message, *txn.Client) {
	b.t.Helper()
	c := b.gw.Request(b.t.Context(), m, txn.Target{Transport: txn.UDP, Addr: benchCell})
	r, err := c.Final(b.t.Context())
	if err != nil {
		b.t.Fatalf("%s: %v", m.Method, err)
	}
	return r, c
}

// deliver is a MESSAGE with an SMS-DELIVER, as hexadecimal digits or octets.
func (b *bench) deliver(user, tag, text string, octets bool) *sip.Message {
	b.t.Helper()
	parts, err := sms.Split(text, sms.SplitOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	from, _ := sms.NewAddress("2102")
	d, err := sms.Append(nil, &sms.Deliver{Originator: from, DCS: parts[0].DCS, User: parts[0].User, Timestamp: sms.NewTimestamp(time.Now())})
	if err != nil {
		b.t.Fatal(err)
	}
	rp, err := sms.Append(nil, &sms.RPData{Direction: sms.Downlink, Reference: 7, Originator: from, User: d})
	if err != nil {
		b.t.Fatal(err)
	}
	m := b.request(sip.MethodMessage, user, tag)
	if m.ContentType, m.Body = "application/vnd.3gpp.sms", rp; !octets {
		m.Body = []byte(hex.EncodeToString(rp))
	}
	return m
}

// What a cell answers to messages: only what a phone has stored is confirmed, what
// comes again within 64*T1 is confirmed again and not stored twice, and what the
// cell's program cannot read is 400.
func TestMessagesByHand(t *testing.T) {
	play(t, bts.Options{}, bts.PhoneOptions{}, func(b *bench) {
		const user = "IMSI" + benchIMSI
		for _, c := range []struct {
			what string
			m    *sip.Message
			want int
		}{
			{"to nobody", b.deliver("IMSI999700000000002", "a", "x", false), 404},
			{"to a number", b.deliver("2101", "b", "x", false), 404},
			{"octets", b.deliver(user, "c", "x", true), 400},
			{"digits", b.deliver(user, "d", "one", false), 200},
		} {
			if r, _ := b.send(c.m); r.Status != c.want {
				b.t.Errorf("%s: %d, want %d", c.what, r.Status, c.want)
			}
		}
		text := b.request(sip.MethodMessage, user, "e")
		text.ContentType, text.Body = "text/plain", []byte("two")
		html := text.Clone()
		html.ContentType, html.CallID = "text/html", "call-f"
		if r, _ := b.send(text); r.Status != 200 {
			b.t.Errorf("a text: %d", r.Status)
		}
		if r, _ := b.send(html); r.Status != 415 {
			b.t.Errorf("a page: %d", r.Status)
		}
		again := b.deliver(user, "g", "three", false)
		for range 3 { // each time by a branch of its own
			if r, _ := b.send(again.Clone()); r.Status != 200 {
				b.t.Errorf("again: %d", r.Status)
			}
		}
		if s := b.cell.Stats(); s.Stored != 3 || s.Repeated != 2 {
			b.t.Errorf("%+v", s)
		}
		time.Sleep(33 * time.Second)
		b.send(again.Clone())
		if texts, err := b.phone.Texts(); err != nil || strings.Join(texts, " ") != "one two three three" {
			b.t.Errorf("%q, %v", texts, err) // no cell remembers for ever, and a phone does not look
		}
	})
}

// What a cell answers to calls.
func TestCallsByHand(t *testing.T) {
	offer := func(names ...string) []byte {
		var codecs []sdp.Codec
		for _, n := range names {
			codecs = append(codecs, map[string]sdp.Codec{"GSM": {PT: 3, Name: "GSM", Clock: 8000}, "PCMA": {PT: 8, Name: "PCMA", Clock: 8000}}[n])
		}
		body, _ := sdp.Offer(sdp.Origin{ID: "1", Version: "1", Address: "10.0.0.1"}, []sdp.Line{{Addr: netip.MustParseAddrPort("10.0.0.1:4000"), Codecs: codecs}}).Bytes()
		return body
	}
	const user = "IMSI" + benchIMSI
	play(t, bts.Options{}, bts.PhoneOptions{Ring: 3 * time.Second}, func(b *bench) {
		invite := func(user, tag string, body []byte) *sip.Message {
			m := b.request(sip.MethodInvite, user, tag)
			m.ContentType, m.Body = "application/sdp", body
			return m
		}
		if r, _ := b.send(invite("2101", "a", offer("GSM"))); r.Status != 404 {
			b.t.Errorf("to a number: %d", r.Status)
		}
		if r, _ := b.send(invite(user, "b", offer("PCMA"))); r.Status != 488 {
			b.t.Errorf("without GSM: %d", r.Status)
		}
		began := time.Now()
		m := invite(user, "c", offer("PCMA", "GSM"))
		r, c := b.send(m)
		if r.Status != 200 || time.Since(began) < 3*time.Second {
			b.t.Fatalf("%d after %v", r.Status, time.Since(began))
		}
		ack := sip.NewRequest(sip.MethodAck, r.Contact[0].URI)
		ack.From, ack.To, ack.CallID, ack.CSeq.Seq = m.From, r.To, m.CallID, m.CSeq.Seq
		if err := c.Ack(ack, txn.Target{Transport: txn.UDP, Addr: benchCell}); err != nil {
			b.t.Fatal(err)
		}
		if r, _ := b.send(invite(user, "d", offer("GSM"))); r.Status != 486 {
			b.t.Errorf("to a phone in a call: %d", r.Status)
		}
		within := func(method sip.Method) int {
			x := b.request(method, user, "c")
			x.To = r.To
			y, _ := b.send(x)
			return y.Status
		}
		for _, c := range []struct {
			method sip.Method
			want   int
		}{{sip.MethodInvite, 488}, {sip.MethodInfo, 200}, {sip.MethodUpdate, 501}, {sip.MethodBye, 200}, {sip.MethodBye, 481}} {
			if got := within(c.method); got != c.want {
				b.t.Errorf("%s in the call: %d, want %d", c.method, got, c.want)
			}
		}
		if b.phone.Calling() != nil {
			b.t.Error("the phone is in a call that has ended")
		}
		// The caller gives up while it rings.
		ctx, cancel := context.WithCancel(b.t.Context())
		t := b.gw.Request(ctx, invite(user, "e", nil), txn.Target{Transport: txn.UDP, Addr: benchCell})
		time.Sleep(time.Second)
		t.Cancel()
		if r, err := t.Final(b.t.Context()); err != nil || r.Status != 487 {
			b.t.Errorf("cancelled: %+v, %v", r, err)
		}
		cancel()
	})
}

// What OpenBTS of old writes that no SIP stack would, on the wire.
func TestOddities(t *testing.T) {
	for _, d := range []bts.Dialect{bts.OpenBTS, bts.OpenBTSOld} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			var wire []string
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(func(from, _ netip.AddrPort, b []byte) int {
					if from == benchCell {
						wire = append(wire, string(b))
					}
					return 1
				})
				conn, _ := n.Listen(benchCell)
				peer, _ := n.Listen(benchGW)
				gw, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{peer}, Host: "10.0.0.1"})
				if err != nil {
					t.Fatal(err)
				}
				plmn, _ := id.ParsePLMN("99970")
				c, err := bts.New(bts.Options{Dialect: d, Packets: conn, Gateway: benchGW, Cell: id.CGI{PLMN: plmn}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 2)
				go func() { done <- c.Serve(ctx) }()
				go func() { done <- gw.Serve(ctx, func(_ context.Context, s *txn.Server) { s.Reply(200, "") }) }()
				imsi, _ := id.ParseIMSI(benchIMSI)
				p, _ := bts.NewPhone(bts.PhoneOptions{IMSI: imsi, Card: bts.COMP128(3, secret.Key128{1})})
				if err := p.Camp(ctx, c); err != nil {
					t.Error(err)
				}
				short, cancel := context.WithTimeout(ctx, time.Second)
				p.USSD(short, "*100#") // no answer comes
				cancel()
				stop()
				<-done
				<-done
			})
			all := strings.Join(wire, "\n")
			old := d == bts.OpenBTSOld
			for text, want := range map[string]bool{
				";branch\r\n": old, ";branch=z9hG4bK": !old, "From: IMSI" + benchIMSI + " <": old, "rport": false,
				"INVITE sip:*100#;phone-context=irrelevant.net@10.0.0.1:5060;user=dialstring SIP/2.0\r\n": true,
				"IMSI=" + benchIMSI: !old, "cgi-3gpp=9997000000000": true, ";expires=5400": true,
			} {
				if strings.Contains(all, text) != want {
					t.Errorf("%q: want %t in\n%s", text, want, all)
				}
			}
		})
	}
}
