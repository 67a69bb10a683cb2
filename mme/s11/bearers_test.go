package s11_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

var flows = eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{{Direction: eps.FilterBidirectional, ID: 1, Precedence: 7,
	Components: eps.FilterComponents{}.With(eps.FilterProtocol, 17)}}}

var voice = gtpc.QoS{ARP: gtpc.ARP{Level: 2, CanPreempt: true}, QCI: 1, MBRUL: 64 * id.Kbps, MBRDL: 64 * id.Kbps, GBRUL: 32 * id.Kbps, GBRDL: 32 * id.Kbps}

// createBearer is a Create Bearer Request as a gateway sends it.
func createBearer(to id.TEID, parts ...*ie.IE) *gtpc.Message {
	return gtpc.New(gtpc.CreateBearerRequest, to, append([]*ie.IE{gtpc.PTI(9), gtpc.EBI(5)}, parts...)...)
}

func wholeBearer() *ie.IE {
	return gtpc.BearerContext(0, ie.New(ie.EPSBearerID, 0, []byte{0}), ie.New(ie.BearerTFT, 0, flows.AppendTo(nil)),
		gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: 0x88, Addr: gwAddr.Addr()}.IE(0), voice.IE(), gtpc.ChargingID(77),
		ie.New(ie.ProtocolConfigurationOptions, 0, []byte{0x80, 0, 1, 0}))
}

// A gateway's requests of bearers arrive with all they say, and are answered when
// and as the MME says, repeated or not.
func TestBearerRequests(t *testing.T) {
	var (
		mu  sync.Mutex
		got []*s11.BearerRequest
	)
	o := s11.Options{OnBearers: func(r *s11.BearerRequest) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r)
	}}
	inBubble(t, o, func(w *world) {
		s := w.create(request(t))
		local := s.State().Local
		ask := func(m *gtpc.Message, answer s11.BearerAnswer) *gtpc.Message {
			got = nil
			time.AfterFunc(5*time.Second, func() {
				mu.Lock()
				defer mu.Unlock()
				if len(got) != 1 {
					t.Errorf("%v arrived %d times", m.Type, len(got))
				}
				got[0].Reply(answer)
			})
			res, err := w.gw.Request(w.Context(), mmeAddr, m)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}

		enb := s11.FTEID{Addr: netip.MustParseAddr("127.0.0.10"), TEID: 0x44}
		res := ask(createBearer(local, wholeBearer()), s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: []s11.BearerOutcome{{EBI: 6, Cause: gtpc.Accepted, ENB: enb}}})
		r := got[0]
		if b := r.Bearers[0]; r.Type != gtpc.CreateBearerRequest || r.Session != s || r.PTI != 9 || r.Linked != 5 || *b.QoS != voice || b.SGW.TEID != 0x88 ||
			b.ChargingID != 77 || len(b.TFT.Filters) != 1 || b.TFT.Filters[0].Precedence != 7 || len(b.PCO) != 4 {
			t.Errorf("%+v, %+v", r, b)
		}
		b, err := res.FindBearer(0, 6)
		if err != nil || res.Check() != nil || res.TEID != s.State().Remote {
			t.Fatalf("%v: %v", res, err)
		}
		mine, _ := gtpc.ParseFTEID(gtpc.Find(b, ie.FullyQualifiedTEID, 0))
		yours, _ := gtpc.ParseFTEID(gtpc.Find(b, ie.FullyQualifiedTEID, 1))
		if mine.TEID != enb.TEID || mine.Interface != gtpc.IfS1UeNB || yours.TEID != 0x88 || yours.Interface != gtpc.IfS1USGW {
			t.Errorf("%+v, %+v", mine, yours)
		}

		ambr := gtpc.AMBR{UL: id.Mbps, DL: 2 * id.Mbps}
		ask(gtpc.New(gtpc.UpdateBearerRequest, local, ambr.IE(), gtpc.BearerContext(0, gtpc.EBI(6), voice.IE())),
			s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: []s11.BearerOutcome{{EBI: 6, Cause: gtpc.Accepted}}})
		if r := got[0]; *r.AMBR != ambr || r.Bearers[0].EBI != 6 || r.Bearers[0].TFT != nil || *r.Bearers[0].QoS != voice {
			t.Errorf("%+v", r)
		}

		res = ask(gtpc.New(gtpc.DeleteBearerRequest, local, ie.New(ie.EPSBearerID, 1, []byte{6}), ie.New(ie.EPSBearerID, 1, []byte{7})),
			s11.BearerAnswer{Cause: gtpc.AcceptedPartially, Bearers: []s11.BearerOutcome{{EBI: 6, Cause: gtpc.Accepted}, {EBI: 7, Cause: gtpc.ContextNotFound}}})
		b, err = res.FindBearer(0, 7)
		if r := got[0]; len(r.Bearers) != 2 || r.Linked != 0 || err != nil || gtpc.CheckCause(b, "") == nil || w.client.Sessions() != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		ask(gtpc.New(gtpc.DeleteBearerRequest, local, gtpc.EBI(5), ie.NewCause(uint8(gtpc.ReactivationRequested), 0, 0, 0, nil)), s11.BearerAnswer{Cause: gtpc.Accepted})
		if r := got[0]; r.Linked != 5 || r.Cause != gtpc.ReactivationRequested || w.client.Sessions() != 0 {
			t.Errorf("%+v; %d sessions", r, w.client.Sessions())
		}
	})
}

// What a gateway may not ask is refused at once, with a cause, and reaches nobody.
func TestBadBearerRequests(t *testing.T) {
	o := s11.Options{OnBearers: func(r *s11.BearerRequest) { t.Errorf("%+v arrived", r) }}
	inBubble(t, o, func(w *world) {
		local := w.create(request(t)).State().Local
		without := func(typ uint8) *ie.IE {
			b := wholeBearer()
			for i, e := range b.ChildIEs {
				if e.Type == typ {
					return gtpc.BearerContext(0, append(append([]*ie.IE{}, b.ChildIEs[:i]...), b.ChildIEs[i+1:]...)...)
				}
			}
			return b
		}
		broken := gtpc.BearerContext(0, ie.New(ie.EPSBearerID, 0, []byte{0}), ie.New(ie.BearerTFT, 0, []byte{0x21, 0x31}), voice.IE())
		for what, c := range map[string]struct {
			m    *gtpc.Message
			want gtpc.Cause
		}{
			"nobody's":           {createBearer(local+1, wholeBearer()), gtpc.ContextNotFound},
			"no bearer":          {createBearer(local), gtpc.MandatoryIEMissing},
			"no TFT":             {createBearer(local, without(ie.BearerTFT)), gtpc.MandatoryIEMissing},
			"half a TFT":         {createBearer(local, broken), gtpc.TFTSyntax},
			"no QoS":             {createBearer(local, without(ie.BearerQoS)), gtpc.MandatoryIEMissing},
			"no tunnel":          {createBearer(local, without(ie.FullyQualifiedTEID)), gtpc.MandatoryIEMissing},
			"no linked bearer":   {gtpc.New(gtpc.CreateBearerRequest, local, wholeBearer()), gtpc.MandatoryIEMissing},
			"other's linked":     {gtpc.New(gtpc.CreateBearerRequest, local, gtpc.EBI(9), wholeBearer()), gtpc.ContextNotFound},
			"update of bearer 0": {gtpc.New(gtpc.UpdateBearerRequest, local, wholeBearer()), gtpc.MandatoryIEIncorrect},
			"delete of nothing":  {gtpc.New(gtpc.DeleteBearerRequest, local), gtpc.ConditionalIEMissing},
		} {
			res, err := w.gw.Request(w.Context(), mmeAddr, c.m)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if ce, ok := errors.AsType[*gtpc.CauseError](res.Check()); !ok || ce.Cause != c.want {
				t.Errorf("%s: %v, want %v", what, res.Check(), c.want)
			}
		}
	})
}

// A Bearer Resource Command is over when the gateway's request has come, or its
// failure indication; so is a Delete Bearer Command.
func TestCommands(t *testing.T) {
	var heard []*s11.BearerRequest
	o := s11.Options{OnBearers: func(r *s11.BearerRequest) {
		heard = append(heard, r)
		r.Reply(s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: []s11.BearerOutcome{{EBI: 6, Cause: gtpc.Accepted}}})
	}}
	inBubble(t, o, func(w *world) {
		s := w.create(request(t))
		var asked *gtpc.Message
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			asked = m
			trigger := createBearer(s.State().Local, wholeBearer())
			if m.Type == gtpc.DeleteBearerCommand {
				trigger = gtpc.New(gtpc.DeleteBearerRequest, s.State().Local, ie.New(ie.EPSBearerID, 1, []byte{6}))
			}
			go func() {
				if _, err := w.gw.Trigger(context.Background(), mmeAddr, m, trigger); err != nil {
					t.Error(err)
				}
			}()
			return gtpc.Held()
		}
		q := voice
		if err := w.client.Resources(w.Context(), s, s11.ResourceRequest{PTI: 9, QoS: &q, TAD: flows}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(heard) != 1 || heard[0].PTI != 9 || gtpc.ParsePTI(asked.IE(ie.ProcedureTransactionID, 0)) != 9 || len(asked.IE(ie.FlowQoS, 0).Payload) != 21 ||
			asked.IE(ie.EPSBearerID, 1) != nil || len(asked.IE(ie.TrafficAggregateDescription, 0).Payload) != len(flows.AppendTo(nil)) {
			t.Errorf("%d heard, %+v", len(heard), asked)
		}
		if err := w.client.Drop(w.Context(), s, []id.EBI{6}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(heard) != 2 || heard[1].Bearers[0].EBI != 6 {
			t.Errorf("%+v", heard)
		}
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			return gtpc.New(m.Type.Answer(), 1, gtpc.CauseIE(gtpc.Refuse(gtpc.NoResources, 0, "")))
		}
		err := w.client.Resources(w.Context(), s, s11.ResourceRequest{PTI: 9, EBI: 6, TAD: flows})
		if ce, ok := errors.AsType[*gtpc.CauseError](err); !ok || ce.Cause != gtpc.NoResources {
			t.Errorf("%v", err)
		}
	})
}

// A gateway that has lost a dedicated bearer says so when bearers are modified.
func TestModifyFindsBearersGone(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		s := w.create(request(t))
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			return gtpc.New(gtpc.ModifyBearerResponse, 1, ie.NewCause(uint8(gtpc.AcceptedPartially), 0, 0, 0, nil),
				gtpc.BearerContext(0, gtpc.EBI(5), gtpc.CauseIE(nil)),
				gtpc.BearerContext(0, gtpc.EBI(6), gtpc.CauseIE(gtpc.Refuse(gtpc.ContextNotFound, 0, ""))),
				gtpc.BearerContext(0, gtpc.EBI(7), gtpc.CauseIE(nil)))
		}
		enb := s11.FTEID{Addr: netip.MustParseAddr("127.0.0.10"), TEID: 0x44}
		err := w.client.Modify(w.Context(), s, s11.ModifyBearer{ENB: enb, Dedicated: []s11.Tunnel{{EBI: 6, ENB: enb}, {EBI: 7, ENB: enb}}})
		if gone, ok := errors.AsType[*s11.BearersGone](err); !ok || len(gone.EBIs) != 1 || gone.EBIs[0] != 6 {
			t.Errorf("%v", err)
		}
	})
}

// FuzzBearerRequest: whatever a gateway sends is answered or dropped, and what
// reaches the MME can be answered.
func FuzzBearerRequest(f *testing.F) {
	for _, m := range []*gtpc.Message{
		createBearer(1, wholeBearer()), gtpc.New(gtpc.UpdateBearerRequest, 1, gtpc.AMBR{UL: 1, DL: 1}.IE(), gtpc.BearerContext(0, gtpc.EBI(6), voice.IE())),
		gtpc.New(gtpc.DeleteBearerRequest, 1, ie.New(ie.EPSBearerID, 1, []byte{6})), gtpc.New(gtpc.DeleteBearerRequest, 1, gtpc.EBI(5)),
	} {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := gtpc.Parse(b)
		if err != nil {
			return
		}
		r, err := s11.ParseBearers(m)
		if err != nil {
			return
		}
		a := s11.BearerAnswer{Cause: gtpc.Accepted}
		for i := range r.Bearers {
			if r.Type == gtpc.CreateBearerRequest && (r.Bearers[i].TFT == nil || r.Bearers[i].QoS == nil) {
				t.Errorf("%+v", r.Bearers[i])
			}
			a.Bearers = append(a.Bearers, s11.BearerOutcome{EBI: 6, Cause: gtpc.Accepted})
		}
		if _, err := s11.AnswerBearers(r, a).Marshal(); err != nil && len(r.Bearers) < 16 {
			t.Error(err)
		}
	})
}
