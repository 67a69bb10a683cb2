package dptest

import (
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

func threshold(t *testing.T, r *Rig) {
	f := setup(t, r)
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 5000, Threshold: 3000})
	count := func(k datapath.Kind) (n int) {
		for _, e := range f.events() {
			if e.Kind == k {
				n++
			}
		}
		return n
	}
	f.ul(1400)
	f.dl(1400)
	if n := count(datapath.QuotaThreshold); n != 0 {
		t.Errorf("told %d times below", n)
	}
	f.ul(200)
	f.ul(200)
	if n := count(datapath.QuotaThreshold); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n, err := r.Path.Charged(f.b.Session); n != 3200 || err != nil {
		t.Errorf("charged %d, %v", n, err)
	}
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 9000, Threshold: 3100}) // passed already
	f.dl(100)
	f.dl(100)
	if n := count(datapath.QuotaThreshold); n != 1 {
		t.Errorf("told %d times of a threshold that was passed", n)
	}
}

func filters(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6, Open: true})
	down := func(f datapath.Filter) datapath.Filter { f.Down = true; return f }
	voice := f.dedicated(6, 0x1002, datapath.Policy{Filters: []datapath.Filter{
		down(datapath.Filter{Precedence: 10, HasProtocol: true, Protocol: 17, RemotePorts: datapath.PortRange{Lo: 5004, Hi: 5010}, Remote: netip.MustParsePrefix("93.184.216.0/24")}),
		down(datapath.Filter{Precedence: 11, HasLabel: true, Label: 0x12345}),
	}})
	video := f.dedicated(7, 0x1003, datapath.Policy{Filters: []datapath.Filter{
		{Precedence: 5, Up: true, HasProtocol: true, Protocol: 17}, // of the phone's packets
		down(datapath.Filter{Precedence: 12, HasProtocol: true, Protocol: 17, LocalPorts: datapath.PortRange{Lo: 6000, Hi: 6000}}),
		down(datapath.Filter{Precedence: 9, TOS: 0xb8, Mask: 0xfc}),
		down(datapath.Filter{Precedence: 13, HasSPI: true, SPI: 0xabcd}),
	}})
	labelled := Packet(server6, ue6, 100)
	labelled[1], labelled[2], labelled[3] = 1, 0x23, 0x45
	marked := Datagram(at(server, 5004), at(ue1, 1), 50)
	marked[1] = 0xb9
	esp := IP(server6, ue6, 50, []byte{0, 0, 0xab, 0xcd, 0, 0, 0, 1})
	for name, c := range map[string]struct {
		b    []byte
		want datapath.Bearer
	}{
		"port and remote":          {Datagram(at(server, 5004), at(ue1, 1), 50), voice},
		"last port":                {Datagram(at(server, 5010), at(ue1, 6000), 50), voice}, // before the other's
		"port beyond":              {Datagram(at(server, 5011), at(ue1, 1), 50), f.b},
		"another remote":           {Datagram(at(netip.MustParseAddr("93.184.217.1"), 5004), at(ue1, 1), 50), f.b},
		"another protocol":         {Segment(at(server, 5004), at(ue1, 1), 2), f.b},
		"local port":               {Datagram(at(server, 1), at(ue1, 6000), 50), video},
		"type of service is first": {marked, video},
		"flow label":               {labelled, voice},
		"SPI":                      {esp, video},
		"nothing":                  {Packet(server6, ue6, 60), f.b},
	} {
		f.down(c.b)
		got := f.towerPackets(TowerA)
		if len(got) != 1 || len(got[c.want.Tunnel.TEID]) != 1 {
			t.Errorf("%s: went to %v, want bearer %v", name, got, c.want.TEID)
		}
	}
	if v, d := f.of(voice.TEID), f.of(video.TEID); v.DLPackets != 3 || d.DLPackets != 3 || f.usage().DLPackets != 4 {
		t.Errorf("%+v, %+v, %+v", v.Count, d.Count, f.usage())
	}
	if err := r.Path.UpdatePolicy(voice.TEID, datapath.Policy{Filters: []datapath.Filter{down(datapath.Filter{Precedence: 1, HasProtocol: true, Protocol: 6})}}); err != nil {
		t.Fatal(err)
	}
	f.down(Segment(at(server, 80), at(ue1, 1), 2))
	f.down(Datagram(at(server, 5004), at(ue1, 1), 50))
	if got := f.towerPackets(TowerA); len(got[voice.Tunnel.TEID]) != 1 || len(got[f.b.Tunnel.TEID]) != 1 {
		t.Errorf("after the change: %v", got)
	}
	if _, err := r.Path.RemoveBearer(voice.TEID); err != nil {
		t.Fatal(err)
	}
	f.down(Segment(at(server, 80), at(ue1, 1), 2))
	if got := f.towerPackets(TowerA); len(got[f.b.Tunnel.TEID]) != 1 {
		t.Errorf("after the removal: %v", got)
	}
}

// held offers four times a rate both ways and says what was delivered each way,
// per cent of it, from the moment on at which the first packet was refused.
func (f *fixture) held(teid datapath.Bearer, port uint16, rates datapath.Rates) (ul, dl float64) {
	const size = 500
	last := time.Now()
	offer := func() {
		now := time.Now()
		ms := min(max(now.Sub(last).Milliseconds(), 1), 40) // a rig on a real clock is late
		last = now
		each := func(rate uint64) int { return int(rate/8/size/1000) * 4 * int(ms) }
		for range each(rates.UL) {
			f.TowerSend(TowerA, gtpu.AppendGPDU(nil, teid.TEID, Datagram(at(ue1, port), at(server, port), size-28)))
		}
		for range each(rates.DL) {
			f.NetSend(Datagram(at(server, port), at(ue1, port), size-28))
		}
		f.Settle()
		f.NetGot()
		f.TowerGot(TowerA)
		f.Wait(time.Millisecond)
	}
	refused := func() bool {
		s := f.Path.Stats()
		return s.Dropped[datapath.ULPolice] > 0 && s.Dropped[datapath.DLPolice] > 0
	}
	for range 2000 {
		if offer(); refused() {
			break
		}
	}
	from, start := f.of(teid.TEID), time.Now()
	for range 1000 {
		offer()
	}
	moved, took := f.of(teid.TEID).Sub(from.Count), time.Since(start).Seconds()
	return float64(moved.ULOctets) * 800 / took / float64(rates.UL), float64(moved.DLOctets) * 800 / took / float64(rates.DL)
}

func (f *fixture) within(what string, percent float64) {
	f.t.Helper()
	most := 100.1 // a packet's width
	if !f.Virtual {
		most = 105 // a machine that was late has its burst once more
	}
	switch {
	case percent > most:
	case percent >= 98:
		return
	case !f.Virtual: // a machine that was late has not offered enough
		f.t.Logf("%s: %.2f %% of the rate", what, percent)
		return
	}
	f.t.Errorf("%s: %.2f %% of the rate, want -2/+0", what, percent)
}

func ambr(t *testing.T, r *Rig) {
	rates := datapath.Rates{UL: 8_000_000, DL: 16_000_000}
	f := setupSession(t, r, datapath.Session{IPv4: ue1, Open: true, AMBR: rates})
	ul, dl := f.held(f.b, 9, rates)
	f.within("uplink", ul)
	f.within("downlink", dl)
	drops := r.Path.Stats().Dropped
	if c := f.usage(); c.LostPackets != drops[datapath.ULPolice] { // the tower has brought them
		t.Errorf("%d lost of %d over the rate", c.LostPackets, drops[datapath.ULPolice])
	}
	if n, _ := r.Path.Charged(f.b.Session); n != f.usage().Octets() {
		t.Errorf("charged %d, counted %d", n, f.usage().Octets())
	}
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 1}) // what the quota refuses leaves no mark on the rate
	r.Wait(time.Second)
	for range 3000 {
		f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 1000)))
		f.dl(1000)
	}
	f.dropped(datapath.ULQuota, 3000)
	f.dropped(datapath.DLQuota, 3000)
	f.dropped(datapath.ULPolice, drops[datapath.ULPolice])
	f.dropped(datapath.DLPolice, drops[datapath.DLPolice])
	r.Path.UpdateSession(datapath.Session{ID: f.b.Session, Open: true})
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: datapath.NoQuota})
	before := f.usage()
	for range 300 {
		f.ul(1000)
	}
	if c := f.usage().Sub(before); c.ULPackets != 300 {
		t.Errorf("%d of 300 packets without a rate", c.ULPackets)
	}
}

func mbr(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, Open: true, AMBR: datapath.Rates{UL: 1_000_000, DL: 1_000_000}})
	rates := datapath.Rates{UL: 8_000_000, DL: 8_000_000}
	b := f.dedicated(6, 0x1002, datapath.Policy{MBR: rates, Filters: []datapath.Filter{{Down: true, HasProtocol: true, Protocol: 17, RemotePorts: datapath.PortRange{Lo: 5004, Hi: 5004}}}})
	ul, dl := f.held(b, 5004, rates)
	f.within("uplink", ul)
	f.within("downlink", dl)
	before := r.Path.Stats().Dropped[datapath.DLPolice]
	f.dl(1000) // the session's own rate is untouched
	f.ul(1000)
	f.dropped(datapath.DLPolice, before)
	if c := f.usage(); c.DLPackets != 1 || c.ULPackets != 1 {
		t.Errorf("%+v", c)
	}
}

var priced = Config{Services: []datapath.Service{
	{Class: 1, Remotes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:1::/48")}, Free: true},
	{Class: 2, Remotes: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}, Protocol: 6, Ports: datapath.PortRange{Lo: 443, Hi: 443}},
}}

func services(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6, Open: true})
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 300})
	sponsor, shop := netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("203.0.113.7")
	f.up(Packet(ue1, sponsor, 1000))
	f.down(Packet(sponsor, ue1, 1001))
	f.up(Packet(ue6, netip.MustParseAddr("2001:db8:1::5"), 100))
	f.up(Segment(at(ue1, 4000), at(shop, 443), 2))
	f.down(Segment(at(shop, 443), at(ue1, 4000), 0x12))
	f.up(Segment(at(ue1, 4000), at(shop, 80), 2))
	f.up(Datagram(at(ue1, 4000), at(shop, 443), 2))
	u := f.of(f.b.TEID)
	want := [datapath.Classes]datapath.Count{
		0: {ULOctets: 70, ULPackets: 2},
		1: {ULOctets: 1100, ULPackets: 2, DLOctets: 1001, DLPackets: 1},
		2: {ULOctets: 40, ULPackets: 1, DLOctets: 40, DLPackets: 1},
	}
	if u.Class != want || u.Count != want[0].Add(want[1]).Add(want[2]) {
		t.Errorf("%+v", u)
	}
	if n, _ := r.Path.Charged(f.b.Session); n != 150 {
		t.Errorf("%d octets charged, want 150", n)
	}
	f.ul(1000) // beyond the quota, while the sponsor's goes on
	f.up(Packet(ue1, sponsor, 1000))
	f.dropped(datapath.ULQuota, 1)
	if got := f.of(f.b.TEID).Class[1].ULPackets; got != 3 {
		t.Errorf("%d packets for the sponsor", got)
	}
	if u, err := r.Path.RemoveBearer(f.b.TEID); err != nil || u.Class[1].ULPackets != 3 {
		t.Errorf("%+v, %v", u, err)
	}
}

var portal = netip.MustParseAddrPort("10.45.0.1:8080")

var spent = Config{Portal: []netip.AddrPort{portal, netip.MustParseAddrPort("10.45.0.1:53")}, PortalClass: 7}

func redirected(t *testing.T, r *Rig) {
	if r.RedirectGot == nil {
		t.Skip("the rig has no redirect")
	}
	f := closed4(t, r)
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 100, Redirect: true})
	web := at(server, 80)
	f.up(Segment(at(ue1, 4000), web, 2))
	if up, aside := len(f.NetGot()), len(f.RedirectGot()); up != 1 || aside != 0 {
		t.Errorf("with quota: %d up, %d aside", up, aside)
	}
	f.ul(60)
	f.up(Segment(at(ue1, 4001), web, 2))
	f.RedirectSend(Segment(web, at(ue1, 4001), 0x12))
	f.Settle()
	if up, aside := len(f.NetGot()), len(f.RedirectGot()); up != 1 || aside != 1 {
		t.Errorf("without quota: %d up, %d aside", up, aside)
	}
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 1 {
		t.Errorf("%d answers came", len(sizes))
	}
	for _, b := range [][]byte{Segment(at(ue1, 4002), portal, 2), Datagram(at(ue1, 4003), at(portal.Addr(), 53), 30)} {
		f.up(b)
	}
	f.down(Segment(portal, at(ue1, 4002), 0x12))
	if up, down := len(f.NetGot()), len(f.TowerGot(TowerA)); up != 2 || down != 1 {
		t.Errorf("portal: %d up, %d down", up, down)
	}
	before := r.Path.Stats().Dropped
	f.up(Segment(at(ue1, 4004), at(server, 443), 2))
	f.up(Datagram(at(ue1, 4004), at(server, 53), 30))
	f.down(Segment(web, at(ue1, 4000), 0x12))
	f.dropped(datapath.ULQuota, before[datapath.ULQuota]+2)
	f.dropped(datapath.DLQuota, before[datapath.DLQuota]+1)
	if n, _ := r.Path.Charged(f.b.Session); n != 100 {
		t.Errorf("charged %d of 100", n)
	}
	if c := f.of(f.b.TEID); c.ULOctets != 40+60+40+40+58 || c.DLOctets != 80 || c.Class[7].ULOctets != 40+40+58 || c.Class[7].DLOctets != 80 || c.Class[0].ULOctets != 40+60 {
		t.Errorf("%+v: what the portal and the redirect moved crossed the tower too, apart from the rest", c)
	}
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 100})
	f.events()
	f.update(datapath.Tunnel{})
	f.RedirectSend(Segment(web, at(ue1, 4001), 0x12))
	f.Settle()
	f.only(datapath.QuotaExhausted) // nobody is paged for what would be dropped
	f.update(f.b.Tunnel)
	f.up(Segment(at(ue1, 4005), web, 2))
	if n := len(f.RedirectGot()); n != 0 {
		t.Errorf("%d redirected without being asked to", n)
	}
}
