package userspace

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/table"
	"campanile.network/internal/memnet"
)

func TestConformance(t *testing.T) {
	dptest.Run(t, func(t *testing.T, c dptest.Config, body func(*testing.T, *dptest.Rig)) {
		synctest.Test(t, func(t *testing.T) { inMemory(t, c, body) })
	})
}

// inMemory is a rig without a kernel, in virtual time.
func inMemory(t *testing.T, c dptest.Config, body func(*testing.T, *dptest.Rig)) {
	n := memnet.New(nil)
	local, local6 := netip.MustParseAddrPort("127.77.0.9:2152"), netip.MustParseAddrPort("[fd77::9]:2152")
	listen := func(a netip.AddrPort) *memnet.Conn {
		c, err := n.Listen(a)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	tab, closeTable := outliving(t, c)
	defer closeTable()
	w, aside := newWire(), newWire()
	p, err := New(Options{
		Conn: listen(local), Conn6: listen(local6), Port: w, Redirect: aside, Portal: c.Portal, PortalClass: c.PortalClass, Table: tab, Services: c.Services, Neighbours: c.Neighbours, Towers: c.Towers,
		Router: dptest.Router, Router6: dptest.Router6, BufferPackets: 8, ReportOctets: 10_000, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	towers := map[netip.Addr]*inbox{}
	for _, a := range []netip.Addr{dptest.TowerA, dptest.TowerB, dptest.TowerC} {
		towers[a] = &inbox{conn: listen(netip.AddrPortFrom(a, gtpu.Port))}
		go towers[a].run()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	to := func(a netip.Addr) netip.AddrPort {
		if a.Is6() {
			return local6
		}
		return local
	}
	body(t, &dptest.Rig{
		Path: p, Local: local.Addr(), Local6: local6.Addr(), BufferPackets: 8, ReportOctets: 10_000, MTU: w.MTU(),
		TowerSend:   func(a netip.Addr, b []byte) { towers[a].conn.WriteToUDPAddrPort(b, to(a)) },
		TowerGot:    func(a netip.Addr) [][]byte { return towers[a].take() },
		NetSend:     func(b []byte) { w.in <- append([]byte(nil), b...) },
		NetGot:      w.take,
		NetRefuses:  func(v bool) { w.mu.Lock(); w.refuses = v; w.mu.Unlock() },
		RedirectGot: aside.take, RedirectSend: func(b []byte) { aside.in <- append([]byte(nil), b...) },
		Settle: synctest.Wait, Wait: func(d time.Duration) { time.Sleep(d); synctest.Wait() }, Virtual: true,
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, i := range towers {
		i.conn.Close()
	}
}

// outliving opens the table that the rig's successor is to go on with, if there is
// to be one.
func outliving(t *testing.T, c dptest.Config) (tab *table.Table, end func()) {
	if c.File == "" {
		return nil, func() {}
	}
	tab, err := table.Open(c.File, 64, 64, len(c.Services) > 0 || c.PortalClass != 0)
	if err != nil {
		t.Skip(err)
	}
	return tab, func() {
		if err := tab.Close(); err != nil {
			t.Error(err)
		}
	}
}
