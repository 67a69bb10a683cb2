package mme

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// testHome is a home with real vectors. Its fields say how it misbehaves.
type testHome struct {
	mu         sync.Mutex
	serving    proof.OperatorKey
	node       proof.SigningKey
	subs       map[id.IMSI]*subscriber
	challenges map[home.ChallengeID]*challenged
	asked      int           // Challenge calls
	life       time.Duration // of a ticket
	silent     bool          // Challenge and Prove do not answer
	mute       bool          // Prove does not answer
	replay     bool          // every challenge has the same number
	refuse     home.Code     // of every Challenge
	expired    int           // so many Prove calls find the challenge expired
	otherChain bool          // tickets are for another ledger
	profile    home.Profile  // instead of testProfile
}

type subscriber struct {
	k, opc secret.Key128
	c      *milenage.Cipher
	seq    uint64
	barred bool
}

type challenged struct {
	imsi id.IMSI
	plmn id.PLMN
	v    aka.Vector
}

func newTestHome() *testHome {
	return &testHome{node: proof.SigningKeyFromSeed([32]byte{9}), subs: map[id.IMSI]*subscriber{}, challenges: map[home.ChallengeID]*challenged{}, life: 6 * time.Hour}
}

func (h *testHome) add(imsi id.IMSI) *subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &subscriber{}
	copy(s.k[:], "k"+imsi.Digits())
	copy(s.opc[:], "opc"+imsi.Digits())
	s.c = milenage.New(s.k, s.opc)
	h.subs[imsi] = s
	return s
}

func (h *testHome) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	s := h.subs[r.IMSI]
	switch {
	case h.silent:
		h.mu.Unlock()
		<-ctx.Done()
		h.mu.Lock()
		return home.Challenge{}, ctx.Err()
	case h.refuse != 0:
		return home.Challenge{}, &home.Error{Code: h.refuse}
	case r.Serving != h.serving:
		return home.Challenge{}, &home.Error{Code: home.NotAuthorised}
	case s == nil && r.IMSI.HasPLMN(testPLMN):
		return home.Challenge{}, &home.Error{Code: home.UnknownSubscriber}
	case s == nil:
		return home.Challenge{}, &home.Error{Code: home.ForeignRange}
	case s.barred:
		return home.Challenge{}, &home.Error{Code: home.Barred}
	}
	if r.Resync != nil {
		ms, err := aka.VerifyAUTS(s.c, aka.RAND(r.Resync.RAND), aka.AUTS(r.Resync.AUTS))
		if err != nil {
			return home.Challenge{}, &home.Error{Code: home.ResyncFailed}
		}
		s.seq = ms.SEQ()
	}
	if s.seq == 0 || !h.replay {
		s.seq++
	}
	var c home.Challenge
	rand.Read(c.ID[:])
	rand.Read(c.RAND[:])
	v := aka.Generate(s.c, aka.RAND(c.RAND), must(aka.MakeSQN(s.seq, 0)), aka.AMFEPS())
	c.AUTN, c.Expires = v.AUTN, time.Now().Add(30*time.Second)
	h.challenges[c.ID] = &challenged{r.IMSI, r.PLMN, v}
	return c, nil
}

func (h *testHome) Prove(ctx context.Context, r home.ProveRequest) (home.Lease, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.challenges[r.ID]
	switch {
	case h.mute || h.silent:
		h.mu.Unlock()
		<-ctx.Done()
		h.mu.Lock()
		return home.Lease{}, ctx.Err()
	case h.expired > 0:
		h.expired--
		return home.Lease{}, &home.Error{Code: home.Expired}
	case c == nil:
		return home.Lease{}, &home.Error{Code: home.Expired}
	case !c.v.XRES.Equal(r.RES):
		return home.Lease{}, &home.Error{Code: home.WrongRES}
	}
	p := testProfile()
	if h.profile.ARP != 0 {
		p = h.profile
	}
	return home.Lease{KASME: c.v.KASME(c.plmn), Ticket: h.ticket(), Profile: p}, nil
}

func testProfile() home.Profile {
	return home.Profile{APN: must(id.ParseAPN("internet")), QCI: 9, ARP: 8, AMBRUL: 50 * id.Mbps, AMBRDL: 100 * id.Mbps}
}

func (h *testHome) ticket() []byte {
	now := time.Now().Truncate(time.Second)
	t := proof.Ticket{ChainID: testChain, Home: proof.OperatorKey{5}, Node: h.node.Public(), Serving: h.serving, Class: proof.Proven,
		NotBefore: now, NotAfter: now.Add(h.life), Cap: proof.Carried{Bytes: 1e9}}
	if h.otherChain {
		t.ChainID = "campanile-other"
	}
	rand.Read(t.ID[:])
	return must(t.Sign(h.node))
}

// testGateway keeps sessions as a gateway does, and checks what it is shown.
type testGateway struct {
	free      id.APN // sessions there need no ticket
	mu        sync.Mutex
	operator  proof.OperatorKey
	next      uint32
	sessions  map[*s11.Session]*testSession
	said      []string       // its requests, for transcripts
	refuse    error          // of every Create
	usedUp    proof.TicketID // no session under it
	forget    error          // of every Modify
	spoil     func(*s11.Session)
	silent    bool                                          // nothing is answered
	slow      time.Duration                                 // before every answer
	failed    int                                           // PagingFailed
	asked     s11.CreateSession                             // the last
	resources func(*s11.Session, s11.ResourceRequest) error // nil refuses
	bad       []string                                      // what it was shown that does not fit
}

type testSession struct {
	ticket   proof.Ticket
	segments []proof.Segment
	enb      s11.FTEID
}

func newTestGateway() *testGateway {
	return &testGateway{sessions: map[*s11.Session]*testSession{}}
}

func (g *testGateway) note(ctx context.Context, format string, args ...any) error {
	g.mu.Lock()
	g.said = append(g.said, fmt.Sprintf(format, args...))
	silent, slow := g.silent, g.slow
	g.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (g *testGateway) Create(ctx context.Context, r s11.CreateSession) (*s11.Session, error) {
	if err := g.note(ctx, "create"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != nil {
		return nil, g.refuse
	}
	var t proof.Ticket
	if r.APN != g.free || g.free.IsZero() {
		var err error
		if t, err = proof.OpenTicket(testChain, r.Ticket); err != nil {
			return nil, err
		}
	}
	if t.ID == g.usedUp && len(r.Ticket) > 0 {
		return nil, &gtpc.CauseError{Cause: gtpc.UserAuthFailed}
	}
	g.next++
	g.asked = r
	s := &s11.Session{IMSI: r.IMSI, EBI: r.EBI, APN: r.APN, Address: netip.AddrFrom4([4]byte{10, 45, byte(g.next >> 8), byte(g.next)}),
		SGW: s11.FTEID{Addr: netip.MustParseAddr("127.0.0.30"), TEID: id.TEID(g.next)}, AMBR: r.AMBR, PCO: []byte{0x80, 0, 13, 4, 10, 45, 0, 1},
		Cause: 16}
	s.QoS.QCI, s.QoS.ARP = r.QCI, r.ARP
	if r.PDNType == 3 {
		s.Cause = 18
	}
	if g.spoil != nil {
		g.spoil(s)
	}
	g.sessions[s] = &testSession{ticket: t}
	return s, nil
}

func (g *testGateway) Modify(ctx context.Context, s *s11.Session, m s11.ModifyBearer) error {
	if err := g.note(ctx, "modify %v %v", m.ENB.Addr, m.ENB.TEID); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s = g.same(s)
	x := g.sessions[s]
	if g.forget != nil {
		return g.forget
	}
	if x == nil {
		return fmt.Errorf("no such session")
	}
	if m.Ticket != nil {
		t, err := proof.OpenTicket(testChain, m.Ticket)
		if err != nil {
			return err
		}
		x.ticket = t
	}
	if len(m.Segment) == 0 && s.APN == g.free {
		x.enb = m.ENB
		return nil
	}
	seg, err := proof.OpenSegment(testChain, g.operator, m.Segment)
	if err != nil {
		return err
	}
	if seg.Ticket != x.ticket.ID {
		g.bad = append(g.bad, fmt.Sprintf("segment of ticket %v under ticket %v", seg.Ticket, x.ticket.ID))
	}
	x.segments, x.enb = append(x.segments, seg), m.ENB
	return nil
}

func (g *testGateway) Release(ctx context.Context, s *s11.Session) error {
	if err := g.note(ctx, "release"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s = g.same(s)
	if x := g.sessions[s]; x != nil {
		x.enb = s11.FTEID{}
		return nil
	}
	return fmt.Errorf("no such session")
}

func (g *testGateway) Delete(ctx context.Context, s *s11.Session) error {
	if err := g.note(ctx, "delete"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s = g.same(s)
	if g.sessions[s] == nil {
		g.bad = append(g.bad, "delete of a session that is not there")
	}
	delete(g.sessions, s)
	return nil
}

func (g *testGateway) Resources(ctx context.Context, s *s11.Session, r s11.ResourceRequest) error {
	if err := g.note(ctx, "resources of bearer %d: %v", r.EBI, r.TAD.Operation); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resources == nil {
		return &gtpc.CauseError{Cause: gtpc.ServiceNotSupported}
	}
	return g.resources(s, r)
}

func (g *testGateway) Drop(ctx context.Context, _ *s11.Session, ebis []id.EBI) error {
	return g.note(ctx, "drop %v", ebis)
}

func (g *testGateway) PagingFailed(*s11.Session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed++
	return nil
}

// only gives the one session there is.
func (g *testGateway) only(w *world) (*s11.Session, *testSession) {
	w.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sessions) != 1 {
		w.t.Fatalf("the gateway has %d sessions, want 1; it was asked: %v", len(g.sessions), g.said)
	}
	for s, x := range g.sessions {
		return s, x
	}
	return nil, nil
}

func (g *testGateway) none(w *world) {
	w.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sessions) != 0 {
		w.t.Errorf("the gateway has %d sessions left; it was asked: %v", len(g.sessions), g.said)
	}
	for _, b := range g.bad {
		w.t.Errorf("gateway: %s", b)
	}
}

// same gives the session that is meant by another MME's, or by one before a restart.
func (g *testGateway) same(s *s11.Session) *s11.Session {
	if g.sessions[s] == nil {
		for had := range g.sessions {
			if had.IMSI == s.IMSI && had.EBI == s.EBI && had.SGW == s.SGW {
				return had
			}
		}
	}
	return s
}

func (g *testGateway) Adopt(st s11.State, _ *s11.Session) (*s11.Session, error) {
	s := st.Session
	return &s, nil
}

func (g *testGateway) Move(ctx context.Context, s *s11.Session) error {
	if err := g.note(ctx, "move"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[g.same(s)] == nil {
		return &gtpc.CauseError{Cause: gtpc.ContextNotFound}
	}
	return nil
}

func (g *testGateway) Forget(*s11.Session) {}
