package hss

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

const (
	lifetime      = 30 * time.Second // of a challenge
	maxWrong      = 3                // wrong RES that end a challenge
	maxChallenges = 1 << 16          // alive at once
	maxForeign    = 1 << 13          // of them, for one operator other than the home
	burst         = 8                // challenges for one subscriber at once
	perSecond     = 1                // and from then on
)

// maxOpen is how many challenges of a method are alive at once. Each has its share,
// and a subscriber a limit for each: strangers on the internet who call themselves
// IMS phones keep neither GSM's from their cells nor LTE's.
var maxOpen = [...]int{home.EPS: maxChallenges, home.UMTS: 1 << 14, home.GSM: 1 << 15}

// challenge is a vector on its way.
type challenge struct {
	id      home.ChallengeID
	method  home.Method
	sub     *subscriber
	serving proof.OperatorKey
	plmn    id.PLMN
	vector  aka.Vector  // of EPS and UMTS; of GSM only its RAND
	triplet aka.Triplet // of GSM
	expires time.Time
	wrong   int
	resync  bool        // its RAND has been used for a resynchronisation
	lease   *home.Lease // set once proven
}

// Challenge implements home.Home.
func (h *HSS) Challenge(_ context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	out, c, err := h.draws(r)
	if c != nil && c.method == home.GSM {
		// COMP128 takes longer than all else together. Nobody can prove the challenge
		// before he has its id.
		c.triplet = c.sub.triplet(c.vector.RAND)
	}
	return out, err
}

// draws checks who asks about whom and draws a challenge, which is given too when
// it is a card's.
func (h *HSS) draws(r home.ChallengeRequest) (out home.Challenge, c *challenge, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if out, c, err = h.answer(r); err != nil {
		h.stats.Refused++
		h.o.Log.Debug("challenge refused", "method", r.Method, logs.IMSI, r.IMSI, logs.Error, err)
		return out, nil, err
	}
	h.stats.Challenges++
	return out, c, nil
}

func (h *HSS) answer(r home.ChallengeRequest) (out home.Challenge, c *challenge, err error) {
	now := time.Now()
	h.forget(now)
	op, ok := h.o.Registry.OperatorByKey(r.Serving)
	switch {
	case !ok:
		return out, nil, refusal(home.NotAuthorised, "operator %s is not registered", r.Serving.Short())
	case !slices.Contains(op.PLMNs, r.PLMN): // whose K_ASME it would get (TS 33.401 §6.1.2)
		return out, nil, refusal(home.NotAuthorised, "operator %s has not registered PLMN %v", r.Serving.Short(), r.PLMN)
	}
	s, err := h.servable(r.IMSI)
	if err != nil {
		return out, nil, err
	}
	if r.Method == home.App {
		out, err = h.appChallenge(s, r.Serving, now)
		return out, nil, err
	}
	if c, err = h.challenge(s, r, now); err != nil {
		return out, nil, err
	}
	return home.Challenge{ID: c.id, RAND: c.vector.RAND, AUTN: c.vector.AUTN, Expires: c.expires}, c, nil
}

// challenge draws a challenge of a card, which is kept until it is answered.
func (h *HSS) challenge(s *subscriber, r home.ChallengeRequest, now time.Time) (*challenge, error) {
	if err := h.capable(s, r.Method); err != nil {
		return nil, err
	}
	// A foreign operator may use up neither the home's own share nor that of the
	// operator where the SIM has answered.
	foreign := r.Serving != h.o.Operator
	if !s.take(now, r.Method, foreign && r.Serving != s.at) || len(h.queue) >= maxChallenges || foreign && h.asked[r.Serving] >= maxForeign || h.open[r.Method] >= maxOpen[r.Method] {
		return nil, refusal(home.RateLimited, "")
	}
	if r.Resync != nil {
		if err := h.resync(s, r); err != nil {
			return nil, err
		}
	}
	c := &challenge{method: r.Method, sub: s, serving: r.Serving, plmn: r.PLMN, expires: now.Add(lifetime)}
	rand.Read(c.id[:])
	if err := h.draw(c); err != nil {
		return nil, err
	}
	h.challenges[c.id] = c
	h.queue = append(h.queue, c)
	h.asked[c.serving]++
	h.open[c.method]++
	return c, nil
}

// servable finds a subscriber that the ledger says is active, under the very
// blob that is held here.
func (h *HSS) servable(imsi id.IMSI) (*subscriber, error) {
	s := h.byIMSI[imsi]
	if s == nil {
		return nil, refusal(home.UnknownSubscriber, "")
	}
	s = h.current(s)
	r, ok := h.o.Registry.Subscriber(s.id)
	switch {
	case !ok || r.State == ledger.Erased:
		return nil, refusal(home.UnknownSubscriber, "not on the ledger")
	case r.BlobHash != s.blobHash:
		return nil, refusal(home.Unavailable, "the blob held here is not the ledger's version %d", r.Version)
	case r.State != ledger.Active:
		return nil, refusal(home.Barred, "")
	}
	return s, nil
}

// bucket lets a burst of challenges pass, then a few a second.
type bucket struct {
	tokens  float64
	touched time.Time
}

// take counts a challenge: any registered operator may ask, and none may run a
// SIM's numbers away. Strangers share a bucket of their own.
func (s *subscriber) take(now time.Time, m home.Method, stranger bool) bool {
	b := &s.known[m]
	if stranger {
		b = &s.strangers
	}
	b.tokens = min(burst, b.tokens+now.Sub(b.touched).Seconds()*perSecond)
	b.touched = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// resync believes an AUTS once, for a challenge of this node that the same
// operator got and that is still unanswered (TS 33.102 §6.3.5).
func (h *HSS) resync(s *subscriber, r home.ChallengeRequest) error {
	for _, c := range h.queue {
		if c.sub != s || c.method != r.Method || c.method == home.GSM || c.serving != r.Serving || c.vector.RAND != r.Resync.RAND || c.lease != nil || c.resync {
			continue
		}
		ms, err := aka.VerifyAUTS(s.cipher, r.Resync.RAND, r.Resync.AUTS)
		if err != nil {
			return refusal(home.ResyncFailed, "%v", err)
		}
		t, err := h.tick()
		if err != nil {
			return err
		}
		last, dif := aka.Resync(s.last, s.dif, t, ms)
		if dif != s.dif {
			if err := h.store.setDIF(s.id, dif); err != nil {
				return refusal(home.Unavailable, "store: %v", err)
			}
		}
		s.last, s.dif, c.resync = last, dif, true
		h.stats.Resyncs++
		h.o.Log.Info("sequence numbers resynchronised", logs.IMSI, s.IMSI, "sqn_ms", ms)
		return nil
	}
	return refusal(home.ResyncFailed, "no unanswered challenge with this RAND")
}

// forget drops challenges that have had their time.
func (h *HSS) forget(now time.Time) {
	n := 0
	for n < len(h.queue) && !now.Before(h.queue[n].expires) {
		c := h.queue[n]
		delete(h.challenges, c.id)
		h.open[c.method]--
		if h.asked[c.serving]--; h.asked[c.serving] == 0 {
			delete(h.asked, c.serving)
		}
		n++
	}
	if n > 0 {
		h.queue = append(h.queue[:0], h.queue[n:]...)
	}
}
