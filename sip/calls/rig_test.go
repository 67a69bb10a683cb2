package calls

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/memnet"
	"campanile.network/wire/sip/txn"
)

// rig is a switch with a network in memory, in virtual time.
type rig struct {
	t       *testing.T
	net     *memnet.Network
	at      netip.AddrPort // the switch's
	sw      *Switch
	book    *book
	media   *desk
	records []Record
	mu      sync.Mutex
	script  *transcript
	lose    func(from, to netip.AddrPort, m []byte) bool
}

// inRig runs a test in a rig; what is odd about its options, change says.
func inRig(t *testing.T, change func(*Options), test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, at: netip.MustParseAddrPort("10.0.0.1:5060"), book: newBook(), script: &transcript{}}
		r.media = &desk{next: 30000}
		r.net = memnet.New(func(from, to netip.AddrPort, b []byte) int {
			if r.lose != nil && r.lose(from, to, b) {
				return 0
			}
			r.script.add(from, to, b)
			return 1
		})
		conn, err := r.net.Listen(r.at)
		if err != nil {
			t.Fatal(err)
		}
		e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{conn}})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{
			Endpoint: e, Registry: r.book, Media: r.media, Realm: "campanile.example",
			Numbers: Numbers{Emergency: []string{"112"}},
			Record: func(c Record) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.records = append(r.records, c)
			},
		}
		if change != nil {
			change(&o)
		}
		if r.sw, err = New(o); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _ = r.sw.Serve(ctx) })
		calls, end := context.WithCancel(t.Context())
		wait.Go(func() { _ = e.Serve(calls, r.sw.Handle) })
		synctest.Wait()
		test(r)
		stop()
		synctest.Wait()
		time.Sleep(40 * time.Second) // virtual: until every transaction is over
		end()
		wait.Wait()
		r.sw.mu.Lock()
		defer r.sw.mu.Unlock()
		if len(r.sw.calls)+len(r.sw.legs)+len(r.sw.begun)+len(r.sw.ours)+len(r.sw.busy) != 0 {
			t.Errorf("left over: %d calls, %d legs, %d begun, %d Call-IDs, %d busy", len(r.sw.calls), len(r.sw.legs), len(r.sw.begun), len(r.sw.ours), len(r.sw.busy))
		}
		if n := r.media.open; n != 0 {
			t.Errorf("%d sessions of media are open", n)
		}
	})
}

// record is the one call that has ended.
func (r *rig) record() Record {
	r.t.Helper()
	all := r.ended()
	if len(all) != 1 {
		r.t.Fatalf("%d calls have ended, want 1", len(all))
	}
	return all[0]
}

// ended are the calls that have.
func (r *rig) ended() []Record {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

func imsi(t *testing.T, n int) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		t.Fatal(err)
	}
	return i
}
