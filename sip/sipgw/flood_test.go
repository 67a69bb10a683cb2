package sipgw

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// A flood of registrations and calls with forged senders: an app that is registered
// stays so, registers again and writes, what the flood leaves behind is bounded, and
// goes away.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newDatagrams()
		e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{wire}, Host: "gw.example"})
		if err != nil {
			t.Fatal(err)
		}
		h := newFakeHome()
		h.add(t, bob, "4915100002", "secret of bob")
		plmn, _ := id.ParsePLMN("00101")
		centre := &centre{}
		g, err := New(Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm, Messages: centre, Policy: Policy{MaxChallenges: 4000}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Serve(ctx) }()
		n := 0
		ask := func(method, more string) *sip.Message {
			t.Helper()
			n++
			text := fmt.Sprintf("%[1]s sip:4915100001@campanile.test SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf%[2]d\nFrom: <sip:4915100002@campanile.test>;tag=f%[2]d\n"+
				"To: <sip:4915100002@campanile.test>\nCall-ID: f\nCSeq: %[2]d %[1]s\nMax-Forwards: 70\n%[3]s\n", method, n, more)
			wire.in <- datagram{[]byte(strings.ReplaceAll(text, "\n", "\r\n")), there}
			synctest.Wait()
			for _, b := range wire.take() {
				if m, err := sip.Parse(b, false); err == nil && m.CallID == "f" && m.Status > 100 {
					return m
				}
			}
			t.Fatalf("%s is not answered", method)
			return nil
		}
		forged := 0
		flood := func(count int) {
			for range count {
				forged++
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+uint32(forged)*7))), 5060)
				method := [...]string{"REGISTER", "INVITE", "REGISTER", "MESSAGE"}[forged%4]
				text := fmt.Sprintf("%[1]s sip:campanile.test SIP/2.0\nVia: SIP/2.0/UDP %[2]v;branch=z9hG4bKx%[3]d\nFrom: <sip:49151%05[3]d@campanile.test>;tag=x\n"+
					"To: <sip:4915100002@campanile.test>\nCall-ID: x%[3]d\nCSeq: 1 %[1]s\nContact: <sip:x@%[2]v>\nMax-Forwards: 70\nContent-Length: 0\n\n", method, from, forged)
				wire.in <- datagram{[]byte(strings.ReplaceAll(text, "\n", "\r\n")), from}
			}
			synctest.Wait()
		}
		register := func(during int) {
			t.Helper()
			contact := "Contact: <sip:bob@192.0.2.1>;expires=3600\nContent-Length: 0\n"
			c := ask("REGISTER", contact)
			flood(during)
			wire.take()
			answer := response(t, c, 0, digest.Request{Username: "4915100002", Password: "secret of bob", Method: "REGISTER", URI: "sip:4915100001@campanile.test"})
			if m := ask("REGISTER", answer+"\n"+contact); m.Status != 200 {
				t.Fatalf("got %d", m.Status)
			}
		}
		register(0)
		for range 5 {
			register(1500)
			c := ask("MESSAGE", "Content-Length: 0\n")
			answer := response(t, c, 0, digest.Request{Username: "4915100002", Password: "secret of bob", Method: "MESSAGE", URI: "sip:4915100001@campanile.test"})
			if m := ask("MESSAGE", answer+"\nContent-Type: text/plain\nContent-Length: 2\n\nhi"); m.Status != 202 {
				t.Fatalf("got %d", m.Status)
			}
			time.Sleep(time.Second)
		}
		flood(10_000)
		_, texts, _ := centre.took()
		if s := g.Stats(); s.Challenges > 8000 || s.Registered["app"] != 1 || len(texts) != 5 {
			t.Errorf("%+v, %d messages", s, len(texts))
		}
		time.Sleep(2 * time.Minute)
		register(0)
		if s := g.Stats(); s.Challenges > 2 || e.Stats().Transactions > 10 {
			t.Errorf("left behind: %+v, %+v", s, e.Stats())
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
