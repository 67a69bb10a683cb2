package sipgw

import (
	"context"
	"errors"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// An IMS phone answers a short message with a MESSAGE of its own, and waits for
// one as the answer to its (TS 24.341 §5.3.2.4, §5.3.3.4).

type reportKey struct {
	imsi      id.IMSI
	reference uint8
}

// awaited is a report that is to come.
type awaited struct {
	key  reportKey
	came chan sms.RP // holds one
}

// reports are those that are to come.
type reports struct {
	mu sync.Mutex
	by map[reportKey]*awaited
}

func (r *reports) expect(imsi id.IMSI, reference uint8) *awaited {
	a := &awaited{key: reportKey{imsi, reference}, came: make(chan sms.RP, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[reportKey]*awaited{}
	}
	r.by[a.key] = a
	return a
}

func (r *reports) forget(a *awaited) {
	if a == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[a.key] == a {
		delete(r.by, a.key)
	}
}

func (r *reports) bring(imsi id.IMSI, rp sms.RP) bool {
	var reference uint8
	switch m := rp.(type) {
	case *sms.RPAck:
		reference = m.Reference
	case *sms.RPError:
		reference = m.Reference
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.by[reportKey{imsi, reference}]
	if a == nil {
		return false
	}
	select {
	case a.came <- rp:
	default: // one has come
	}
	return true
}

func (a *awaited) wait(ctx context.Context) (sms.RP, error) {
	ctx, stop := context.WithTimeout(ctx, reportWait)
	defer stop()
	select {
	case rp := <-a.came:
		return rp, nil
	case <-ctx.Done():
		return nil, errors.New("sipgw: the phone took a short message and has not said what became of it")
	}
}

// report takes an IMS phone's answer to a message.
func (g *Gateway) report(s *txn.Server, b *Binding, rp sms.RP) {
	if !g.reports.bring(b.IMSI, rp) {
		g.reply(s, 404, "No Message Waits for This Report")
		return
	}
	g.reply(s, 202, "")
}

// submitReport sends an IMS phone the answer to its message.
func (g *Gateway) submitReport(ctx context.Context, r *sip.Message, b *Binding, octets []byte) {
	m := sip.NewRequest(sip.MethodMessage, b.Contact.URI)
	m.To.URI = r.From.URI
	m.From.URI = sip.URI{Scheme: "sip", User: "smsc", Host: g.o.Realm}
	m.From.SetTag(g.tag(r))
	m.CallID, m.CSeq.Seq = g.tag(r)+"@"+g.o.Realm, 1
	m.Add("In-Reply-To", r.CallID)
	m.ContentType, m.Body = rpduType, octets
	ctx, stop := context.WithTimeout(ctx, 32*time.Second)
	defer stop()
	if _, err := g.o.Endpoint.Request(ctx, m, txn.To(b.Flow)).Final(ctx); err != nil {
		g.log.Info("a phone has not heard what became of its message", "imsi", b.IMSI, "err", err)
	}
}
