package town

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/peertls"
	"campanile.network/mme"
	"campanile.network/sip/smsc"
	"campanile.network/wire/short"
)

// serveLinks lets MMEs in processes of their own reach the message centre, which is
// opened after their way to phones is made.
func (t *Town) serveLinks() error {
	if t.hub == nil {
		return nil
	}
	cert, err := peertls.Server(t.keys.operator.Ed25519(), func(key [32]byte) error {
		if key != t.operatorKey {
			return errors.New("not this operator's")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.serveGRPC(service{name: "MMEs for short messages", listen: t.cfg.SIP.Links, key: "sip.links", cert: cert, calls: 16,
		own: func(p peertls.Peer) bool { return p.Key == t.operatorKey }, register: func(s *grpc.Server) { short.Register(s, t.hub, t.operatorKey) }})
}

// linkedCentre is the message centre as a link to an MME asks it.
type linkedCentre struct{ t *Town }

func (l linkedCentre) Submit(ctx context.Context, from short.Sender, rp sms.RP) (sms.RP, error) {
	return l.t.centre.Submit(ctx, smsc.Sender{IMSI: from.IMSI, MSISDN: from.MSISDN}, rp)
}

func (l linkedCentre) Ready(imsi id.IMSI) { l.t.centre.Ready(imsi) }

// linkWay brings messages to phones of MMEs in processes of their own.
type linkWay struct{ *short.Hub }

// Deliver implements smsc.Path.
func (w linkWay) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	answer, err := w.Hub.Deliver(ctx, d.IMSI, &d.Data)
	for _, c := range []struct{ here, there error }{{short.ErrNotRegistered, smsc.ErrNotRegistered}, {short.ErrRefused, smsc.ErrNotRegistered}, {short.ErrAway, smsc.ErrNotRegistered},
		{short.ErrAbsent, smsc.ErrAbsent}, {short.ErrBusy, smsc.ErrBusy}} {
		if errors.Is(err, c.here) {
			return nil, fmt.Errorf("%w: %w", c.there, err)
		}
	}
	return answer, err
}

// Delivered implements smsc.Path: nobody pays for messages over NAS.
func (linkWay) Delivered(smsc.Delivery) {}

// dialCentre finds the message centre of an MME in a process of its own, if
// peers.sip says where it is.
func (t *Town) dialCentre(context.Context) error {
	if t.cfg.Peers.SIP == "" {
		return nil
	}
	c, err := t.dial(t.cfg.Peers.SIP, t.operatorKey)
	if err != nil {
		return err
	}
	t.farCentre = short.NewRemote(c, linkedPhones{&t.ways}, t.role("mme"))
	t.serve("way to the message centre", t.farCentre.Serve)
	return nil
}

// farMessages is a message centre in another process as the MME asks it.
type farMessages struct{ *short.Remote }

func (m farMessages) Submit(ctx context.Context, from mme.Sender, rp sms.RP) (sms.RP, error) {
	return m.Remote.Submit(ctx, short.Sender{IMSI: from.IMSI, MSISDN: from.MSISDN}, rp)
}

// linkedPhones are the phones of this MME as its link asks for them.
type linkedPhones struct{ ways *messageWays }

// Deliver implements short.Phones.
func (p linkedPhones) Deliver(ctx context.Context, imsi id.IMSI, data *sms.RPData) (sms.RP, error) {
	m := p.ways.mme.Load()
	if m == nil {
		return nil, short.ErrNotRegistered
	}
	answer, err := m.DeliverSMS(ctx, imsi, *data)
	for _, c := range []struct{ here, there error }{{mme.ErrNotRegistered, short.ErrNotRegistered}, {mme.ErrNoSMS, short.ErrRefused}, {mme.ErrAbsent, short.ErrAbsent}} {
		if errors.Is(err, c.here) {
			return nil, c.there
		}
	}
	return answer, err
}

// sayLinks is what is to be said of links between MMEs and the message centre.
func (t *Town) sayLinks(say func(name, format string, args ...any)) {
	if t.hub != nil {
		say("MMEs", "%d have joined for short messages", t.hub.MMEs())
	}
	if t.farCentre == nil {
		return
	}
	if there, since, why := t.farCentre.State(); there {
		say("messages", "the message centre at %s is there", t.cfg.Peers.SIP)
	} else {
		say("messages", "the message centre at %s is away since %s: %s", t.cfg.Peers.SIP, since.Format(time.TimeOnly), why)
	}
}
