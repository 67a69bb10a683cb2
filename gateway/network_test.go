package gateway_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

func apnOf(t testing.TB, name string) id.APN {
	a, err := id.ParseAPN(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TS 23.401 §5.3.1.1: what a phone gets of the PDN type it asks for, and which cause says so.
func TestPDNTypes(t *testing.T) {
	v4, v6 := []netip.Prefix{netip.MustParsePrefix("10.50.0.0/24")}, []netip.Prefix{netip.MustParsePrefix("fd50::/60")}
	router6 := netip.MustParseAddr("fd50::1")
	networks := func(o *gateway.Options) {
		o.Networks = []gateway.Network{
			{APN: apnOf(t, "both"), IPv4: v4, IPv6: v6, Router6: router6},
			{APN: apnOf(t, "one"), IPv4: []netip.Prefix{netip.MustParsePrefix("10.51.0.0/24")}, IPv6: []netip.Prefix{netip.MustParsePrefix("fd51::/60")}, Single: true},
			{APN: apnOf(t, "four"), IPv4: []netip.Prefix{netip.MustParsePrefix("10.52.0.0/24")}},
			{APN: apnOf(t, "six"), IPv6: []netip.Prefix{netip.MustParsePrefix("fd53::/60")}, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}},
		}
	}
	inBubble(t, networks, func(t *testing.T, r *rig) {
		for _, c := range []struct {
			apn   string
			asked uint8
			got   uint8
			cause gtpc.Cause
		}{
			{"both", gtpc.PDNIPv4v6, gtpc.PDNIPv4v6, gtpc.Accepted}, {"both", gtpc.PDNIPv4, gtpc.PDNIPv4, gtpc.Accepted}, {"both", gtpc.PDNIPv6, gtpc.PDNIPv6, gtpc.Accepted},
			{"one", gtpc.PDNIPv4v6, gtpc.PDNIPv4, gtpc.NewPDNTypeSingleAddress}, {"one", gtpc.PDNIPv6, gtpc.PDNIPv6, gtpc.Accepted},
			{"four", gtpc.PDNIPv4v6, gtpc.PDNIPv4, gtpc.NewPDNTypePreference}, {"four", gtpc.PDNIPv6, 0, gtpc.PDNTypeNotSupported},
			{"six", gtpc.PDNIPv4v6, gtpc.PDNIPv6, gtpc.NewPDNTypePreference}, {"six", gtpc.PDNIPv4, 0, gtpc.PDNTypeNotSupported},
			{"nobodys", gtpc.PDNIPv4, 0, gtpc.UnknownAPN},
		} {
			q := request(t, phone1, r.ticket(1, 1<<40))
			q.APN, q.PDNType, q.PCO = apnOf(t, c.apn), c.asked, []byte{0x80, 0, 3, 0}
			s, err := r.mme.Create(t.Context(), q)
			if c.got == 0 {
				refusedWith(t, err, c.cause)
				continue
			}
			if err != nil {
				t.Errorf("%s, %d: %v", c.apn, c.asked, err)
				continue
			}
			a := gtpc.Address{IPv4: s.Address, IPv6: s.IPv6}
			if a.Type() != c.got || s.Cause != c.cause {
				t.Errorf("%s: asked for type %d, got %d, %v", c.apn, c.asked, a.Type(), s.Cause)
			}
			if s.IPv6.IsValid() {
				if id := s.IPv6.As16(); [8]byte(id[8:]) == [8]byte{} || s.IPv6.As16()[0] != 0xfd {
					t.Errorf("%v has no interface identifier", s.IPv6)
				}
			}
			if c.apn == "six" && len(s.PCO) != 1+3+16 {
				t.Errorf("name servers %x", s.PCO)
			}
			if p, _ := s.IPv6.Prefix(64); c.apn == "both" && (p.Contains(router6) || s.IPv6.IsValid() && !bytes.HasSuffix(s.PCO, router6.AsSlice())) {
				t.Errorf("%v is the router's, or it is no name server: %x", p, s.PCO)
			}
			r.must(r.mme.Delete(t.Context(), s))
			time.Sleep(time.Second)
		}
		if st := r.gw.Stats(); st.Leases != 0 || st.Sessions != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Fixed addresses are their phones' alone; an address that the MME names is given if it is
// free.
func TestFixedAddresses(t *testing.T) {
	fixed := netip.MustParseAddr("10.45.0.77")
	networks := func(o *gateway.Options) {
		o.Networks[0].Static = map[id.IMSI]gtpc.Address{imsi(t, phone1): {IPv4: fixed}}
	}
	inBubble(t, networks, func(t *testing.T, r *rig) {
		if s := r.attach(phone1, 1); s.Address != fixed {
			t.Errorf("%v", s.Address)
		}
		q := request(t, phone2, r.ticket(2, 1<<40))
		for _, a := range []netip.Addr{fixed, netip.MustParseAddr("192.168.0.1"), netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("10.45.255.255"), netip.MustParseAddr("10.45.0.0")} {
			q.Address = gtpc.Address{IPv4: a}
			_, err := r.mme.Create(t.Context(), q)
			refusedWith(t, err, gtpc.RequestRejected)
		}
		q.Address = gtpc.Address{IPv4: netip.MustParseAddr("10.45.9.9")}
		s, err := r.mme.Create(t.Context(), q)
		r.must(err)
		if s.Address != q.Address.IPv4 {
			t.Errorf("%v", s.Address)
		}
	})
}

// A phone's tunnel has the slot that its address has in the first pool, whatever came and
// went before: the data path then finds both at once.
func TestTunnelsSlotIsTheAddresss(t *testing.T) {
	other := func(o *gateway.Options) {
		o.Networks = append(o.Networks, gateway.Network{APN: apnOf(t, "other"), IPv4: []netip.Prefix{netip.MustParsePrefix("10.52.0.0/24")}})
	}
	inBubble(t, other, func(t *testing.T, r *rig) {
		q := request(t, phone2, r.ticket(2, 1<<40))
		q.APN = apnOf(t, "other") // must not have a slot that the first pool's will want
		_, err := r.mme.Create(t.Context(), q)
		r.must(err)
		for n := byte(3); n < 9; n++ {
			one := r.attach(phone1, n)
			if at := one.Address.As4(); datapath.Slot(one.SGW.TEID) != uint32(at[2])<<8|uint32(at[3]) {
				t.Errorf("%v has tunnel %v", one.Address, one.SGW.TEID)
			}
			r.attach("00101000000002"+string('0'+rune(n)), 10*n)
			r.must(r.mme.Delete(t.Context(), one))
		}
	})
}

// Networks that contradict themselves, or each other, are refused with what is wrong.
func TestBadNetworks(t *testing.T) {
	p := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for what, list := range map[string][]gateway.Network{
		"no pool":        {{}},
		"IPv6 as IPv4":   {{IPv4: p("fd00::/48")}},
		"too small":      {{IPv4: p("10.0.0.0/31")}},
		"IPv6 too small": {{IPv6: p("fd00::/65")}},
		"overlap":        {{APN: apnOf(t, "a"), IPv4: p("10.0.0.0/8")}, {APN: apnOf(t, "b"), IPv4: p("10.45.0.0/16")}},
		"twice":          {{APN: apnOf(t, "a"), IPv4: p("10.0.0.0/16")}, {APN: apnOf(t, "a"), IPv4: p("10.45.0.0/16")}},
		"PGW with pools": {{PGW: pgwIP, IPv4: p("10.0.0.0/16")}},
	} {
		if gateway.CheckNetworks(list) == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

// TS 29.274 §7.2.11.2, §5.3: a phone that sleeps is not asked for before it wakes, and what
// came for it waits; an MME that wants fewer notifications gets fewer; a phone that is
// suspended gets nothing and nobody is told.
func TestNotificationsThatAreNotWanted(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		st := s.State()
		idle := func() {
			r.must(r.mme.Release(t.Context(), s))
			time.Sleep(11 * time.Second)
		}
		idle()
		r.waiting = gtpc.Waiting{Buffer: 10 * time.Minute}
		r.answerPages(gtpc.NotReachablePSM)
		r.dl(s, 100)
		time.Sleep(time.Minute)
		r.dl(s, 101)
		if r.notified() != 1 || r.gw.Stats().Path.Buffered != 2 {
			t.Fatalf("%d notifications, %d packets wait", r.notified(), r.gw.Stats().Path.Buffered)
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 2)}))
		for n := range 2 {
			if size, _ := r.towerReads(); size != 100+n {
				t.Errorf("packet %d has %d octets", n, size)
			}
		}
		idle()
		r.waiting = gtpc.Waiting{Buffer: 10 * time.Minute, Packets: 1}
		r.answerPages(gtpc.Accepted)
		r.dl(s, 100)
		r.dl(s, 101)
		if r.notified() != 2 || r.gw.Stats().Path.Buffered != 1 {
			t.Errorf("%d notifications, %d packets wait, of which one was to", r.notified(), r.gw.Stats().Path.Buffered)
		}
		time.Sleep(11 * time.Minute)
		if n := r.gw.Stats().Path.Buffered; n != 0 {
			t.Errorf("%d packets wait for a phone that did not come in time", n)
		}
		r.waiting = gtpc.Waiting{}
		r.dl(s, 102)
		r.dl(s, 103)
		if r.notified() != 3 || r.gw.Stats().Path.Buffered != 2 {
			t.Errorf("%d notifications, %d packets wait afterwards", r.notified(), r.gw.Stats().Path.Buffered)
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 3)}))
		for n := range 2 {
			if size, _ := r.towerReads(); size != 102+n {
				t.Errorf("packet %d has %d octets", n, size)
			}
		}
		idle()
		r.waiting = gtpc.Waiting{Throttle: 10 * time.Minute, Factor: 100, Delay: time.Second}
		r.dl(s, 50)
		time.Sleep(11 * time.Second)
		told := r.notified()
		for range 5 {
			r.dl(s, 50)
			time.Sleep(11 * time.Second)
		}
		if r.notified() != told || r.gw.Stats().NotTold["throttled"] == 0 {
			t.Errorf("%d notifications more to an MME that wants none; %v", r.notified()-told, r.gw.Stats().NotTold)
		}
		time.Sleep(10 * time.Minute)
		r.suspend(s, gtpc.SuspendNotification)
		r.dl(s, 60)
		if r.notified() != told || r.gw.Stats().Path.Buffered != 0 || r.gw.Stats().NotTold["suspended"] == 0 {
			t.Errorf("%d notifications, %+v", r.notified(), r.gw.Stats())
		}
		r.ask(gtpc.New(gtpc.ResumeNotification, st.Remote))
		time.Sleep(11 * time.Second)
		r.dl(s, 60)
		time.Sleep(2 * time.Second) // it is to be delayed by a second
		if r.notified() != told+1 {
			t.Errorf("%d notifications after Resume", r.notified()-told)
		}
		r.ask(gtpc.New(gtpc.ModifyBearerRequest, st.Remote, gtpc.Waiting{Delay: 5 * time.Second}.IEs()...))
		r.waiting = gtpc.Waiting{Delay: 5 * time.Second}
		time.Sleep(11 * time.Minute)
		told = r.notified()
		r.dl(s, 60)
		time.Sleep(4 * time.Second)
		if r.notified() != told {
			t.Error("a notification before the delay that a Modify Bearer Request asked for")
		}
		time.Sleep(2 * time.Second)
		if r.notified() != told+1 {
			t.Errorf("%d notifications after the delay", r.notified()-told)
		}
	})
}
