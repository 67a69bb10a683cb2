package mme

import (
	"context"
	"net/netip"
	"testing"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// anyStream sends by all streams in turn, as no eNB should.
type anyStream struct {
	sctp.Association
	last uint16
}

func (a *anyStream) Send(ctx context.Context, _ uint16, ppid uint32, data []byte) error {
	out, _ := a.Streams()
	a.last = (a.last + 1) % out
	return a.Association.Send(ctx, a.last, ppid, data)
}

// TS 36.412 §7: phones' messages go by one stream for each phone, chosen once,
// the others by stream 0; an association of one stream carries all. What comes
// is taken from any stream.
func TestStreams(t *testing.T) {
	for _, streams := range []uint16{1, 2, 5} {
		play(t, nil, func(w *world) {
			w.open = func(remote netip.AddrPort) sctp.Association {
				a, b := sctp.Pipe(sctp.PipeOptions{A: w.l.Addr(), B: remote, Streams: streams})
				w.l.offer(a)
				return &anyStream{Association: b}
			}
			e := w.tower(0x19b)
			phones := []*phone{w.phone(e), w.phone(e), w.phone(e)}
			for _, p := range phones {
				p.attach()
				p.idle()
				p.request()
				p.setupResponse()
				if i := p.settled(); i.State != Connected {
					t.Errorf("UEInfo %+v", i)
				}
			}
			e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
			expect[*s1ap.ResetAcknowledge](e)
			for _, p := range phones {
				if i := p.settled(); i.State != Idle {
					t.Errorf("UEInfo %+v", i)
				}
			}
		})
	}
}
