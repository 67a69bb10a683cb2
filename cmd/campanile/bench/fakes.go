package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

const chainID = "campanile-bench"

// ticketLife is how long the tickets of a run are good for: longer than a run.
const ticketLife = 24 * time.Hour

// anyTower admits every eNB.
type anyTower struct{}

func (anyTower) Admit(_ context.Context, g id.GlobalENBID, _ []id.TAI) (proof.TowerKey, error) {
	return proof.TowerKey{1, byte(g.ID >> 16), byte(g.ID >> 8), byte(g.ID)}, nil
}

// testHome answers for every IMSI, with one key. Its tickets are signed before it
// begins, for that is not the MME's work; no two that follow each other are the same.
type testHome struct {
	serving proof.OperatorKey
	alg     *milenage.Cipher
	profile home.Profile
	tickets [1024][]byte

	mu   sync.Mutex
	seq  uint64 // of the last vector of anybody
	open map[home.ChallengeID]open
	last []home.Challenge // oldest first
}

type open struct {
	plmn id.PLMN
	v    aka.Vector
	no   int
}

func newHome(o Options, serving proof.OperatorKey) (*testHome, error) {
	node := proof.SigningKeyFromSeed([32]byte{2})
	now := time.Now().Truncate(time.Second)
	apn, err := id.ParseAPN("internet")
	if err != nil {
		return nil, err
	}
	h := &testHome{serving: serving, alg: milenage.New(o.K, o.OPc), open: map[home.ChallengeID]open{},
		profile: home.Profile{APN: apn, QCI: 9, ARP: 8, AMBRUL: 50 * id.Mbps, AMBRDL: 100 * id.Mbps}}
	t := proof.Ticket{ChainID: chainID, Home: proof.OperatorKey{3}, Node: node.Public(), Serving: serving, Class: proof.Proven,
		NotBefore: now, NotAfter: now.Add(ticketLife), Cap: proof.Carried{Bytes: 1 << 40}}
	for i := range h.tickets {
		t.ID = proof.TicketID{byte(i >> 8), byte(i)}
		if h.tickets[i], err = t.Sign(node); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// challengeLife is how long a challenge lives, as with real homes.
const challengeLife = 30 * time.Second

// Challenge is with a number that is higher than every card's.
func (h *testHome) Challenge(_ context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	var c home.Challenge
	rand.Read(c.ID[:])
	rand.Read(c.RAND[:])
	now := time.Now()
	h.mu.Lock()
	h.seq++
	sqn, err := aka.MakeSQN(h.seq, 0)
	h.mu.Unlock()
	if err != nil {
		return c, err
	}
	v := aka.Generate(h.alg, aka.RAND(c.RAND), sqn, aka.AMFEPS())
	c.AUTN, c.Expires = v.AUTN, now.Add(challengeLife)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[c.ID] = open{r.PLMN, v, int(h.seq)}
	for h.last = append(h.last, c); now.After(h.last[0].Expires); h.last = h.last[1:] {
		delete(h.open, h.last[0].ID)
	}
	return c, nil
}

// Prove forgets the challenge only with time: it may be repeated.
func (h *testHome) Prove(_ context.Context, r home.ProveRequest) (home.Lease, error) {
	h.mu.Lock()
	c, ok := h.open[r.ID]
	h.mu.Unlock()
	switch {
	case !ok:
		return home.Lease{}, &home.Error{Code: home.Expired}
	case !c.v.XRES.Equal(r.RES):
		return home.Lease{}, &home.Error{Code: home.WrongRES}
	}
	return home.Lease{Ticket: h.tickets[c.no%len(h.tickets)], Profile: h.profile, KASME: c.v.KASME(c.plmn)}, nil
}

// gateway has sessions and no packets.
type gateway struct {
	mu       sync.Mutex
	next     uint32
	sessions map[id.IMSI]*s11.Session // the last of each phone
}

func newGateway() *gateway { return &gateway{sessions: map[id.IMSI]*s11.Session{}} }

// of gives a phone's session, nil if there is none.
func (g *gateway) of(imsi string) *s11.Session {
	who, err := id.ParseIMSI(imsi)
	if err != nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[who]
}

func (g *gateway) Create(_ context.Context, r s11.CreateSession) (*s11.Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	s := &s11.Session{IMSI: r.IMSI, EBI: r.EBI, APN: r.APN, Address: netip.AddrFrom4([4]byte{10, byte(g.next >> 16), byte(g.next >> 8), byte(g.next)}),
		SGW: s11.FTEID{Addr: netip.AddrFrom4([4]byte{127, 0, 0, 30}), TEID: id.TEID(g.next)}, AMBR: r.AMBR, PCO: []byte{0x80, 0, 13, 4, 10, 0, 0, 1}, Cause: gtpc.Accepted}
	s.QoS.QCI, s.QoS.ARP = r.QCI, r.ARP
	g.sessions[r.IMSI] = s
	return s, nil
}

func (g *gateway) Delete(_ context.Context, s *s11.Session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.IMSI] == s {
		delete(g.sessions, s.IMSI)
	}
	return nil
}

func (g *gateway) Restore(v s11.State) (*s11.Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &v.Session
	g.sessions[s.IMSI] = s
	return s, nil
}

func (*gateway) Modify(context.Context, *s11.Session, s11.ModifyBearer) error { return nil }
func (*gateway) Release(context.Context, *s11.Session) error                  { return nil }
func (*gateway) PagingFailed(*s11.Session) error                              { return nil }
func (*gateway) Drop(context.Context, *s11.Session, []id.EBI) error           { return nil }
func (*gateway) Resources(context.Context, *s11.Session, s11.ResourceRequest) error {
	return errors.New("bench: this gateway has no dedicated bearers")
}
