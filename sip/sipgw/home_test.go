package sipgw

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// subscriber is somebody a home knows.
type subscriber struct {
	imsi     id.IMSI
	number   id.MSISDN
	card     aka.Algorithm
	gsmOnly  bool // a SIM, no USIM
	password string
	refuse   home.Code
	seq      uint64
}

// fakeHome is a home with few subscribers, whose RANDs are the same in every run.
type fakeHome struct {
	mu    sync.Mutex
	by    map[id.IMSI]*subscriber
	drawn uint64
	open  map[home.ChallengeID]*drawn
	away  bool
	proof int // how many were right
}

type drawn struct {
	s      *subscriber
	method home.Method
	v      aka.Vector
}

var noAddr netip.AddrPort

const testRealm = "campanile.test"

func newFakeHome() *fakeHome {
	return &fakeHome{by: map[id.IMSI]*subscriber{}, open: map[home.ChallengeID]*drawn{}}
}

func (r *fakeHome) add(t testing.TB, imsi, number, password string) *subscriber {
	t.Helper()
	i, err := id.ParseIMSI(imsi)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{imsi: i, password: password, card: milenage.New(secret.Key128{1, 2, 3, imsi[14]}, secret.Key128{9, 9})}
	if number != "" {
		if s.number, err = id.ParseMSISDN(number); err != nil {
			t.Fatal(err)
		}
	}
	r.do(func() { r.by[i] = s })
	return s
}

// addSIM adds somebody whose card is no USIM.
func (r *fakeHome) addSIM(t testing.TB, imsi, number string) {
	t.Helper()
	s := r.add(t, imsi, number, "")
	r.do(func() { s.gsmOnly = true })
}

// do changes a home that others ask meanwhile.
func (r *fakeHome) do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// proven is how often an answer was right.
func (r *fakeHome) proven() (n int) {
	r.do(func() { n = r.proof })
	return n
}

func (r *fakeHome) Challenge(_ context.Context, q home.ChallengeRequest) (c home.Challenge, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.by[q.IMSI]
	switch {
	case r.away:
		return c, &home.Error{Code: home.Unavailable, Detail: "away"}
	case s == nil:
		return c, &home.Error{Code: home.UnknownSubscriber, Detail: "nobody"}
	case s.refuse != 0:
		return c, &home.Error{Code: s.refuse, Detail: "as the test wants"}
	case q.Method == home.App && s.password == "", q.Method == home.UMTS && s.gsmOnly:
		return c, &home.Error{Code: home.NotSubscribed, Detail: "not this way"}
	}
	if q.Resync != nil {
		ms, err := aka.VerifyAUTS(s.card, q.Resync.RAND, q.Resync.AUTS)
		if err != nil {
			return c, &home.Error{Code: home.ResyncFailed, Detail: err.Error()}
		}
		s.seq = ms.SEQ()
	}
	r.drawn++
	s.seq++
	rand := randOfDraw(r.drawn)
	sqn, err := aka.MakeSQN(s.seq, 0)
	if err != nil {
		return c, err
	}
	d := &drawn{s: s, method: q.Method, v: aka.Generate(s.card, rand, sqn, aka.AMF{})}
	c = home.Challenge{RAND: rand, AUTN: d.v.AUTN, Realm: testRealm}
	binary.BigEndian.PutUint64(c.ID[:], r.drawn)
	r.open[c.ID] = d
	return c, nil
}

func (r *fakeHome) Prove(_ context.Context, q home.ProveRequest) (l home.Lease, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.open[q.ID]
	if d == nil {
		return l, &home.Error{Code: home.Expired, Detail: "never made"}
	}
	delete(r.open, q.ID)
	sres := d.v.Triplet().SRES
	right := false
	switch {
	case d.method == home.App && q.Digest != nil:
		right = q.Digest.VerifyPassword(q.Digest.Username, testRealm, d.s.password)
	case d.method == home.GSM && q.Digest != nil:
		right = q.Digest.VerifyPassword(q.Digest.Username, q.Digest.Realm, hex.EncodeToString(sres[:]))
	case d.method == home.GSM:
		right = string(q.RES) == string(sres[:])
	case q.Digest != nil:
		right = q.Digest.VerifyPassword(q.Digest.Username, q.Digest.Realm, string(d.v.XRES.Bytes()))
	default:
		right = d.v.XRES.Equal(q.RES)
	}
	if !right {
		return l, &home.Error{Code: home.WrongRES, Detail: "wrong"}
	}
	r.proof++
	l = home.Lease{CK: d.v.CK, IK: d.v.IK, Kc: d.v.Triplet().Kc, Ticket: []byte("ticket of " + d.s.imsi.Digits()), Profile: home.Profile{MSISDN: d.s.number}}
	return l, nil
}

func (r *fakeHome) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.by {
		if s.number == n {
			return s.imsi, nil
		}
	}
	return id.IMSI{}, home.ErrNobody
}

func (r *fakeHome) Number(_ context.Context, i id.IMSI) (id.MSISDN, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.by[i]; s != nil {
		return s.number, nil
	}
	return id.MSISDN{}, home.ErrNobody
}

func (r *fakeHome) Assign(context.Context, id.IMSI, id.MSISDN) error { return home.ErrNobody }

// clock is a time that stands until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// randOfDraw is the n-th RAND of a home.
func randOfDraw(n uint64) aka.RAND {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return aka.RAND(sum[:16])
}

func mustIMSI(t testing.TB, digits string) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI(digits)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
