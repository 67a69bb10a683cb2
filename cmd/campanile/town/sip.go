package town

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/cmd/campanile/metrics"
	"campanile.network/internal/config"
	"campanile.network/internal/vault"
	"campanile.network/mme"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/selfcare"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/smsc"
	"campanile.network/sip/tally"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/short"
	"campanile.network/wire/sip/txn"
)

// sipEnd is the SIP gateway and the message centre, where there are any.
type sipEnd struct {
	centre *smsc.Centre
	desk   *selfcare.Desk
	sip    *sipgw.Gateway
	tally  *tally.Tally
	ways   messageWays

	hub       *short.Hub    // MMEs in other processes
	farCentre *short.Remote // the message centre in another process

	calls     *calls.Switch
	speech    *media.Relay
	pastCalls pastCalls
	air       air
}

// pastCalls are the calls that ended last.
type pastCalls struct {
	mu   sync.Mutex
	list []calls.Record // the newest last
}

// maxPastCalls is how many are shown.
const maxPastCalls = 50

func (p *pastCalls) add(r calls.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list = append(p.list, r); len(p.list) > maxPastCalls {
		p.list = slices.Clone(p.list[1:])
	}
}

// newest are the calls that ended last, the newest first.
func (p *pastCalls) newest() []calls.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := slices.Clone(p.list)
	slices.Reverse(l)
	return l
}

// messageWays are where the message centre finds phones. The roles that are these
// ways open after it, and a message for them waits until then.
type messageWays struct {
	mme atomic.Pointer[mme.MME]
	sip atomic.Pointer[sipgw.Gateway]
}

// startCentre opens the message centre: for LTE phones, and for GSM phones and
// apps where there is a SIP gateway.
func (t *Town) startCentre(context.Context) error {
	key, err := storeKey(t.cfg.HomePath)
	if err != nil {
		return err
	}
	if t.desk, err = t.openDesk(); err != nil {
		return err
	}
	paths := []smsc.NamedPath{{Name: "LTE", Path: lteWay{&t.ways}}, {Name: "SIP", Path: sipWay{&t.ways}}}
	if t.cfg.SIP.Links != "" {
		t.hub = short.NewHub(linkedCentre{t}, t.role("smsc"))
		paths = append(paths, smsc.NamedPath{Name: "MMEs", Path: linkWay{t.hub}})
	}
	o := smsc.Options{Dir: t.cfg.path("smsc.db"), Key: key, Address: t.set.sip.centre, Dial: t.set.sip.dial, Directory: numbers{t.directory}, Codes: t.desk,
		Paths: paths, Logger: t.role("smsc")}
	c, err := smsc.New(o)
	if errors.Is(err, vault.ErrDamaged) || isFile(o.Dir) {
		if err := t.putAside("smsc", "the messages that waited in it are lost", err); err != nil {
			return err
		}
		c, err = smsc.New(o)
	}
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.centre = c
	t.serve("message centre", c.Serve)
	return t.serveLinks()
}

// startSIP opens the SIP gateway.
func (t *Town) startSIP(context.Context) error {
	q := t.set.sip
	if !q.on() {
		return nil
	}
	t.addVirtualCell(&q)
	for i := range q.stations {
		if q.own[i] {
			if !t.keys.held["tower"] {
				return &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, "sip.stations"), What: "station " + q.stations[i].Name + " names no tower, and this home has none",
					Remedy: "write its tower's public key, as campanile tower list has it"}
			}
			q.stations[i].Tower = t.keys.tower.Public()
		}
		if s := q.stations[i]; s.Tower != (proof.TowerKey{}) {
			if _, ok := t.model.Tower(s.Tower); !ok {
				t.role("sip").Warn("the tower of a station is not on the ledger: nobody is paid for its calls and messages until it is registered", "station", s.Name, "tower", s.Tower.Short())
			}
		}
	}
	kept, err := t.openVault("sip", "SIP gateway", "phones in GSM cells and apps register anew")
	if err != nil {
		return err
	}
	if err := t.openTally(); err != nil {
		return err
	}
	var trusted []netip.Prefix
	for _, s := range q.stations {
		trusted = append(trusted, s.From...)
	}
	for _, t := range q.calls.Trunks { // a provider brings more than one stranger may, and goes before them
		trusted = append(trusted, t.From...)
	}
	e, err := txn.Listen(txn.Options{UDP: q.listen, TCP: q.listen, TLS: q.tls, TLSConfig: q.cert, Admission: txn.Admission{Trusted: trusted}, Log: t.role("sip")})
	if err != nil {
		return t.portTaken(err, "sip.listen")
	}
	speech, err := media.New(q.media)
	if err != nil {
		return t.portTaken(err, "sip.media")
	}
	t.speech = speech
	t.serve("speech", speech.Serve)
	q.calls.Media, q.calls.Record, q.calls.Logger = calls.Relay(speech), t.pastCalls.add, t.role("sip")
	g, err := sipgw.New(sipgw.Options{Endpoint: e, Home: t.home, Directory: t.directory, PLMN: t.set.plmn, Serving: t.operatorKey, Realm: q.realm,
		Stations: q.stations, Policy: q.policy, Messages: t.centre, USSD: t.desk, Tally: cellTally{t.tally}, Calls: t.openCalls(q.calls), Store: kept, Logger: t.role("sip")})
	if err != nil {
		return err
	}
	t.sip = g
	t.ways.sip.Store(g)
	for _, a := range append(append([]netip.AddrPort{}, q.listen...), q.tls...) {
		t.bound = append(t.bound, "SIP "+a.String())
	}
	t.serve("SIP gateway", g.Serve)
	t.followAir(q)
	return nil
}

// measureSIP is what the gateway and what belongs to it count.
func (t *Town) measureSIP() metrics.SIP {
	return metrics.SIP{Gateway: t.sip.Stats(), Stations: t.sip.Stations(), Calls: t.calls.Stats(), Media: t.speech.Stats(), Tally: t.tally.Stats(), Wire: t.sip.Endpoint().Stats()}
}

// openCalls opens the calls of a gateway.
func (t *Town) openCalls(o calls.Options) func(*sipgw.Gateway) (sipgw.Calls, error) {
	return func(g *sipgw.Gateway) (sipgw.Calls, error) {
		c, err := sipgw.CallsBy(o)(g)
		t.calls, _ = c.(*calls.Switch)
		return c, err
	}
}

// openTally opens what counts voice and messages at GSM cells.
func (t *Town) openTally() error {
	v, err := t.openVault("tally", "tally of GSM cells", "voice and messages that billing has not been told of are not paid for")
	if err != nil {
		return err
	}
	t.tally, err = tally.New(tally.Options{ChainID: t.chainID, Operator: t.keys.operator, Store: v, Sink: t.sink, Logger: t.role("tally")})
	if err != nil {
		return err
	}
	t.serve("tally of GSM cells", t.tally.Serve)
	return nil
}

// cellTally is the tally as the SIP gateway asks for it.
type cellTally struct{ *tally.Tally }

func (c cellTally) Enter(ticket []byte, tower proof.TowerKey, cell id.CGI) (sipgw.Stay, error) {
	s, err := c.Tally.Enter(ticket, tower, proof.GERAN(cell))
	if err != nil {
		return nil, err
	}
	return cellStay{s}, nil
}

// cellStay is a stay as calls count in it.
type cellStay struct{ *tally.Stay }

func (s cellStay) Call() calls.Meter { return s.Stay.Call() }

// numbers is the directory as the message centre asks it.
type numbers struct{ home.Directory }

func (n numbers) ByNumber(ctx context.Context, m id.MSISDN) (id.IMSI, error) {
	imsi, err := n.Directory.ByNumber(ctx, m)
	if errors.Is(err, home.ErrNobody) {
		return imsi, smsc.ErrUnknown
	}
	return imsi, err
}

// messages is where the MME's phones send short messages: the message centre, here or
// in another process, or from one to the other where there is none.
func (t *Town) messages() mme.Messages {
	switch {
	case t.farCentre != nil:
		return farMessages{t.farCentre}
	case t.centre != nil:
		return messages{t.centre}
	}
	return &mme.LocalMessages{}
}

// messages is the message centre as the MME asks it.
type messages struct{ c *smsc.Centre }

func (m messages) Submit(ctx context.Context, from mme.Sender, rp sms.RP) (sms.RP, error) {
	return m.c.Submit(ctx, smsc.Sender{IMSI: from.IMSI, MSISDN: from.MSISDN}, rp)
}

func (m messages) Ready(imsi id.IMSI) { m.c.Ready(imsi) }

// lteWay brings messages to phones over NAS.
type lteWay struct{ ways *messageWays }

// Registered implements smsc.Path.
func (w lteWay) Registered(imsi id.IMSI) (time.Time, bool) {
	m := w.ways.mme.Load()
	if m == nil {
		return time.Time{}, false
	}
	p, ok := m.Phone(imsi)
	switch {
	case !ok || p.State != mme.Idle && p.State != mme.Connected:
		return time.Time{}, false
	case p.State == mme.Connected:
		return time.Now(), true
	}
	return p.Heard, true
}

// Deliver implements smsc.Path.
func (w lteWay) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	m := w.ways.mme.Load()
	if m == nil {
		return nil, smsc.ErrNotRegistered
	}
	answer, err := m.DeliverSMS(ctx, d.IMSI, d.Data)
	switch {
	case errors.Is(err, mme.ErrNotRegistered), errors.Is(err, mme.ErrNoSMS):
		err = fmt.Errorf("%w: %w", smsc.ErrNotRegistered, err)
	case errors.Is(err, mme.ErrAbsent):
		err = fmt.Errorf("%w: %w", smsc.ErrAbsent, err)
	}
	return answer, err
}

// Delivered implements smsc.Path: nobody pays for messages over NAS.
func (lteWay) Delivered(smsc.Delivery) {}

// sipWay brings messages to GSM phones and apps.
type sipWay struct{ ways *messageWays }

// Registered implements smsc.Path.
func (w sipWay) Registered(imsi id.IMSI) (time.Time, bool) {
	if g := w.ways.sip.Load(); g != nil {
		return g.Registered(imsi)
	}
	return time.Time{}, false
}

// Deliver implements smsc.Path.
func (w sipWay) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	if g := w.ways.sip.Load(); g != nil {
		return g.Deliver(ctx, d)
	}
	return nil, smsc.ErrNotRegistered
}

// Delivered implements smsc.Path.
func (w sipWay) Delivered(d smsc.Delivery) {
	if g := w.ways.sip.Load(); g != nil {
		g.Delivered(d)
	}
}

// saySIP is what the SIP gateway and the message centre have to say.
func (t *Town) saySIP(say func(name, format string, args ...any)) {
	if g := t.sip; g != nil {
		s := g.Stats()
		var kinds []string
		for _, k := range []sipgw.Kind{sipgw.OpenBTS, sipgw.YateBTS, sipgw.IMS, sipgw.App} {
			if n := s.Registered[k.String()]; n > 0 {
				kinds = append(kinds, fmt.Sprintf("%d %v", n, k))
			}
		}
		text := "nobody is registered"
		if len(kinds) > 0 {
			text = "registered " + strings.Join(kinds, ", ")
		}
		say("SIP", "%s; %d registrations, %d challenged", text, s.Registrations, s.Challenged)
		if c := t.calls.Stats(); c.Begun > 0 {
			say("calls", "%d now; %d begun, %d answered, %v spoken", c.Calls, c.Begun, c.Answered, c.Voice.Round(time.Second))
		}
	}
	t.sayMessages(say)
}
