package mme

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/proof"
)

var secondPLMN, thirdPLMN = must(id.ParsePLMN("99901")), must(id.ParsePLMN("26201"))

// lateTowers is a register of towers that takes its time, or says nothing.
type lateTowers struct {
	Towers
	takes time.Duration
	asked *int
}

func (s lateTowers) Admit(ctx context.Context, g id.GlobalENBID, tais []id.TAI) (proof.TowerKey, error) {
	*s.asked++
	select {
	case <-time.After(s.takes):
		return s.Towers.Admit(ctx, g, tais)
	case <-ctx.Done():
		return proof.TowerKey{}, ctx.Err()
	}
}

// TS 36.413 §8.7.3.3: why S1 Setup fails, and how long the eNB is to wait.
func TestAbnormal_36413_8_7_3_3(t *testing.T) {
	asked := 0
	for _, c := range []struct {
		name   string
		change func(*Options)
		before func(*world)
		spoil  func(*s1ap.S1SetupRequest)
		cause  s1ap.Cause
		wait   *s1ap.TimeToWait
	}{
		{"no PLMN of it is served", nil, nil, func(m *s1ap.S1SetupRequest) { m.SupportedTAs[0].BroadcastPLMNs[0] = s1ap.FromPLMN(thirdPLMN) }, s1ap.CauseMiscUnknownPLMN.Cause(), nil},
		{"tower not registered", nil, nil, func(m *s1ap.S1SetupRequest) { m.GlobalENBID.ENBID.MacroENBID += 9 }, s1ap.CauseMiscOmIntervention.Cause(), new(s1ap.TimeToWaitV60s)},
		{"register silent", func(o *Options) { o.Towers = lateTowers{o.Towers, time.Hour, &asked} }, nil, nil, s1ap.CauseMiscUnspecified.Cause(), new(s1ap.TimeToWaitV10s)},
		{"its id is another's", nil, func(w *world) {
			e := w.tower(0x19b)
			w.ends.Go(func() { e.lossy = true; e.answerProbe() })
		}, nil, s1ap.CauseMiscOmIntervention.Cause(), new(s1ap.TimeToWaitV60s)},
		{"overload", func(o *Options) { o.MaxAttaches = 1 }, func(w *world) {
			e := w.tower(0x19c)
			w.stranger(e, "001010000099999").hang()
			time.Sleep(15 * time.Second)
		}, nil, s1ap.CauseMiscControlProcessingOverload.Cause(), new(s1ap.TimeToWaitV20s)},
		{"a PLMN that is none", nil, nil, func(m *s1ap.S1SetupRequest) { m.GlobalENBID.PLMNidentity = s1ap.PLMNidentity{0xff, 0xff, 0xff} }, s1ap.CauseProtocolSemanticError.Cause(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, c.change, func(w *world) {
				if c.before != nil {
					c.before(w)
				}
				f := w.dial()
				m := f.setupRequest(0x19b)
				if c.spoil != nil {
					c.spoil(m)
				}
				f.send(m)
				got := expect[*s1ap.S1SetupFailure](f)
				if got.Cause != c.cause || (got.TimeToWait == nil) != (c.wait == nil) || c.wait != nil && *got.TimeToWait != *c.wait {
					t.Errorf("refused with %v", got)
				}
				f.a.Abort("enough")
			})
		})
	}
}

// hang begins an attach that nothing comes of.
func (p *phone) hang() {
	p.w.home.add(p.imsi)
	p.initial(p.attachRequest())
	down[*eps.AuthenticationRequest](p)
}

// TS 36.413 §8.7.3.4: none of the PLMNs is known; with one that is, it is taken, and
// what it broadcasts besides is kept.
func TestAbnormal_36413_8_7_3_4(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.dial()
		m := e.setupRequest(0x19b)
		m.SupportedTAs = append(m.SupportedTAs, s1ap.SupportedTAsItem{TAC: s1ap.FromTAC(8), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(thirdPLMN)}})
		m.SupportedTAs[0].BroadcastPLMNs = s1ap.BPLMNs{s1ap.FromPLMN(secondPLMN)}
		e.send(m)
		if f := expect[*s1ap.S1SetupFailure](e); f.Cause != s1ap.CauseMiscUnknownPLMN.Cause() {
			t.Errorf("%v", f)
		}
		m.SupportedTAs[0].BroadcastPLMNs = s1ap.BPLMNs{s1ap.FromPLMN(secondPLMN), s1ap.FromPLMN(testPLMN)}
		m.DefaultPagingDRX = s1ap.PagingDRXV64
		e.send(m)
		expect[*s1ap.S1SetupResponse](e)
		synctest.Wait()
		if i := w.m.ENBs()[0]; len(i.TAIs) != 3 || i.PagingDRX != 64 {
			t.Errorf("%+v", i)
		}
	})
}

// A shared network (TS 23.251 §5.2.3): a phone that has chosen the second operator's
// PLMN has keys and a GUTI of that one, and comes back by it.
func TestSharedNetwork(t *testing.T) {
	play(t, func(o *Options) { o.Shared = []id.PLMN{secondPLMN} }, func(w *world) {
		e := w.dial()
		e.plmn = secondPLMN
		m := e.setupRequest(0x19b)
		m.SupportedTAs[0].BroadcastPLMNs = append(m.SupportedTAs[0].BroadcastPLMNs, s1ap.FromPLMN(testPLMN))
		e.send(m)
		r := expect[*s1ap.S1SetupResponse](e)
		if g := r.ServedGUMMEIs; len(g) != 1 || !slices.Equal(g[0].ServedPLMNs, s1ap.ServedPLMNs{s1ap.FromPLMN(testPLMN), s1ap.FromPLMN(secondPLMN)}) {
			t.Errorf("served: %v", r)
		}
		p := w.phone(e)
		p.plmn = secondPLMN
		p.attach()
		if p.guti.GUMMEI.PLMN != secondPLMN {
			t.Errorf("GUTI %v", p.guti)
		}
		p.idleAndBack()
		p.idle()
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
	})
}

// TS 36.413 §8.7.4.2: an eNB changes its name, paging cycle and tracking areas.
func TestENBConfigurationUpdate(t *testing.T) {
	asked := 0
	play(t, func(o *Options) { o.Towers = lateTowers{o.Towers, time.Second, &asked} }, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.ENBConfigurationUpdate{ENBname: "renamed", DefaultPagingDRX: new(s1ap.PagingDRXV32)})
		expect[*s1ap.ENBConfigurationUpdateAcknowledge](e)
		synctest.Wait()
		if i := w.m.ENBs()[0]; i.Name != "renamed" || i.PagingDRX != 32 || i.TAIs[0].TAC != 7 || asked != 1 {
			t.Errorf("%+v, the register was asked %d times", i, asked)
		}
		change := &s1ap.ENBConfigurationUpdate{SupportedTAs: s1ap.SupportedTAs{{TAC: s1ap.FromTAC(9), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(testPLMN)}}}}
		e.send(change)
		p.uplink(p.updateRequest(eps.UpdateTA)) // while the register is asked
		down[*eps.TrackingAreaUpdateAccept](p)
		expect[*s1ap.ENBConfigurationUpdateAcknowledge](e)
		synctest.Wait()
		if i := w.m.ENBs()[0]; i.Name != "renamed" || i.TAIs[0].TAC != 9 || asked != 2 {
			t.Errorf("%+v, the register was asked %d times", i, asked)
		}
		e.send(change) // TS 36.413 §8.7.4.4: an answer was lost
		expect[*s1ap.ENBConfigurationUpdateAcknowledge](e)
		if i := p.settled(); i.State != Connected || asked != 2 {
			t.Errorf("the phone is %v, the register was asked %d times", i.State, asked)
		}
	})
}

// TS 36.413 §8.7.4.3: an eNB configuration update that is refused changes nothing.
func TestAbnormal_36413_8_7_4_3(t *testing.T) {
	asked := 0
	play(t, func(o *Options) { o.Towers = lateTowers{o.Towers, time.Second, &asked} }, func(w *world) {
		e := w.tower(0x19b)
		areas := func(tac id.TAC, plmn id.PLMN) *s1ap.ENBConfigurationUpdate {
			return &s1ap.ENBConfigurationUpdate{ENBname: "other", SupportedTAs: s1ap.SupportedTAs{{TAC: s1ap.FromTAC(tac), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(plmn)}}}}
		}
		e.send(areas(9, thirdPLMN))
		if f := expect[*s1ap.ENBConfigurationUpdateFailure](e); f.Cause != s1ap.CauseMiscUnknownPLMN.Cause() || f.TimeToWait != nil {
			t.Errorf("%v", f)
		}
		delete(w.towers, 0x19b)
		e.send(areas(9, testPLMN))
		e.send(areas(10, testPLMN)) // without waiting
		if f := expect[*s1ap.ENBConfigurationUpdateFailure](e); f.Cause != s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause() || *f.TimeToWait != s1ap.TimeToWaitV5s {
			t.Errorf("%v", f)
		}
		if f := expect[*s1ap.ENBConfigurationUpdateFailure](e); f.Cause != s1ap.CauseMiscOmIntervention.Cause() || *f.TimeToWait != s1ap.TimeToWaitV60s {
			t.Errorf("%v", f)
		}
		synctest.Wait()
		if i := w.m.ENBs()[0]; i.Name != "srsenb01" || i.TAIs[0].TAC != 7 {
			t.Errorf("%+v", i)
		}
		w.counted("eNB configuration update S1AP cause misc: om-intervention", 1)
	})
}

// TS 36.413 §8.7.5: all eNBs learn what has changed, and only that they know not.
func TestMMEConfigurationUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		c := Configuration{Name: "second", Capacity: 7, Shared: []id.PLMN{secondPLMN}}
		if err := w.m.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*enbPeer{e, f} {
			m := expect[*s1ap.MMEConfigurationUpdate](x)
			if m.MMEname != "second" || *m.RelativeMMECapacity != 7 || len(m.ServedGUMMEIs[0].ServedPLMNs) != 2 {
				t.Errorf("%v", m)
			}
			x.send(&s1ap.MMEConfigurationUpdateAcknowledge{})
		}
		e.silent(time.Minute)
		f.silent(time.Minute)
		if err := w.m.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		e.silent(time.Minute) // which knows it
		w.towers[0x19d] = proof.TowerKey{3}
		g := w.dial()
		g.plmn = secondPLMN
		g.send(g.setupRequest(0x19d))
		if m := expect[*s1ap.S1SetupResponse](g); m.MMEname != "second" || m.RelativeMMECapacity != 7 {
			t.Errorf("%v", m)
		}
		g.silent(time.Minute)
		for _, bad := range []Configuration{{Name: "Käse"}, {Name: "x", Shared: []id.PLMN{testPLMN}}, {Name: "x", Shared: []id.PLMN{secondPLMN, secondPLMN}}, {Name: "x", Shared: make([]id.PLMN, 40)}} {
			if w.m.Reconfigure(bad) == nil {
				t.Errorf("%+v is taken", bad)
			}
		}
		e.send(&s1ap.MMEConfigurationUpdateAcknowledge{}) // of nothing
		w.counted(dropNames[dropUnexpectedPDU], 1)
	})
}

// TS 36.413 §8.7.5.3: an MME configuration update that fails with Time to wait is
// sent again after it; one that fails without is not.
func TestAbnormal_36413_8_7_5_3(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		_ = w.m.Reconfigure(Configuration{Name: "a", Capacity: 1})
		expect[*s1ap.MMEConfigurationUpdate](e)
		e.send(&s1ap.MMEConfigurationUpdateFailure{Cause: s1ap.CauseMiscControlProcessingOverload.Cause(), TimeToWait: new(s1ap.TimeToWaitV20s)})
		e.silent(19 * time.Second)
		expect[*s1ap.MMEConfigurationUpdate](e)
		e.send(&s1ap.MMEConfigurationUpdateFailure{Cause: s1ap.CauseMiscUnspecified.Cause()})
		e.silent(time.Hour / 4)
		w.counted("MME configuration update S1AP cause misc: unspecified", 1)
	})
}

// TS 36.413 §8.7.5.4: without an answer the same is sent again, also when there is
// news meanwhile; that comes after.
func TestAbnormal_36413_8_7_5_4(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		_ = w.m.Reconfigure(Configuration{Name: "a", Capacity: 1})
		first := must(s1ap.Append(nil, expect[*s1ap.MMEConfigurationUpdate](e)))
		_ = w.m.Reconfigure(Configuration{Name: "b", Capacity: 2})
		for range 2 {
			if again := must(s1ap.Append(nil, expect[*s1ap.MMEConfigurationUpdate](e))); !slices.Equal(first, again) {
				t.Error("what was sent again is not the same")
			}
		}
		if m := expect[*s1ap.MMEConfigurationUpdate](e); m.MMEname != "b" {
			t.Errorf("%v", m)
		}
		e.send(&s1ap.MMEConfigurationUpdateAcknowledge{})
		e.silent(time.Minute)
		w.counted("MME configuration update no answer", 1)
		w.counted("MME configuration update ok", 1)
	})
}

// TS 36.413 §8.7.1.3.1: items of a Reset without ids are ignored, those with ids of
// nobody acknowledged; 256 are the most, and more are no Reset.
func TestAbnormal_36413_8_7_1_3_1(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p, q := w.phone(e), w.phone(f)
		p.attach()
		q.attach()
		list := s1ap.UEAssociatedLogicalS1ConnectionListRes{{}, {MMEUES1APID: new(q.mmeID)}, {MMEUES1APID: new(q.mmeID), ENBUES1APID: new(q.enbID)}}
		for len(list) < maxReset-1 {
			list = append(list, s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: new(s1ap.MMEUES1APID(0xfffffff0))})
		}
		list = append(list, s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: new(p.mmeID)})
		reset := &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: list}}
		e.send(reset)
		if a := expect[*s1ap.ResetAcknowledge](e); len(a.UEAssociatedLogicalS1ConnectionListResAck) != maxReset {
			t.Errorf("%d acknowledged", len(a.UEAssociatedLogicalS1ConnectionListResAck))
		}
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		if i := q.settled(); i.State != Connected {
			t.Errorf("another eNB's phone is %v", i.State)
		}
		reset.ResetType.PartOfS1Interface = append(list, list[0])
		if _, err := s1ap.Append(nil, reset); err == nil {
			t.Error("a Reset of 257 can be written")
		}
	})
}

// TS 36.413 §8.7.1.3.3: Resets of both sides cross: each is acknowledged.
func TestAbnormal_36413_8_7_1_3_3(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		done := make(chan error, 1)
		go func() {
			done <- w.m.Reset(context.Background(), id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b})
		}()
		synctest.Wait()
		e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		expect[*s1ap.Reset](e)
		expect[*s1ap.ResetAcknowledge](e)
		e.send(&s1ap.ResetAcknowledge{})
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.request()
		p.setupResponse()
		p.settled()
	})
}

// Faulty messages without end get Error Indications with end, and an Error
// Indication, faulty or not, none (TS 36.413 §8.7.2, §10.5).
func TestErrorIndicationStorm(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		for range 1000 {
			e.raw([]byte{0x00, 0x05, 0x00, 0x03, 0x00, 0x00, 0x00})
			e.raw([]byte{0x00, byte(s1ap.ProcedureErrorIndication), 0x40, 0x04, 0x00, 0x00, 0x01, 0x00})
			e.send(&s1ap.ErrorIndication{Cause: new(s1ap.CauseProtocolUnspecified.Cause())})
		}
		n := 0
		for e.maybe(time.Second) != nil {
			n++
		}
		if n != allowanceBurst {
			t.Errorf("%d Error Indications", n)
		}
		time.Sleep(time.Minute)
		e.raw([]byte{0x00, 0x05, 0x00, 0x03, 0x00, 0x00, 0x00})
		expect[*s1ap.ErrorIndication](e)
		p.idleAndBack()
	})
}

// SON information goes from eNB to eNB (TS 36.413 §8.15, §8.16), if its source is
// the one that says it.
func TestConfigurationTransfer(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		g := func(n uint32) s1ap.GlobalENBID {
			return s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: n})
		}
		s := &s1ap.SONConfigurationTransfer{TargeteNBID: s1ap.TargeteNBID{GlobalENBID: g(0x19c), SelectedTAI: f.tai()}, SourceeNBID: s1ap.SourceeNBID{GlobalENBID: g(0x19b), SelectedTAI: e.tai()},
			SONInformation: s1ap.SONInformation{Choice: s1ap.SONInformationChoiceSONInformationRequest}}
		e.send(&s1ap.ENBConfigurationTransfer{SONConfigurationTransferECT: s})
		if m := expect[*s1ap.MMEConfigurationTransfer](f); m.SONConfigurationTransferMCT.SourceeNBID.GlobalENBID.ENBID.MacroENBID != 0x19b {
			t.Errorf("%v", m)
		}
		s.SourceeNBID.GlobalENBID = g(0x19d)
		e.send(&s1ap.ENBConfigurationTransfer{SONConfigurationTransferECT: s})
		s.SourceeNBID.GlobalENBID, s.TargeteNBID.GlobalENBID = g(0x19b), g(0x777)
		e.send(&s1ap.ENBConfigurationTransfer{SONConfigurationTransferECT: s})
		f.silent(time.Second)
		w.counted(dropNames[dropUnexpectedPDU], 2)
	})
}
