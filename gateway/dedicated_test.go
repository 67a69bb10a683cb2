package gateway_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/usage"
)

// voice is a bearer with a guaranteed bit rate, and the filter of what goes over it:
// packets from webIP.
var (
	voice = gtpc.QoS{ARP: gtpc.ARP{Level: 2, CanPreempt: true}, QCI: 1, MBRUL: 64 * id.Kbps, MBRDL: 64 * id.Kbps, GBRUL: 32 * id.Kbps, GBRDL: 32 * id.Kbps}
	plain = gtpc.QoS{ARP: gtpc.ARP{Level: 8}, QCI: 8}
	web   = []eps.PacketFilter{{Direction: eps.FilterBidirectional, ID: 1, Precedence: 7,
		Components: eps.FilterComponents{}.With(eps.FilterIPv4Remote, 93, 184, 216, 34, 255, 255, 255, 255)}}
	other = []eps.PacketFilter{{Direction: eps.FilterBidirectional, ID: 1, Precedence: 7,
		Components: eps.FilterComponents{}.With(eps.FilterIPv4Remote, 8, 8, 8, 8, 255, 255, 255, 255)}}
	dedicatedENB = s11.FTEID{Addr: towerIP, TEID: 0x6006}
)

// agrees answers what a gateway asks of bearers: created ones get identities from 6 on.
func (r *rig) agrees(q *s11.BearerRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orders = append(r.orders, q)
	a := s11.BearerAnswer{Cause: r.bearerCause}
	for _, b := range q.Bearers {
		o := s11.BearerOutcome{EBI: b.EBI, Cause: r.bearerCause}
		if q.Type == gtpc.CreateBearerRequest && r.bearerCause.OK() {
			o.EBI, o.ENB = id.EBI(6+r.made), dedicatedENB
			o.ENB.TEID += id.TEID(r.made)
			r.made++
		}
		a.Bearers = append(a.Bearers, o)
	}
	go q.Reply(a)
}

// A bearer that the operator makes takes the packets that its filters choose, counts them
// apart under a number of its own, and gives them back to the default bearer when it
// ends.
func TestDedicatedBearer(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		ebi, err := r.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: plain, Filters: web})
		r.must(err)
		q := r.orders[0]
		if b := q.Bearers[0]; ebi != 6 || q.Linked != 5 || *b.QoS != plain || b.SGW.Addr != gwIP || b.SGW.TEID == s.SGW.TEID || b.ChargingID == 0 || b.ChargingID == s.ChargingID {
			t.Fatalf("bearer %d, asked for %+v", ebi, q)
		}
		r.dl(s, 200)
		if n, teid := r.towerReads(); n != 200 || teid != dedicatedENB.TEID {
			t.Errorf("%d octets to %v", n, teid)
		}
		up := s11.Session{Address: s.Address, SGW: q.Bearers[0].SGW}
		r.ul(&up, 100)
		r.must(r.gw.UpdateBearer(t.Context(), s.IMSI, 6, nil, &eps.TFT{Operation: eps.TFTReplaceFilters, Filters: other}, nil))
		r.dl(s, 300)
		if n, teid := r.towerReads(); n != 300 || teid != enb.TEID {
			t.Errorf("after its filters were replaced: %d octets to %v", n, teid)
		}
		if i := r.gw.Sessions(); len(i) != 1 || len(i[0].Bearers) != 2 || i[0].Bearers[1].EBI != 6 || i[0].Count.DLOctets != 500 || i[0].Count.ULOctets != 100 {
			t.Errorf("%+v", i)
		}
		r.must(r.gw.DeleteBearer(t.Context(), s.IMSI, 6, 0))
		r.ul(&up, 50) // was on its way
		time.Sleep(2 * time.Second)
		r.ul(&up, 77)
		got := r.sink.all()
		slices.SortFunc(got, func(a, b usage.Record) int { return int(a.Session) - int(b.Session) })
		if len(got) != 2 || got[0].Closed || got[0].DL != 300 || !got[1].Closed || got[1].UL != 150 || got[1].DL != 200 || got[1].TEID != up.SGW.TEID ||
			got[0].Session == got[1].Session || string(got[0].Segment) != string(got[1].Segment) {
			t.Errorf("%+v", got)
		}
		if st := r.gw.Stats(); st.Dedicated != 0 || st.Path.Bearers != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// What the MME or the phone refuses is not made, and what cannot be is not asked for.
func TestBearerRefused(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		r.bearerCause = gtpc.UERefuses
		_, err := r.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: voice, Filters: web})
		refusedWith(t, err, gtpc.UERefuses)
		asked := len(r.orders)
		for what, n := range map[string]gateway.NewBearer{
			"guaranteed without rates": {IMSI: s.IMSI, QoS: gtpc.QoS{QCI: 1}, Filters: web},
			"rates without guarantee":  {IMSI: s.IMSI, QoS: gtpc.QoS{QCI: 9, GBRUL: 1, MBRUL: 1}, Filters: web},
			"no filters":               {IMSI: s.IMSI, QoS: plain},
			"another phone":            {IMSI: imsi(t, phone2), QoS: plain, Filters: web},
		} {
			if _, err := r.gw.CreateBearer(t.Context(), n); err == nil {
				t.Errorf("%s: made", what)
			}
		}
		if len(r.orders) != asked {
			t.Errorf("the MME was asked %d times more", len(r.orders)-asked)
		}
		if st := r.gw.Stats(); st.Dedicated != 0 || st.Path.Bearers != 1 {
			t.Errorf("%+v", st)
		}
		r.bearerCause = gtpc.TemporarilyRejected
		go func() {
			time.Sleep(3 * time.Second) // the handover is over
			r.mu.Lock()
			defer r.mu.Unlock()
			r.bearerCause = gtpc.Accepted
		}()
		if ebi, err := r.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: plain, Filters: web}); err != nil || ebi != 6 {
			t.Errorf("bearer %d, %v", ebi, err)
		}
	})
}

// TS 24.301 §6.5.3, §6.5.4: what a phone asks for it gets as far as Policy goes: a bearer,
// another filter, its end with the last one.
func TestPhoneAsksForBearers(t *testing.T) {
	policy := func(o *gateway.Options) { o.Policy = gateway.Policy{Asked: []id.QCI{1, 8}, Guaranteed: 50 * id.Kbps} }
	hearing(t, policy, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		ask := func(q s11.ResourceRequest) error { return r.mme.Resources(t.Context(), s, q) }
		create := eps.TFT{Operation: eps.TFTCreate, Filters: web}
		r.must(ask(s11.ResourceRequest{PTI: 9, QoS: &plain, TAD: create}))
		synctest.Wait()
		if q := r.orders[0]; q.PTI != 9 || q.Type != gtpc.CreateBearerRequest || q.Bearers[0].QoS.QCI != 8 || q.Bearers[0].QoS.ARP != (gtpc.ARP{Level: 8}) {
			t.Errorf("%+v", q)
		}
		refusedWith(t, ask(s11.ResourceRequest{PTI: 10, QoS: &gtpc.QoS{QCI: 7}, TAD: create}), gtpc.ServiceDenied)
		r.must(ask(s11.ResourceRequest{PTI: 11, QoS: &voice, TAD: create}))
		synctest.Wait()
		if p := r.orders[1].Bearers[0].TFT.Filters[0].Precedence; p == web[0].Precedence {
			t.Errorf("two bearers have filters of precedence %d", p)
		}
		refusedWith(t, ask(s11.ResourceRequest{PTI: 12, QoS: &voice, TAD: create}), gtpc.NoResources)
		refusedWith(t, ask(s11.ResourceRequest{PTI: 13, EBI: 9, TAD: eps.TFT{Operation: eps.TFTNone}}), gtpc.ContextNotFound)
		r.must(ask(s11.ResourceRequest{PTI: 14, EBI: 6, TAD: eps.TFT{Operation: eps.TFTDeleteFilters, Filters: []eps.PacketFilter{{ID: 0}}}}))
		synctest.Wait()
		if q := r.orders[2]; q.Type != gtpc.DeleteBearerRequest || q.PTI != 14 || q.Bearers[0].EBI != 6 {
			t.Errorf("%+v", q)
		}
		r.must(r.mme.Drop(t.Context(), s, []id.EBI{7}))
		time.Sleep(2 * time.Second)
		if st := r.gw.Stats(); st.Dedicated != 0 || st.Path.Bearers != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A session without a policy for it gives phones nothing.
func TestPhoneMayNotAsk(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		err := r.mme.Resources(t.Context(), s, s11.ResourceRequest{PTI: 9, QoS: &plain, TAD: eps.TFT{Operation: eps.TFTCreate, Filters: web}})
		refusedWith(t, err, gtpc.ServiceDenied)
	})
}

// TS 29.274 §7.2.18: what a handover's source brings goes to its target, uncounted, until
// that is ended, or the session.
func TestIndirectForwarding(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		target := s11.FTEID{Addr: towerIP, TEID: 0x7007}
		ends, err := r.mme.Forward(t.Context(), s, []s11.Forwarding{{EBI: 5, DL: target}})
		r.must(err)
		if len(ends) != 1 || ends[0].DL.Addr != gwIP || ends[0].DL.TEID == s.SGW.TEID || ends[0].UL.TEID != 0 {
			t.Fatalf("%+v", ends)
		}
		r.ul(&s11.Session{Address: s.Address, SGW: ends[0].DL}, 123)
		if n, teid := r.towerReads(); n != 123 || teid != target.TEID {
			t.Errorf("%d octets to %v", n, teid)
		}
		if c := r.gw.Sessions()[0].Count; c.Octets() != 0 {
			t.Errorf("counted: %+v", c)
		}
		r.must(r.mme.EndForward(t.Context(), s))
		_, err = r.mme.Forward(t.Context(), s, []s11.Forwarding{{EBI: 9, DL: target}})
		refusedWith(t, err, gtpc.ContextNotFound)
		_, err = r.mme.Forward(t.Context(), s, []s11.Forwarding{{EBI: 5, DL: s11.FTEID{Addr: gwIP, TEID: s.SGW.TEID}}})
		refusedWith(t, err, gtpc.MandatoryIEIncorrect)
		for range 30 {
			if _, err = r.mme.Forward(t.Context(), s, []s11.Forwarding{{EBI: 5, DL: target}}); err != nil {
				break
			}
		}
		refusedWith(t, err, gtpc.NoResources)
		r.must(r.mme.Delete(t.Context(), s))
	})
}

// The home has changed what a subscriber gets (TS 29.274 §7.2.14): AMBR and quality of the
// default bearer follow, after the phone.
func TestModifyBearerCommand(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		st := s.State()
		ambr, q := gtpc.AMBR{UL: id.Mbps, DL: 2 * id.Mbps}, gtpc.QoS{QCI: 6, ARP: gtpc.ARP{Level: 3}}
		r.command(gtpc.New(gtpc.ModifyBearerCommand, st.Remote, ambr.IE(), gtpc.BearerContext(0, gtpc.EBI(5), q.IE())))
		synctest.Wait()
		o := r.orders[0]
		if o.Type != gtpc.UpdateBearerRequest || *o.AMBR != ambr || *o.Bearers[0].QoS != q {
			t.Errorf("%+v", o)
		}
		if i := r.gw.Sessions()[0]; i.AMBR != ambr || i.Bearers[0].QoS != q {
			t.Errorf("%+v", i)
		}
	})
}

// command sends a command as the MME, whose client has no word for it.
func (r *rig) command(m *gtpc.Message) {
	m.Seq = 0x800001
	b, err := m.Marshal()
	r.must(err)
	r.mmeConn.WriteToUDPAddrPort(b, r.gw.S11Addr())
}
