package mme

import (
	"bytes"
	"context"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// watchful is a gateway that looks at the disk when it is asked for a session.
type watchful struct {
	*testGateway
	asked func(s11.CreateSession)
}

func (g watchful) Create(ctx context.Context, r s11.CreateSession) (*s11.Session, error) {
	g.asked(r)
	return g.testGateway.Create(ctx, r)
}

func (d *disk) record(imsi id.IMSI) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.records[imsi])
}

// Before the gateway is asked for a session it is on disk that there may be one, with
// nothing else to wait for in between: else a crash would leave it behind.
func TestSessionIsWrittenBeforeItIsAsked(t *testing.T) {
	d := newDisk()
	d.slow = time.Second
	play(t, func(o *Options) {
		o.Store = d
		o.Gateway = watchful{o.Gateway.(*testGateway), func(r s11.CreateSession) {
			b := d.record(r.IMSI)
			u, err := parseRecord(b, asWritten)
			if err != nil || !u.opening.Active(r.EBI) {
				t.Errorf("bearer %d is asked for, and the disk has %x (%v)", r.EBI, b, err)
			}
		}}
	}, func(w *world) {
		w.severalAPNs()
		p := w.phone(w.tower(0x19b))
		m := p.attachRequest()
		m.ESM = must(eps.Append(nil, &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4})) // it holds nothing back
		p.initial(m)
		p.authenticate()
		p.accepted()
		p.setupResponse()
		p.complete()
		time.Sleep(5 * time.Second)
		p.connectTo(2, ims)
	})
}

// What the MME has answered it does not accept again after a crash, though nothing of
// the phone has changed but the uplink COUNT.
func TestAnsweredIsNotAcceptedAgain(t *testing.T) {
	d := newDisk()
	play(t, func(o *Options) { o.Store = d }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		for range 3 { // the downlink COUNTs of more than one are reserved at a time
			update := p.protect(p.updateRequest(eps.UpdateTA), nassec.IntegrityProtected)
			p.uplinkRaw(update)
			down[*eps.TrackingAreaUpdateAccept](p)
			p.settled()
			u := must(parseRecord(d.record(p.imsi), asWritten))
			if has := u.sec.State().UL; has != p.sec.UL() {
				t.Errorf("the disk has uplink COUNT %d, the phone's next is %d", has, p.sec.UL())
			}
		}
		last := p.protect(p.updateRequest(eps.UpdateTA), nassec.IntegrityProtected)
		p.uplinkRaw(last)
		down[*eps.TrackingAreaUpdateAccept](p)
		w.again(d)
		q := p.at(w.tower(0x19b))
		q.initialRaw(last)
		m := expect[*s1ap.DownlinkNASTransport](q.e)
		said, err := eps.Parse(eps.Downlink, m.NASPDU) // not protected
		if r, ok := said.(*eps.TrackingAreaUpdateReject); err != nil || !ok || r.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("a message that was answered before the crash is answered again: %x", m.NASPDU)
		}
	})
}
