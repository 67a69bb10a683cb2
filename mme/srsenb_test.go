package mme

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/wire/proof"
)

// What srsRAN's eNB does, as it was seen to, and what it cannot do. Each test
// names the fact that it stands for.

// playSrsENB is play with an eNB that complains of what srsRAN's could not use.
func playSrsENB(t *testing.T, change func(*Options), script func(*world)) {
	t.Helper()
	play(t, change, func(w *world) {
		w.record = func(b []byte) { srsENBTakes(t, must(s1ap.Parse(b)).Message) }
		script(w)
	})
}

// srsENBTakes checks that the eNB has the procedure of a message, and finds in
// it what it needs. An Error Indication it only logs.
func srsENBTakes(t *testing.T, m s1ap.Message) {
	t.Helper()
	switch m := m.(type) {
	case *s1ap.S1SetupResponse, *s1ap.S1SetupFailure, *s1ap.UEContextReleaseCommand, *s1ap.UEContextModificationRequest, *s1ap.ErrorIndication,
		*s1ap.ERABSetupRequest, *s1ap.ERABModifyRequest, *s1ap.ERABReleaseCommand, *s1ap.HandoverPreparationFailure:
	case *s1ap.Paging:
		if m.UEPagingID.STMSI == nil {
			t.Errorf("Paging without S-TMSI: %s", describe(m))
		}
	case *s1ap.DownlinkNASTransport:
		srsUETakes(t, m.NASPDU)
	case *s1ap.InitialContextSetupRequest:
		if m.UEAggregateMaximumBitrate.UEaggregateMaximumBitRateDL == 0 || m.UEAggregateMaximumBitrate.UEaggregateMaximumBitRateUL == 0 {
			t.Errorf("no bit rates: %s", describe(m))
		}
		if m.UESecurityCapabilities.IntegrityProtectionAlgorithms&0xc000 == 0 { // EIA1 and EIA2 are what it has
			t.Errorf("no integrity algorithm for the radio: %s", describe(m))
		}
		if len(m.ERABToBeSetupListCtxtSUReq) != 1 {
			t.Fatalf("one default bearer is what a phone has: %s", describe(m))
		}
		b := m.ERABToBeSetupListCtxtSUReq[0]
		if q := b.ERABLevelQoSParameters.QCI; q != 7 && q != 9 { // of its rb.conf
			t.Errorf("QCI %d", q)
		}
		if a, err := b.TransportLayerAddress.Addr(); err != nil || !a.Is4() {
			t.Errorf("transport address %v, %v", a, err)
		}
		if b.NASPDU != nil {
			srsUETakes(t, b.NASPDU)
		}
	default:
		t.Errorf("srsRAN's eNB has no %s", describe(m))
	}
}

// srsUETakes checks that the phone would look at a message: these few it takes
// unprotected.
func srsUETakes(t *testing.T, pdu []byte) {
	t.Helper()
	if must(nassec.TypeOf(pdu)) != nassec.Plain {
		return
	}
	switch m := must(eps.Parse(eps.Downlink, pdu)).(type) {
	case *eps.AuthenticationRequest, *eps.AuthenticationReject, *eps.AttachReject, *eps.DetachAccept, *eps.TrackingAreaUpdateReject, *eps.ServiceReject:
	case *eps.IdentityRequest:
		if m.Type != eps.IdentityTypeIMSI {
			t.Errorf("unprotected, asked for identity %v", m.Type)
		}
	default:
		t.Errorf("the phone takes no unprotected\n%v", m)
	}
}

// All messages of all phones come by stream 1, the eNB's own by stream 0; the
// MME may use as many streams as the eNB takes, which may be two.
func TestSrsENBStreams(t *testing.T) {
	for _, streams := range []uint16{1, 2, 10} {
		playSrsENB(t, nil, func(w *world) {
			w.open = func(remote netip.AddrPort) sctp.Association {
				a, b := sctp.Pipe(sctp.PipeOptions{A: w.l.Addr(), B: remote, Streams: streams})
				w.l.offer(a)
				return b
			}
			e := w.dial()
			if streams == 1 { // of no use to S1AP (TS 36.412 §7), but no reason to fall over
				e.shutdown()
				return
			}
			if err := e.a.Send(context.Background(), 0, ppid, must(s1ap.Append(nil, e.setupRequest(0x19b)))); err != nil {
				t.Fatal(err)
			}
			expect[*s1ap.S1SetupResponse](e)
			used := map[uint16]bool{}
			for range 24 {
				p := w.phone(e)
				p.attach()
				l, _ := w.m.legs.find(w.enb(), id.MMEUEID(p.mmeID), id.ENBUEID(p.enbID))
				used[l.stream] = true
				if l.stream == 0 || l.stream >= streams {
					t.Errorf("%d streams: a phone's messages go by stream %d", streams, l.stream)
				}
			}
			if len(used) <= int(streams-1)/2 { // ids are random
				t.Errorf("of %d streams phones use %v", streams, used)
			}
		})
	}
}

// shutdown ends the association in order.
func (e *enbPeer) shutdown() {
	e.w.t.Helper()
	if err := e.a.Shutdown(context.Background()); err != nil {
		e.w.t.Errorf("SHUTDOWN: %v", err)
	}
}

// enb gives the only eNB as the MME has it.
func (w *world) enb() *enb {
	w.t.Helper()
	all := w.m.legs.all()
	if len(all) != 1 {
		w.t.Fatalf("%d eNBs", len(all))
	}
	return all[0]
}

// A refused eNB takes no notice of Time to Wait: it shuts the association down,
// and is back by another in ten seconds.
func TestSrsENBComesBackAfterRefusal(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		k := w.towers[0x19b]
		delete(w.towers, 0x19b)
		for range 5 {
			e := w.dial()
			e.send(e.setupRequest(0x19b))
			expect[*s1ap.S1SetupFailure](e)
			e.shutdown()
			time.Sleep(10 * time.Second)
		}
		w.towers[0x19b] = k // registered at last
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.counted("S1 setup S1AP cause misc: om-intervention", 5)
	})
}

// slowTowers is a register that answers late.
type slowTowers struct {
	*world
	wait atomic.Int64 // nanoseconds
}

func (s *slowTowers) Admit(ctx context.Context, g id.GlobalENBID, tais []id.TAI) (proof.TowerKey, error) {
	select {
	case <-time.After(time.Duration(s.wait.Load())):
		return s.world.Admit(ctx, g, tais)
	case <-ctx.Done():
		return proof.TowerKey{}, ctx.Err()
	}
}

// Five seconds without an answer, and the eNB shuts the association down to try
// again ten seconds later.
func TestSrsENBWaitsFiveSeconds(t *testing.T) {
	slow := &slowTowers{}
	slow.wait.Store(int64(time.Minute))
	playSrsENB(t, func(o *Options) { slow.world, o.Towers = o.Towers.(*world), slow }, func(w *world) {
		e := w.dial()
		e.send(e.setupRequest(0x19b))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second-1)
		defer cancel()
		if _, err := e.a.Recv(ctx); err == nil {
			t.Error("answered before the register of towers has")
		}
		e.shutdown()
		time.Sleep(10 * time.Second)
		slow.wait.Store(int64(4 * time.Second))
		p := w.phone(w.tower(0x19b))
		p.attach()
		if s := w.m.Stats(); s.ENBs != 1 {
			t.Errorf("%d eNBs", s.ENBs)
		}
	})
}

// The eNB does not notice that its association was aborted (its MME was
// killed): whatever it wants to say next opens an association that has no S1
// Setup, and only SHUTDOWN makes it set up S1. It releases its phones then,
// which attach anew.
func TestSrsENBWithoutSetup(t *testing.T) {
	const mmeID, enbID = 17, 3
	for name, say := range map[string]func(*phone) s1ap.Message{
		"Uplink NAS Transport": func(p *phone) s1ap.Message {
			return &s1ap.UplinkNASTransport{MMEUES1APID: mmeID, ENBUES1APID: enbID, NASPDU: []byte{0x27, 1, 2, 3, 4, 5, 6}, EUTRANCGI: p.e.cell(), TAI: p.e.tai()}
		},
		"UE Context Release Request": func(*phone) s1ap.Message {
			return &s1ap.UEContextReleaseRequest{MMEUES1APID: mmeID, ENBUES1APID: enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}
		},
		"UE Context Release Complete": func(*phone) s1ap.Message {
			return &s1ap.UEContextReleaseComplete{MMEUES1APID: mmeID, ENBUES1APID: enbID}
		},
		"Initial Context Setup Response": func(p *phone) s1ap.Message {
			return &s1ap.InitialContextSetupResponse{MMEUES1APID: mmeID, ENBUES1APID: enbID,
				ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(1)}}}
		},
		"UE Capability Info Indication": func(*phone) s1ap.Message {
			return &s1ap.UECapabilityInfoIndication{MMEUES1APID: mmeID, ENBUES1APID: enbID, UERadioCapability: []byte{1}}
		},
		"Initial UE Message": func(p *phone) s1ap.Message {
			return &s1ap.InitialUEMessage{ENBUES1APID: enbID, NASPDU: []byte{0xc7, 0x20, 1, 2}, TAI: p.e.tai(), EUTRANCGI: p.e.cell(), RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoData,
				STMSI: s1ap.FromSTMSI(id.STMSI{Code: 0x1a, TMSI: 5})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			playSrsENB(t, nil, func(w *world) {
				e := w.dial()
				p := w.phone(e)
				e.send(say(p))
				if in, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
					t.Fatalf("the MME sent %x, %v; want SHUTDOWN", in.Data, err)
				}
				e.shutdown()
				w.counted("before S1 Setup", 1)

				p = p.at(w.tower(0x19b))
				p.attach()
			})
		})
	}
}

// An eNB that has opened an association and says nothing would not notice an
// ABORT either.
func TestSrsENBSilent(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		e := w.dial()
		if in, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the MME sent %x, %v; want SHUTDOWN", in.Data, err)
		}
		w.logged("no S1 Setup")
	})
}

// The MME stops: SHUTDOWN, which makes the eNB release its phones and ask for S1
// Setup at once. The next MME knows nobody; Service Reject brings the phone back
// by the same connection.
func TestSrsENBAndRestartedMME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newWorld(t, nil)
		e := old.tower(0x19b)
		p := old.phone(e)
		p.attach()
		q := old.phone(e)
		q.attach()
		q.idle()
		old.end()
		if in, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the MME sent %x, %v; want SHUTDOWN", in.Data, err)
		}

		w := newWorld(t, nil)
		defer w.end()
		w.record = func(b []byte) { srsENBTakes(t, must(s1ap.Parse(b)).Message) }
		w.home.subs = old.home.subs
		f := w.tower(0x19b)
		for _, x := range []*phone{p.at(f), q.at(f)} {
			x.w = w
			x.initialRaw(must(x.sec.AppendServiceRequest(nil)))
			x.rejectedService()
			if i := x.settled(); i.State != Connected {
				t.Errorf("state %v", i.State)
			}
		}
	})
}

// rejectedService is what the phone does with any Service Reject: it forgets its
// keys and GUTI, says that it attaches by the same connection, looks for a cell
// without listening to the one it has, and attaches when it finds itself
// released. An MME that releases later than at once is not heard.
func (p *phone) rejectedService() {
	p.w.t.Helper()
	sec := p.sec
	p.sec = nil // a reject of a phone that is not known is not protected
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	if must(nassec.TypeOf(m.NASPDU)) != nassec.Plain {
		p.sec = sec
	}
	open[*eps.ServiceReject](p, m.NASPDU)
	p.mmeID, p.sec, p.guti, p.ksi = m.MMEUES1APID, nil, nil, eps.NoKSI
	rejected := time.Now()
	p.released()
	if d := time.Since(rejected); d != 0 {
		p.w.t.Errorf("released %v after the reject, want at once", d)
	}
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
}

// The eNB shuts the association down when it is stopped; started again, it
// counts its UE ids from one, and its phone comes with the GUTI it has kept.
func TestSrsENBRestart(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.shutdown()
		if i := p.settled(); i.State != Idle || w.m.Stats().ENBs != 0 {
			t.Errorf("phone %v, %d eNBs", i.State, w.m.Stats().ENBs)
		}
		w.logged("eNB gone", "eNB shut the association down")
		p = p.at(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected || p.enbID != 1 || w.home.asked != 1 {
			t.Errorf("phone %v, eNB UE S1AP ID %d, the home was asked %d times", i.State, p.enbID, w.home.asked)
		}
	})
}
