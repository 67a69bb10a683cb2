package s11_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/memnet"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

var (
	mmeAddr = netip.MustParseAddrPort("127.0.0.20:2123")
	gwAddr  = netip.MustParseAddrPort("127.0.0.30:2123")
	quiet   = slog.New(slog.DiscardHandler)
)

// world is a Client and a scripted gateway on a network in memory.
type world struct {
	*testing.T
	net    *memnet.Network
	client *s11.Client
	answer func(m *gtpc.Message) *gtpc.Message
	gw     *gtpc.Endpoint
}

func inBubble(t *testing.T, o s11.Options, body func(*world)) { inBubbleOn(t, nil, o, body) }

func inBubbleOn(t *testing.T, rule memnet.Rule, o s11.Options, body func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: memnet.New(rule), answer: accept}
		o.Conn, o.Gateway, o.Logger = w.listen(mmeAddr), netip.AddrPortFrom(gwAddr.Addr(), 0), quiet
		var err error
		if w.client, err = s11.New(o); err != nil {
			t.Fatal(err)
		}
		defer w.serve(w.client.Serve)()
		defer w.gateway(1)()
		body(w)
	})
}

func (w *world) listen(a netip.AddrPort) *memnet.Conn {
	c, err := w.net.Listen(a)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) serve(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	}
}

func (w *world) gateway(counter uint8) (stop func()) {
	var err error
	w.gw, err = gtpc.NewEndpoint(gtpc.Options{Conn: w.listen(gwAddr), RestartCounter: counter, Logger: quiet,
		Handler: gtpc.HandlerFunc(func(_ netip.AddrPort, m *gtpc.Message) *gtpc.Message { return w.answer(m) })})
	if err != nil {
		w.Fatal(err)
	}
	return w.serve(w.gw.Serve)
}

// accept says yes to everything, as a gateway with one phone would.
func accept(m *gtpc.Message) *gtpc.Message {
	if m.Type != gtpc.CreateSessionRequest {
		return gtpc.New(m.Type.Answer(), 1, gtpc.CauseIE(nil))
	}
	from, _ := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0))
	ebi, _ := gtpc.ParseEBI(gtpc.Find(m.IE(ie.BearerContext, 0).ChildIEs, ie.EPSBearerID, 0))
	return gtpc.New(gtpc.CreateSessionResponse, from.TEID, gtpc.CauseIE(nil),
		gtpc.FTEID{Interface: gtpc.IfS11SGW, TEID: 0x99, Addr: gwAddr.Addr()}.IE(0), gtpc.PAA(netip.MustParseAddr("10.45.0.9")),
		gtpc.BearerContext(0, gtpc.EBI(ebi), gtpc.CauseIE(nil), gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: 0x77, Addr: gwAddr.Addr()}.IE(0)))
}

func request(t *testing.T) s11.CreateSession {
	imsi, err := id.ParseIMSI("001010123456789")
	if err != nil {
		t.Fatal(err)
	}
	apn, _ := id.ParseAPN("internet")
	p, _ := id.ParsePLMN("00101")
	return s11.CreateSession{IMSI: imsi, APN: apn, PDNType: gtpc.PDNIPv4, EBI: 5, QCI: 9, ARP: gtpc.ARP{Level: 8},
		TAI: id.TAI{PLMN: p, TAC: 7}, ECGI: id.ECGI{PLMN: p, ECI: 1}}
}

func TestGatewayRestartTakesTheSessions(t *testing.T) {
	var lost []*s11.Session
	inBubble(t, s11.Options{OnGatewayRestart: func(l []*s11.Session) { lost = append(lost, l...) }}, func(w *world) {
		s, err := w.client.Create(w.Context(), request(w.T))
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(61 * time.Second) // an echo tells the restart counter
		synctest.Wait()
		if len(lost) != 0 {
			w.Fatal("a restart was seen on first contact")
		}
		w.gw.Close()
		synctest.Wait()
		defer w.gateway(2)()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if len(lost) != 1 || lost[0] != s || w.client.Sessions() != 0 {
			w.Errorf("lost %v, %d sessions left", lost, w.client.Sessions())
		}
	})
}

func TestAnswersThatLackWhatTheyMust(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		whole := accept
		for _, drop := range []uint8{ie.Cause, ie.FullyQualifiedTEID, ie.PDNAddressAllocation, ie.BearerContext} {
			w.answer = func(m *gtpc.Message) *gtpc.Message {
				res := whole(m)
				kept := res.IEs[:0]
				for _, e := range res.IEs {
					if e.Type != drop {
						kept = append(kept, e)
					}
				}
				res.IEs = kept
				return res
			}
			if s, err := w.client.Create(w.Context(), request(w.T)); err == nil {
				w.Errorf("without element %d: %+v", drop, s)
			}
		}
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			return gtpc.New(m.Type.Answer(), 1, gtpc.CauseIE(gtpc.Refuse(gtpc.UnknownAPN, ie.AccessPointName, "no")))
		}
		_, err := w.client.Create(w.Context(), request(w.T))
		if ce, ok := errors.AsType[*gtpc.CauseError](err); !ok || ce.Cause != gtpc.UnknownAPN || ce.Offending != ie.AccessPointName {
			w.Errorf("err = %v", err)
		}
		if n := w.client.Sessions(); n != 0 {
			w.Errorf("%d sessions after failures", n)
		}
	})
}

func TestDownlinkDataIsAnsweredByItsSession(t *testing.T) {
	var paged []*s11.Session
	o := s11.Options{OnDownlinkData: func(s *s11.Session, ebi id.EBI, why gtpc.Cause) gtpc.Cause {
		if ebi != 5 || why != gtpc.CauseErrorIndication {
			t.Errorf("bearer %d, %v", ebi, why)
		}
		paged = append(paged, s)
		return gtpc.Accepted
	}}
	inBubble(t, o, func(w *world) {
		var mine id.TEID
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			if f, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0)); err == nil {
				mine = f.TEID
			}
			return accept(m)
		}
		s, err := w.client.Create(w.Context(), request(w.T))
		if err != nil {
			w.Fatal(err)
		}
		notify := func(from *gtpc.Endpoint, teid id.TEID) error {
			res, err := from.Request(w.Context(), mmeAddr, gtpc.New(gtpc.DownlinkDataNotification, teid,
				ie.NewCause(uint8(gtpc.CauseErrorIndication), 0, 0, 0, nil), gtpc.EBI(5), gtpc.ARP{Level: 8}.IE()))
			if err != nil {
				return err
			}
			return res.Check()
		}
		if err := notify(w.gw, mine); err != nil || len(paged) != 1 || paged[0] != s {
			w.Errorf("%v, paged %v", err, paged)
		}
		if err := notify(w.gw, mine+1); err == nil {
			w.Error("a notification for nobody was accepted")
		}
		stranger, err := gtpc.NewEndpoint(gtpc.Options{Conn: w.listen(netip.MustParseAddrPort("127.6.6.6:2123")), Logger: quiet,
			Handler: gtpc.HandlerFunc(func(netip.AddrPort, *gtpc.Message) *gtpc.Message { return nil })})
		if err != nil {
			w.Fatal(err)
		}
		defer w.serve(stranger.Serve)()
		if err := notify(stranger, mine); err == nil || len(paged) != 1 {
			w.Errorf("a stranger had the phone paged: %v", err)
		}
	})
}

func TestDeadlineAndSilence(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		w.gw.Close()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if _, err := w.client.Create(ctx, request(w.T)); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("err = %v", err)
		}
		if _, err := w.client.Create(w.Context(), request(w.T)); !errors.Is(err, gtpc.ErrNoAnswer) {
			w.Errorf("err = %v", err)
		}
		if n := w.client.Sessions(); n != 0 {
			w.Errorf("%d sessions", n)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	if _, err := s11.New(s11.Options{Logger: quiet}); err == nil {
		t.Error("no gateway: no error")
	}
	if _, err := s11.New(s11.Options{Gateway: gwAddr}); err == nil {
		t.Error("no logger: no error")
	}
}
