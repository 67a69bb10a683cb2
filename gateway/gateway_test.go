package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// refusedWith checks a refusal's cause.
func refusedWith(t *testing.T, err error, want gtpc.Cause) {
	t.Helper()
	if ce, ok := errors.AsType[*gtpc.CauseError](err); !ok || ce.Cause != want {
		t.Errorf("err = %v, want cause %v", err, want)
	}
}

func TestSessionFromCreateToDelete(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s, err := r.mme.Create(t.Context(), request(t, phone1, r.ticket(1, 1<<30)))
		r.must(err)
		if s.Address != netip.MustParseAddr("10.45.0.2") || s.SGW.Addr != gwIP || s.SGW.TEID == 0 || s.Cause != gtpc.Accepted {
			t.Errorf("%+v", s)
		}
		if want := []byte{0x80, 0, 0x0d, 4, 10, 45, 0, 1, 0, 0x10, 2, 0x05, 0x78}; !bytes.Equal(s.PCO, want) {
			t.Errorf("PCO %x, want %x", s.PCO, want)
		}
		if s.AMBR != (gtpc.AMBR{UL: 50_000_000, DL: 100_000_000}) || s.QoS.QCI != 9 || s.QoS.ARP != (gtpc.ARP{Level: 8}) || s.ChargingID == 0 {
			t.Errorf("%+v", s)
		}
		r.ul(s, 50) // a phone sends before the MME told us of its tunnel
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 1)}))
		r.ul(s, 100)
		r.dl(s, 200)
		if n, teid := r.towerReads(); n != 200 || teid != enb.TEID {
			t.Errorf("tower got %d octets for %v", n, teid)
		}
		if i := r.gw.Sessions(); len(i) != 1 || i[0].Count.ULOctets != 150 || i[0].Count.DLOctets != 200 || !i[0].Settled {
			t.Errorf("%+v", i)
		}
		r.must(r.mme.Delete(t.Context(), s))
		r.ul(s, 77) // was on its way
		r.dl(s, 99) // is not sent any more
		time.Sleep(time.Second)
		got := r.sink.all()
		if len(got) != 1 || !got[0].Closed || got[0].UL != 227 || got[0].DL != 200 || got[0].ULPackets != 3 || got[0].DLPackets != 1 ||
			len(got[0].Segment) == 0 || len(got[0].Ticket) == 0 || got[0].TEID != s.SGW.TEID {
			t.Errorf("%+v", got)
		}
		r.ul(s, 30)
		if st := r.gw.Stats(); st.Sessions != 0 || st.UEs != 0 || st.Leases != 0 || st.Unreported != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSegmentsSplitTheCount(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		r.ul(s, 100)
		two, three := r.segment(1, 2), r.segment(1, 3)
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: two})) // path switch
		r.ul(s, 200)
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: two})) // the same again changes nothing
		r.ul(s, 20)
		r.must(r.mme.Release(t.Context(), s))
		r.ul(s, 23)             // on its way when released: still the old segment
		time.Sleep(time.Second) // the old segment is over
		r.ul(s, 40)             // sent before the next Modify Bearer: the next segment
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: three}))
		r.ul(s, 500)
		time.Sleep(2 * time.Second)
		got := r.sink.all()
		if len(got) != 3 {
			t.Fatalf("%d records", len(got))
		}
		for i, want := range []struct {
			ul     uint64
			closed bool
		}{{100, true}, {243, true}, {540, false}} {
			if got[i].UL != want.ul || got[i].Closed != want.closed {
				t.Errorf("segment %d: %d octets, closed %v; want %+v", i+1, got[i].UL, got[i].Closed, want)
			}
		}
	})
}

func TestLostAnswerDoesNotMakeASecondSession(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		lost := 0
		r.copies = func(from, to netip.AddrPort) int {
			if from.Addr() == gwIP && to.Addr() == mmeIP && lost < 2 {
				lost++
				return 0
			}
			return 2
		}
		s := r.attach(phone1, 1)
		if st := r.gw.Stats(); st.Sessions != 1 || st.Leases != 1 || st.S11.Dropped[gtpc.DropRepeated] == 0 {
			t.Errorf("%+v", st)
		}
		r.must(r.mme.Delete(t.Context(), s))
	})
}

// TestManyPhonesOnABadNetwork: one datagram in eight is lost and one in eight
// comes twice; every session comes to be once and goes once.
func TestManyPhonesOnABadNetwork(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		rng := rand.New(rand.NewPCG(1, 2))
		r.copies = func(from, to netip.AddrPort) int { return [8]int{0, 2, 1, 1, 1, 1, 1, 1}[rng.IntN(8)] }
		var wg sync.WaitGroup
		var done atomic.Int32
		for i := range 300 {
			wg.Go(func() {
				who := fmt.Sprintf("0010100000%05d", i)
				s, err := r.mme.Create(t.Context(), request(t, who, r.ticket(byte(i), 1<<30)))
				if err == nil {
					err = r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: towerIP, TEID: id.TEID(i + 1)}})
				}
				if err == nil && i%2 == 0 {
					err = r.mme.Delete(t.Context(), s)
				}
				if errors.Is(err, gtpc.ErrNoAnswer) { // all four copies, or all their answers, may be lost
					return
				}
				if err != nil {
					t.Errorf("phone %d: %v", i, err)
				}
				done.Add(1)
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		st := r.gw.Stats()
		if n := done.Load(); n < 280 || st.Sessions != st.Leases || st.Sessions != st.UEs || st.Path.Bearers != st.Sessions || st.Sessions < 130 || st.Sessions > 170 {
			t.Errorf("%d phones done, %+v", n, st)
		}
	})
}

func TestAttachAnewReplacesTheOldSession(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		old := r.attach(phone1, 1)
		r.ul(old, 100)
		s := r.attach(phone1, 2)
		if s.Address == old.Address || s.SGW.TEID == old.SGW.TEID {
			t.Errorf("old %v %v, new %v %v", old.Address, old.SGW.TEID, s.Address, s.SGW.TEID)
		}
		time.Sleep(time.Second)
		if st := r.gw.Stats(); st.Sessions != 1 || st.UEs != 1 {
			t.Errorf("%+v", st)
		}
		if got := r.sink.all(); len(got) == 0 || !got[0].Closed || got[0].UL != 100 {
			t.Errorf("%+v", got)
		}
		err := r.mme.Modify(t.Context(), old, s11.ModifyBearer{ENB: enb})
		refusedWith(t, err, gtpc.ContextNotFound)
		r.must(r.mme.Delete(t.Context(), old)) // not found is as good as deleted
	})
}

func TestRefusals(t *testing.T) {
	inBubble(t, func(o *gateway.Options) {
		o.Networks[0].IPv4 = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/30")}
	}, func(t *testing.T, r *rig) {
		create := func(who string, change func(*s11.CreateSession)) error {
			q := request(t, who, r.ticket(1, 1<<30))
			if change != nil {
				change(&q)
			}
			_, err := r.mme.Create(t.Context(), q)
			return err
		}
		refusedWith(t, create(phone1, func(q *s11.CreateSession) { q.PDNType = gtpc.PDNIPv6 }), gtpc.PDNTypeNotSupported)
		refusedWith(t, create(phone1, func(q *s11.CreateSession) { q.Ticket = nil }), gtpc.UserAuthFailed)
		refusedWith(t, create(phone1, func(q *s11.CreateSession) { q.Ticket[len(q.Ticket)-1] ^= 1 }), gtpc.UserAuthFailed)
		r.must(create(phone1, nil))
		refusedWith(t, create(phone2, nil), gtpc.AllAddressesOccupied)
		if st := r.gw.Stats(); st.Sessions != 1 || st.UEs != 1 || st.Leases != 1 || st.Refused[gtpc.UserAuthFailed] != 2 || r.mme.Sessions() != 1 {
			t.Errorf("%+v; %d at the MME", st, r.mme.Sessions())
		}
	})
}

// An eNB that has its tunnel end at the gateway itself would have it send packets round
// for ever.
func TestTunnelEndThatIsNone(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		for _, bad := range []s11.FTEID{{Addr: gwIP, TEID: s.SGW.TEID}, {Addr: netip.IPv4Unspecified(), TEID: 1}, {Addr: netip.MustParseAddr("224.0.0.1"), TEID: 1}, {Addr: towerIP}} {
			refusedWith(t, r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: bad, Segment: r.segment(1, 2)}), gtpc.MandatoryIEIncorrect)
		}
		r.dl(s, 200) // it goes where it went
		if n, teid := r.towerReads(); n != 200 || teid != enb.TEID {
			t.Errorf("%d octets to %v", n, teid)
		}
	})
}

func TestIPv4v6GetsIPv4(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		q := request(t, phone1, r.ticket(1, 1))
		q.PDNType = gtpc.PDNIPv4v6
		s, err := r.mme.Create(t.Context(), q)
		r.must(err)
		if s.Cause != gtpc.NewPDNTypePreference || !s.Address.Is4() {
			t.Errorf("%v, %v", s.Cause, s.Address)
		}
	})
}

func TestUnsettledSessionIsReportedWithoutTicket(t *testing.T) {
	inBubble(t, func(o *gateway.Options) { o.AllowUnsettled = true; o.UnsettledQuota = 250 }, func(t *testing.T, r *rig) {
		s, err := r.mme.Create(t.Context(), request(t, phone1, []byte("no ticket")))
		r.must(err)
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: []byte("no segment")}))
		for range 4 {
			r.ul(s, 100)
		}
		time.Sleep(2 * time.Second)
		got := r.sink.all()
		if len(got) != 1 || got[0].UL != 200 || len(got[0].Ticket) != 0 || len(got[0].Segment) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestByteCapHoldsAcrossSessionsOfATicket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ticket := r.ticket(1, 1000)
		for no := range uint32(3) {
			s, err := r.mme.Create(t.Context(), request(t, phone1, ticket))
			r.must(err)
			r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, no)}))
			for range 4 {
				r.ul(s, 100)
			}
			if no == 2 { // the session has ended with the cap: its tower brings no more
				time.Sleep(time.Second)
				if r.lost != 1 || r.mme.Sessions() != 1 { // the first one, which it has not deleted
					t.Errorf("the MME was told of %d ended sessions, has %d", r.lost, r.mme.Sessions())
				}
				refusedWith(t, r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 9)}), gtpc.ContextNotFound)
			} else if no == 1 {
				r.must(r.mme.Delete(t.Context(), s))
			} // else the next attach comes while this one stands, or drains
		}
		if sum := octets(r.sink); sum != 1000 {
			t.Errorf("%d octets under a cap of 1000", sum)
		}
		_, err := r.mme.Create(t.Context(), request(t, phone1, ticket))
		refusedWith(t, err, gtpc.UserAuthFailed)
		s, err := r.mme.Create(t.Context(), request(t, phone1, r.ticket(2, 300)))
		r.must(err)
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(2, 0)}))
		for range 3 {
			r.ul(s, 100)
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Ticket: r.ticket(3, 300), Segment: r.segment(3, 0)}))
		for range 3 {
			r.ul(s, 100)
		}
		if c := r.gw.Sessions()[0].Count.Octets(); c != 600 { // renewed in time
			t.Errorf("%d octets under two tickets, want 600", c)
		}
	})
}

func octets(s *sink) (sum uint64) {
	for _, r := range s.all() {
		sum += r.UL + r.DL
	}
	return sum
}

// One ticket serves one phone at a time: two together would carry its cap twice.
func TestOneSessionATicket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ticket := r.ticket(1, 1000)
		var both []*s11.Session
		for i, phone := range []string{phone1, phone2} {
			s, err := r.mme.Create(t.Context(), request(t, phone, ticket))
			r.must(err)
			r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: enb.Addr, TEID: enb.TEID + id.TEID(i)}, Segment: r.segment(1, uint32(i))}))
			both = append(both, s)
			r.ul(s, 100)
		}
		for range 20 {
			r.ul(both[0], 100)
			r.ul(both[1], 100)
		}
		time.Sleep(2 * time.Second)
		if sum := octets(r.sink); sum != 1000 {
			t.Errorf("%d octets under a cap of 1000", sum)
		}
	})
}

func TestRestartedMMELosesItsSessions(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		a := r.attach(phone1, 1)
		r.ul(a, 100)
		r.mme.Close()
		synctest.Wait()
		stop := r.startMME(2)
		defer stop()
		r.attach(phone2, 2)
		time.Sleep(time.Second)
		got := r.sink.all()
		if st := r.gw.Stats(); st.Sessions != 1 || len(got) == 0 || !got[0].Closed || got[0].UL != 100 {
			t.Errorf("%+v, %+v", st, got)
		}
	})
}

// An MME that asks about a session of the gateway's earlier run learns with the refusal
// that there has been a restart (TS 23.007 §16.1A.2), and not by the next echo.
func TestRefusalTellsOfRestart(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s, err := r.mme.Restore(s11.State{Session: s11.Session{EBI: 5}, Local: 9, Remote: 7777, Peer: netip.AddrPortFrom(gwIP, 2123), Run: 1 + 5})
		r.must(err)
		refusedWith(t, r.mme.Release(t.Context(), s), gtpc.ContextNotFound)
		if r.lost != 1 {
			t.Errorf("%d sessions are known to be lost, want 1", r.lost)
		}
	})
}

func TestMuchTrafficIsReportedAtOnceAndFailuresAreRepeated(t *testing.T) {
	inBubble(t, func(o *gateway.Options) { o.ReportEvery = time.Hour }, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		synctest.Wait()
		for range 300 {
			r.ul(s, 1000)
		}
		got := r.sink.all()
		if len(got) != 1 || got[0].UL < 256<<10 || got[0].Closed {
			t.Fatalf("%+v", got)
		}
		r.sink.failWith(errors.New("meter is away"))
		r.must(r.mme.Delete(t.Context(), s))
		time.Sleep(time.Minute)
		if st := r.gw.Stats(); st.Unreported != 1 {
			t.Errorf("%d unreported", st.Unreported)
		}
		r.sink.failWith(nil)
		time.Sleep(time.Hour)
		if got := r.sink.all(); !got[0].Closed || got[0].UL != 300_000 || r.gw.Stats().Unreported != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestServeEndReportsEverything(t *testing.T) {
	var kept *sink
	inBubble(t, func(o *gateway.Options) { o.ReportEvery = time.Hour }, func(t *testing.T, r *rig) {
		r.ul(r.attach(phone1, 1), 100)
		r.ul(r.attach(phone2, 2), 300)
		kept = r.sink
	})
	got := kept.all()
	if len(got) != 2 || !got[0].Closed || !got[1].Closed || got[0].UL+got[1].UL != 400 {
		t.Errorf("%+v", got)
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	inBubble(t, func(o *gateway.Options) { o.MMEs = []netip.Prefix{netip.PrefixFrom(mmeIP, 32)} }, func(t *testing.T, r *rig) {
		r.attach(phone1, 1)
		stranger, err := s11.New(s11.Options{Conn: r.listen(netip.MustParseAddr("127.6.6.6"), 2123), Gateway: netip.AddrPortFrom(gwIP, 0), Logger: quiet})
		r.must(err)
		defer r.serve(stranger.Serve)()
		if _, err := stranger.Create(t.Context(), request(t, phone1, r.ticket(1, 1))); !errors.Is(err, gtpc.ErrNoAnswer) {
			t.Errorf("err = %v", err)
		}
		if st := r.gw.Stats(); st.Sessions != 1 || st.S11.Dropped[gtpc.DropStranger] != 4 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAnotherTicketsSegmentIsRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		refusedWith(t, r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(9, 1)}), gtpc.MandatoryIEIncorrect)
	})
}
