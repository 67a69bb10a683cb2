package town

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/home"
)

// SetSubscriber bars, unbars, erases, gives access points, a number, a password.
func (a *admin) SetSubscriber(ctx context.Context, q *pb.SetSubscriberRequest) (*pb.SetSubscriberReply, error) {
	imsi, err := id.ParseIMSI(q.Imsi)
	if err != nil {
		return nil, wrong("%v", err)
	}
	v, ok := a.t.hss.Find(imsi)
	rec, on := a.t.model.Subscriber(v)
	if !ok || !on {
		return nil, wrong("no subscriber has IMSI %v", imsi)
	}
	amends := len(q.Apns) > 0 || q.Msisdn != "" || q.AppPassword
	switch q.State {
	case "":
		if !amends {
			return nil, wrong("nothing to set")
		}
	case "active":
		rec.State = ledger.Active
	case "barred":
		rec.State = ledger.Barred
	case "erased":
		rec.State, rec.Plan, rec.BlobHash = ledger.Erased, "", [32]byte{}
	default:
		return nil, wrong("state %q: want active, barred or erased", q.State)
	}
	if amends && rec.State == ledger.Erased {
		return nil, wrong("subscriber %v is erased", imsi)
	}
	rec.Version++
	out := &pb.SetSubscriberReply{}
	if amends {
		if err := a.amend(imsi, q, &rec, out); err != nil {
			return nil, err
		}
	}
	r, err := a.t.chain.UpdateSubscriber(ctx, a.t.operator, rec)
	if err != nil {
		return nil, err
	}
	out.Height = r.Height
	if rec.State == ledger.Erased {
		if err := a.t.hss.Erase(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// amend seals what a request changes, for the ledger's next version.
func (a *admin) amend(imsi id.IMSI, q *pb.SetSubscriberRequest, rec *ledger.Subscriber, out *pb.SetSubscriberReply) (err error) {
	if q.AppPassword {
		if len(q.Apns) > 0 || q.Msisdn != "" {
			return wrong("a password is made alone")
		}
		out.Realm = a.t.cfg.realm(a.t.set.plmn)
		out.AppPassword, rec.BlobHash, rec.Epoch, err = a.t.hss.AmendApp(imsi)
		return err
	}
	p, _ := a.t.hss.Profile(imsi)
	if len(q.Apns) > 0 {
		if err := a.t.set.setAccessPoints(&p, q.Apns); err != nil {
			return wrong("%v", err)
		}
	}
	if q.Msisdn != "" {
		if p.MSISDN, err = id.ParseMSISDN(q.Msisdn); err != nil {
			return wrong("%v", err)
		}
	}
	rec.BlobHash, rec.Epoch, err = a.t.hss.Amend(imsi, p)
	if errors.Is(err, home.ErrNumberTaken) {
		return wrong("%v", err)
	}
	return err
}

// realm is where applications' passwords are good: the operator's, or the home
// network domain of its PLMN (TS 23.003 §13.2).
func (c *Config) realm(p id.PLMN) string {
	if c.HSS.Realm != "" {
		return c.HSS.Realm
	}
	return fmt.Sprintf("ims.mnc%03s.mcc%s.3gppnetwork.org", p.MNC(), p.MCC())
}

// directory is the numbers of the subscribers whose home is here.
type directory struct{ t *Town }

func (d directory) ByNumber(ctx context.Context, n id.MSISDN) (id.IMSI, error) {
	return d.t.hss.ByNumber(ctx, n)
}

func (d directory) Number(ctx context.Context, imsi id.IMSI) (id.MSISDN, error) {
	return d.t.hss.Number(ctx, imsi)
}

// Assign seals the number into the subscription and enters it on the ledger, as
// subscriber set does.
func (d directory) Assign(ctx context.Context, imsi id.IMSI, n id.MSISDN) error {
	v, ok := d.t.hss.Find(imsi)
	rec, on := d.t.model.Subscriber(v)
	if !ok || !on || rec.State == ledger.Erased {
		return home.ErrNobody
	}
	p, _ := d.t.hss.Profile(imsi)
	if p.MSISDN == n {
		return nil
	}
	p.MSISDN = n
	var err error
	rec.Version++
	if rec.BlobHash, rec.Epoch, err = d.t.hss.Amend(imsi, p); err != nil {
		return err
	}
	w := d.t.model.Watch()
	defer w.Close()
	r, err := d.t.chain.UpdateSubscriber(ctx, d.t.operator, rec)
	if err != nil {
		return err
	}
	for {
		if _, height, _ := d.t.model.Head(); height >= r.Height {
			return nil
		}
		if _, err := w.Next(ctx); err != nil {
			return err
		}
	}
}
