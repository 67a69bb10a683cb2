package gateway_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/gateway"
	"campanile.network/gateway/datapath/table"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/vault"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// mortal is a rig whose gateway is killed and started anew over what it had on disk.
type mortal struct {
	*rig
	fs     *vfs.MemFS
	store  *vault.Vault
	counts *table.Table
	change func(*gateway.Options)
	end    func()
}

// killing runs body with a gateway that can be killed.
func killing(t *testing.T, change func(*gateway.Options), body func(*testing.T, *mortal)) {
	m := &mortal{fs: vfs.NewStrictMem(), counts: table.New(256, 256, false), change: change}
	hearing(t, func(o *gateway.Options) { o.MaxSessions = 8 }, func(t *testing.T, r *rig) {
		m.rig = r
		r.leave() // another takes the place of the rig's own
		m.begin(1)
		body(t, m)
		m.end()
		m.store.Close()
	})
}

// begin starts a gateway on what there is.
func (m *mortal) begin(counter uint8) {
	var err error
	m.store, err = vault.Open("/gateway.db", vault.Options{Key: [32]byte{7}, Role: "gateway", Of: "the gateway", Schema: 1, Lost: "nothing", FS: m.fs})
	m.must(err)
	m.port = &port{in: make(chan []byte, 1024), closed: make(chan struct{})}
	m.path, err = userspace.New(userspace.Options{Conn: m.listen(gwIP, 2152), Port: m.port, Table: m.counts, Logger: quiet})
	m.must(err)
	o := gateway.Options{S11Conn: m.listen(gwIP, 2123), S1U: gwIP, Path: m.path, OpenTicket: m.openTicket, Sink: m.sink, Store: m.store, RestartCounter: counter, MaxSessions: 256,
		Networks: []gateway.Network{{IPv4: []netip.Prefix{netip.MustParsePrefix("10.45.0.0/16")}, Open: true}}, Logger: quiet}
	if m.change != nil {
		m.change(&o)
	}
	m.gw, err = gateway.New(o)
	m.must(err)
	path, gw := m.serve(m.path.Serve), m.serve(m.gw.Serve)
	m.end = func() { gw(); path() }
}

// kill is kill -9, and another start: what was not on disk is gone; what the data path has
// counted is in its file.
func (m *mortal) kill() {
	synctest.Wait()
	m.fs.SetIgnoreSyncs(true)
	m.sink.failWith(errors.New("the process is dead")) // nothing is told any more
	m.end()
	m.store.Close()
	m.fs.ResetToSyncedState()
	m.fs.SetIgnoreSyncs(false)
	m.sink.failWith(nil)
	m.begin(1)
}

// A phone does not notice that its gateway was killed, and no octet of it is lost or told
// twice: not in the segment that was open, nor in one that had closed untold, nor on a
// dedicated bearer, nor for a phone that was idle.
func TestKilledGatewayGoesOn(t *testing.T) {
	killing(t, nil, func(t *testing.T, m *mortal) {
		s, idle := m.attach(phone1, 1), m.attach(phone2, 2)
		ebi, err := m.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: plain, Filters: web})
		m.must(err)
		m.ul(s, 100)
		m.dl(s, 200)
		m.towerReads()
		m.must(m.mme.Release(t.Context(), idle))
		m.ul(s, 1000)
		before := m.gw.Sessions()
		m.kill()
		after := m.gw.Sessions()
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		m.ul(s, 100)
		m.dl(s, 300)
		if n, teid := m.towerReads(); n != 300 || teid != dedicatedENB.TEID {
			t.Errorf("%d octets to %v", n, teid)
		}
		m.dl(idle, 77)
		if len(m.pages) != 1 {
			t.Errorf("%d notifications for the idle phone", len(m.pages))
		}
		m.must(m.mme.Modify(t.Context(), idle, s11.ModifyBearer{ENB: s11.FTEID{Addr: towerIP, TEID: 0x9009}, Segment: m.segment(2, 2)}))
		if n, teid := m.towerReads(); n != 77 || teid != 0x9009 {
			t.Errorf("%d octets to %v", n, teid)
		}
		m.must(m.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: m.segment(1, 2), Dedicated: []s11.Tunnel{{EBI: ebi, ENB: dedicatedENB}}}))
		m.ul(s, 51)
		m.kill()
		m.ul(s, 62)
		three, err := m.mme.Create(t.Context(), request(t, "001010000000003", m.ticket(3, 1<<30)))
		m.must(err)
		if three.Address == s.Address || three.Address == idle.Address || three.SGW.TEID == s.SGW.TEID || three.SGW.TEID == idle.SGW.TEID {
			t.Errorf("a new session has what another has: %+v", three)
		}
		m.must(m.mme.Delete(t.Context(), s))
		m.kill() // while it drains
		time.Sleep(2 * time.Second)
		m.kill()
		time.Sleep(2 * time.Second)
		sum := uint64(0)
		for _, r := range m.sink.all() {
			sum += r.UL + r.DL
		}
		if want := uint64(100 + 200 + 1000 + 100 + 300 + 77 + 51 + 62); sum != want {
			t.Errorf("%d octets told, want %d: %+v", sum, want, m.sink.all())
		}
		if st := m.gw.Stats(); st.Sessions != 2 || st.UEs != 2 || st.Unreported != 0 || m.lost != 0 || m.mme.Sessions() != 2 {
			t.Errorf("%+v; MME has %d, lost %d", st, m.mme.Sessions(), m.lost)
		}
	})
}

// The cap of a ticket holds over kills, to the octet.
func TestKilledGatewayKeepsTheCap(t *testing.T) {
	killing(t, nil, func(t *testing.T, m *mortal) {
		ticket := m.ticket(1, 1000)
		s, err := m.mme.Create(t.Context(), request(t, phone1, ticket))
		m.must(err)
		m.must(m.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: m.segment(1, 1)}))
		for range 4 {
			m.ul(s, 100)
			m.kill()
		}
		for range 20 {
			m.ul(s, 100)
		}
		time.Sleep(2 * time.Second)
		if sum := octets(m.sink); sum != 1000 {
			t.Errorf("%d octets under a cap of 1000", sum)
		}
		m.kill()
		_, err = m.mme.Create(t.Context(), request(t, phone1, ticket))
		refusedWith(t, err, gtpc.UserAuthFailed)
	})
}

// A data path that has lost its counts does not have what was told before taken back, nor
// told again.
func TestCountsLost(t *testing.T) {
	killing(t, nil, func(t *testing.T, m *mortal) {
		s := m.attach(phone1, 1)
		m.ul(s, 500)
		m.must(m.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: m.segment(1, 2)}))
		m.counts = table.New(256, 256, false)
		m.kill()
		m.ul(s, 70)
		time.Sleep(2 * time.Second)
		m.must(m.mme.Delete(t.Context(), s))
		time.Sleep(2 * time.Second)
		got := m.sink.all()
		if len(got) != 2 || got[0].UL != 500 || got[1].UL != 70 || !got[1].Closed {
			t.Errorf("%+v", got)
		}
	})
}

// A phone that comes back gets the address it had, after a kill as well; others get it when
// there is no other left.
func TestAddressIsKeptForThePhone(t *testing.T) {
	small := func(o *gateway.Options) { o.Networks[0].IPv4 = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/29")} }
	killing(t, small, func(t *testing.T, m *mortal) {
		one := m.attach(phone1, 1)
		m.attach(phone2, 2)
		m.must(m.mme.Delete(t.Context(), one))
		time.Sleep(time.Second)
		m.kill()
		again := m.attach(phone1, 3)
		if again.Address != one.Address {
			t.Errorf("%v, had %v", again.Address, one.Address)
		}
		m.must(m.mme.Delete(t.Context(), again))
		time.Sleep(time.Second)
		var last *s11.Session
		for i := range 4 {
			last = m.attach("00101000000001"+string(rune('0'+i)), byte(10+i))
		}
		if last.Address != one.Address {
			t.Errorf("the last one of the pool is %v, want the one that rested, %v", last.Address, one.Address)
		}
		_, err := m.mme.Create(t.Context(), request(t, phone1, m.ticket(4, 1<<30)))
		refusedWith(t, err, gtpc.AllAddressesOccupied)
	})
}

// A connection whose phone is silent goes on after a kill: its server is let in for a
// while though nobody knows any more that the phone has asked for it. Then strangers are
// kept out again.
func TestServerIsLetInAfterAKill(t *testing.T) {
	shut := func(o *gateway.Options) { o.Networks[0].Open = false }
	killing(t, shut, func(t *testing.T, m *mortal) {
		s := m.attach(phone1, 1)
		m.dl(s, 200)
		if n := m.gw.Stats().Path.DLPackets; n != 0 {
			t.Errorf("%d packets nobody asked for", n)
		}
		m.kill()
		m.dl(s, 300)
		if n, _ := m.towerReads(); n != 300 {
			t.Errorf("%d octets", n)
		}
		time.Sleep(4 * time.Minute)
		m.dl(s, 400)
		if n := m.gw.Stats().Path.DLPackets; n != 1 {
			t.Errorf("%d packets after the lenience", n)
		}
	})
}

// A store that cannot be read any more costs phones an attach, and nobody an address that
// somebody has; the MME learns of it by the restart counter.
func TestStoreOfAnotherKey(t *testing.T) {
	killing(t, nil, func(t *testing.T, m *mortal) {
		s := m.attach(phone1, 1)
		m.end()
		m.store.Close()
		m.fs = vfs.NewStrictMem()
		m.begin(2)
		refusedWith(t, m.mme.Release(t.Context(), s), gtpc.ContextNotFound)
		if m.lost != 1 {
			t.Errorf("%d sessions are known to be lost", m.lost)
		}
		m.attach(phone1, 2)
	})
}
