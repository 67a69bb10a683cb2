package relay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/sctp"
)

func part(items ...s1ap.UEAssociatedLogicalS1ConnectionItem) *s1ap.Reset {
	return &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: items}}
}

func TestContextsEnd(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"setup fails": func(r *rig) {
			tell(r, r.enb, r.mme, &s1ap.InitialContextSetupFailure{MMEUES1APID: 1, ENBUES1APID: 2, Cause: s1ap.CauseMiscUnspecified.Cause()})
		},
		"eNB resets": func(r *rig) {
			tell(r, r.enb, r.mme, &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		},
		"MME resets one": func(r *rig) {
			tell(r, r.mme, r.enb, &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface,
				PartOfS1Interface: s1ap.UEAssociatedLogicalS1ConnectionListRes{{MMEUES1APID: new(s1ap.MMEUES1APID(1))}}}})
		},
		"MME does not know it": func(r *rig) {
			tell(r, r.mme, r.enb, &s1ap.ErrorIndication{MMEUES1APID: new(s1ap.MMEUES1APID(1)), ENBUES1APID: new(s1ap.ENBUES1APID(2)),
				Cause: new(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause())})
		},
		"MME resets one by both ids": func(r *rig) {
			tell(r, r.mme, r.enb, part(s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: new(s1ap.MMEUES1APID(1)), ENBUES1APID: new(s1ap.ENBUES1APID(2))}))
		},
		"eNB resets one by its own id": func(r *rig) {
			tell(r, r.enb, r.mme, part(s1ap.UEAssociatedLogicalS1ConnectionItem{ENBUES1APID: new(s1ap.ENBUES1APID(2))}))
		},
		"MME does not know the eNB's id": func(r *rig) {
			tell(r, r.mme, r.enb, &s1ap.ErrorIndication{ENBUES1APID: new(s1ap.ENBUES1APID(2)), Cause: new(s1ap.CauseRadioNetworkUnknownEnbUeS1apId.Cause())})
		},
		"MME takes the bearer away": func(r *rig) {
			tell(r, r.mme, r.enb, &s1ap.ERABModificationConfirm{MMEUES1APID: 1, ENBUES1APID: 2,
				ERABToBeReleasedListBearerModConf: s1ap.ERABList{{ERABID: 5, Cause: s1ap.CauseMiscUnspecified.Cause()}}})
		},
		"last bearer goes": func(r *rig) {
			tell(r, r.enb, r.mme, &s1ap.ERABReleaseIndication{MMEUES1APID: 1, ENBUES1APID: 2, ERABReleasedList: s1ap.ERABList{{ERABID: 5, Cause: s1ap.CauseMiscUnspecified.Cause()}}})
		},
		"eNB goes": func(r *rig) { r.enb.Abort("power cut"); ended(r.t, r.mme) },
		"MME goes": func(r *rig) { r.mme.Abort("killed"); ended(r.t, r.enb) },
		"MME stops": func(r *rig) {
			if err := r.mme.Shutdown(r.t.Context()); err != nil {
				r.t.Error(err)
			}
			ended(r.t, r.enb)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *rig) {
				b := r.attach(1, 2, 0x1001, 0x2001)
				r.uplink(b, 40)
				r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
				end(r)
				synctest.Wait()
				r.uplink(b, 40)
				r.nothing(r.gwUser)
				r.dropped(relay.Released, 1)
				time.Sleep(4 * time.Second)
				if s := r.relay.Stats(); s.UEs != 0 || s.Tunnels != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What does not end a context: a Reset of another one, an item with one id of
// this and one of another, an empty item, another eNB's Reset.
func TestContextsStay(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		tell(r, r.mme, r.enb, part(s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: new(s1ap.MMEUES1APID(3))}))
		tell(r, r.enb, r.mme, part(s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: new(s1ap.MMEUES1APID(1)), ENBUES1APID: new(s1ap.ENBUES1APID(3))},
			s1ap.UEAssociatedLogicalS1ConnectionItem{}))
		enb2, mme2 := r.call()
		tell(r, enb2, mme2, &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		tell(r, enb2, mme2, &s1ap.ErrorIndication{MMEUES1APID: new(s1ap.MMEUES1APID(1)), Cause: new(s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause())})
		enb2.Abort("gone")
		ended(t, mme2)
		r.uplink(b, 40)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
		if s := r.relay.Stats(); s.ENBs != 1 || s.UEs != 1 || s.CoreEnded != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An eNB whose MME is away is held while the MME is dialed again, and sent away
// before it would give up; it may come again.
func TestNoMME(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.desk.deaf = true
		start := time.Now()
		enb, _ := r.call()
		ended(t, enb)
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("that took %v; srsenb waits 5 s", d)
		}
		r.desk.deaf = false
		r.desk.none.Store(5) // refused: tried again until it is there
		start = time.Now()
		r.enb, r.mme = r.call()
		if d := time.Since(start); d < time.Second || d > 3*time.Second {
			t.Errorf("the MME was reached after %v", d)
		}
		r.attach(1, 2, 0x1001, 0x2001)
		if s := r.relay.Stats(); s.NotReached != "" {
			t.Errorf("%+v", s)
		}
		r.desk.none.Store(1000)
		enb = r.knock(setupRequest(t))
		ended(t, enb)
		if s := r.relay.Stats(); s.SentAway != 2 || s.NotReached == "" || s.ENBs != 2 || s.NoSetup != 0 {
			t.Errorf("%+v", s)
		}
		// One that goes while it is held is dialed for no more.
		enb = r.knock(setupRequest(t))
		time.Sleep(time.Second)
		enb.Abort("power cut")
		synctest.Wait()
		left := r.desk.none.Load()
		time.Sleep(time.Minute)
		if n := r.desk.none.Load(); n != left {
			t.Errorf("%d dials for an eNB that is gone", left-n)
		}
	})
}

// An eNB that goes on where its last association was aborted has to set up
// again, and so has one that says nothing.
func TestNoSetup(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		nas, err := s1ap.Append(nil, &s1ap.UplinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 2, NASPDU: []byte{1},
			EUTRANCGI: s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}}, TAI: s1ap.TAI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, first := range [][]byte{nas, {0xde, 0xad}, nil} {
			start := time.Now()
			ended(t, r.knock(first))
			if d := time.Since(start); first != nil && d > 0 || d > 30*time.Second {
				t.Errorf("shut down after %v", d)
			}
		}
		r.knock(nil).Abort("changed its mind") // its own affair
		if s := r.relay.Stats(); s.NoSetup != 3 || s.SentAway != 0 || s.ENBs != 1 {
			t.Errorf("%+v", s)
		}
		select {
		case <-r.desk.mmes:
			t.Error("the MME was bothered")
		default:
		}
	})
}

func TestStopShutsDownBothSides(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		go r.stop()
		ended(t, r.enb)
		ended(t, r.mme)
		synctest.Wait()
	})
}

// Neighbours that do not agree to a shutdown, and one that is held, keep the
// relay no longer than two seconds.
func TestStopIsBounded(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		if err := r.enb.Send(t.Context(), 1, 77, []byte("unread at the MME")); err != nil {
			t.Fatal(err)
		}
		r.desk.deaf = true
		r.call()
		r.knock(nil)
		synctest.Wait()
		start := time.Now()
		r.stop()
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("stopping took %v", d)
		}
		var abort *sctp.AbortError
		for {
			_, err := r.mme.Recv(context.Background())
			if err == nil {
				continue
			}
			if !errors.As(err, &abort) {
				t.Errorf("the MME that did not listen: %v", err)
			}
			break
		}
	})
}

// A core with fewer streams: phones keep off stream 0, which stays for what
// concerns no phone; one stream serves all where there is no other.
func TestStreams(t *testing.T) {
	for streams, want := range map[uint16]map[uint16]uint16{
		3: {0: 0, 1: 1, 2: 2, 3: 1, 4: 2, 9: 1},
		1: {0: 0, 1: 0, 9: 0},
	} {
		inBubble(t, nil, func(t *testing.T, r *rig) {
			r.desk.pipe.Streams = streams
			enb, mme := r.call()
			for from, to := range want {
				if err := enb.Send(t.Context(), from, 77, []byte{1}); err != nil {
					t.Fatal(err)
				}
				if m, err := mme.Recv(t.Context()); err != nil || m.Stream != to {
					t.Errorf("stream %d of 16 came as %d of %d, want %d (%v)", from, m.Stream, streams, to, err)
				}
			}
		})
	}
}
