package town

import (
	"context"
	"fmt"
	"time"

	"campanile.network/internal/peertls"
	"campanile.network/mme"
	pb "campanile.network/wire/corepb"
)

// onlooker answers for a role that has no chain of its own: how it is, and of
// phones, where it is the MME.
type onlooker struct {
	noOther
	handset
	desk
	postbox
	t *Town
}

// Status says what this role does.
func (o *onlooker) Status(context.Context, *pb.StatusRequest) (*pb.StatusReply, error) {
	return o.t.status(), nil
}

// Status sums the node up.
func (a *admin) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusReply, error) {
	out := a.t.status()
	s := a.t.chain.Status()
	out.ChainId, out.Height, out.Validators, out.Running = s.ChainID, s.Height, int32(s.Validators), s.Running
	out.Claimable, out.OwnerBalance = a.t.model.Claimable(a.t.owner.Address()).String(), "unknown"
	if b, err := a.t.chain.Balance(ctx, a.t.owner.Address()); err == nil {
		out.OwnerBalance = b.String()
	}
	return out, nil
}

// status is what every role can say, and what those here have to say.
func (t *Town) status() *pb.StatusReply {
	out := &pb.StatusReply{Role: t.name}
	say := func(name, format string, args ...any) {
		out.Parts = append(out.Parts, &pb.Part{Name: name, Text: fmt.Sprintf(format, args...)})
	}
	if a := t.away.Load(); a != nil {
		id, height, at := a.model.Head()
		out.ChainId, out.Height = id, height
		say("ledger", "block %d of %s, %v old%s", height, id, time.Since(at).Round(time.Second), a.text())
	}
	if !t.opened.Load() {
		say("state", "starting")
		return out
	}
	out.Console, out.TowersOnAir = t.console, int32(len(t.enbs()))
	for _, text := range transportLines(t.transports) {
		say("S1AP", "%s", text)
	}
	if t.metrics != "" {
		say("metrics", "%s", t.metrics)
	}
	if text := t.storeText(); text != "" {
		say("phones kept", "%s", text)
	}
	t.sayPool(say)
	for _, u := range t.ues() {
		if u.State == mme.Idle || u.State == mme.Connected {
			out.PhonesRegistered++
		}
		if u.State == mme.Connected {
			out.PhonesConnected++
		}
	}
	for _, d := range t.doors {
		if v := d.Snapshot(); len(v.Turned) > 0 {
			say("connections", "%s: %s", d.name, v)
		}
	}
	t.saySIP(say)
	if t.meter != nil {
		t.sayMeter(out, say)
	}
	if t.gateway != nil {
		s := t.gateway.Stats()
		say("data path", "%s", t.path)
		say("sessions", "%d; %d closed segments and %d lost records not taken by billing", s.Sessions, s.Unreported, s.Lost)
		if far, ok := t.sink.(*farMeter); ok {
			say("billing", "%s", far.text())
		}
	}
	if t.agent != nil {
		t.sayTower(say)
	}
	return out
}

// maxRadios bounds the towers whose radios a status tells of.
const maxRadios = 20

// sayMeter is what billing has to say.
func (t *Town) sayMeter(out *pb.StatusReply, say func(name, format string, args ...any)) {
	v := t.meter.Snapshot()
	linked, counted := 0, uint64(0)
	for _, w := range v.Towers {
		out.UlOctets += w.Gateway.UL
		out.DlOctets += w.Gateway.DL
		counted += w.Measured.UL + w.Measured.DL
		if w.Connected {
			linked++
		}
	}
	say("towers", "%d linked of %d known; they count %d octets, gateways %d", linked, len(v.Towers), counted, out.UlOctets+out.DlOctets)
	t.sayServices(say)
	said := 0
	for _, w := range v.Towers {
		if w.Radio == nil || t.agent != nil {
			continue // none of its own, or here and told already
		}
		if said++; said > maxRadios {
			break
		}
		l, _ := t.model.Tower(w.Tower)
		say("radio", "of tower %s: %s", w.Tower.Short(), SayTold(newest(w, l.Health)))
	}
}

// sayTower is what the tower's agent has to say.
func (t *Town) sayTower(say func(name, format string, args ...any)) {
	v := t.agent.Snapshot()
	link := "the link to billing is up"
	if !v.Connected {
		why := v.AwayWhy
		if why == "" {
			why = "not reached yet"
		}
		link = fmt.Sprintf("the link to billing is away since %s: %s (%s)", v.AwaySince.Format(time.TimeOnly), why, t.cfg.Peers.Billing)
	}
	s := t.relay.Stats()
	say("tower", "%s: %s; eNBs %d, phones with bearers %d; %s", v.Tower.Short(), v.Notice.Text, s.ENBs, s.UEs, link)
	if s.NotReached != "" {
		say("MME", "%v not reached over %s: is it up, and is its mme.sctp the same? (%s)", t.set.toMMEAt, t.set.toMME.transport, s.NotReached)
	}
	say("vouchers", "newest is %d of channel %d over %s for %v, %d octets unpaid of %d that may be", v.Seq, v.Channel, bell(v.Amount), v.Carried, v.Unpaid, v.Window)
	if r, ok := t.radioHealth(); ok {
		say("radio", "%s", sayRadio(r))
	} else if w, ok := t.model.Tower(v.Tower); ok && w.Health.State != 0 {
		say("radio", "on the ledger: %s", SayTold(told(w.Health)))
	}
	if v.Refused > 0 {
		say("refused", "%d vouchers, the last one: %s", v.Refused, v.Refusal)
	}
}

// namedDoor is where peers of a service come in.
type namedDoor struct {
	name string
	*peertls.Door
}

// noOther refuses what is not asked of a role; it is deeper than handset, whose
// answers come before its refusals.
type noOther struct{ pb.UnimplementedAdminServer }
