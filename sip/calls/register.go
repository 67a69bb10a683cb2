package calls

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// retryFirst and retryLast bound the pause after a registration that failed; it
// doubles in between. lookAgain is how often a name is looked up.
const (
	retryFirst = 2 * time.Second
	retryLast  = 5 * time.Minute
	lookAgain  = 5 * time.Minute
)

// keep keeps a trunk usable until ctx ends: its name looked up and, where it is
// asked to be, the network registered there. At the end it is unregistered.
func (t *trunk) keep(ctx context.Context) {
	callID, seq := newTag(), uint32(0)
	pause := retryFirst
	for {
		wait := lookAgain
		err := t.resolve(ctx)
		if err == nil && t.o.Register {
			var granted time.Duration
			if granted, err = t.register(ctx, callID, &seq, t.o.Expires); err == nil {
				wait = max(granted-min(granted/2, time.Minute), time.Second)
			}
		}
		t.stands(err)
		if err == nil {
			pause = retryFirst
		} else {
			t.w.o.Logger.Warn("trunk does not stand", "trunk", t.o.Name, "err", err, "again", pause)
			wait = pause
			pause = min(2*pause, retryLast)
		}
		select {
		case <-ctx.Done():
			if t.o.Register && t.status().Registered.After(time.Now()) {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
				defer cancel()
				_, _ = t.register(last, callID, &seq, 0) // the provider forgets it anyway
			}
			return
		case <-time.After(wait):
		}
	}
}

// stands keeps in mind how the last attempt went.
func (t *trunk) stands(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.why = err.Error()
	} else if t.failed.IsZero() {
		t.why = ""
	}
}

// register tells the provider where this network is (RFC 3261 §10.2), and gives
// for how long it took it.
func (t *trunk) register(ctx context.Context, callID string, seq *uint32, expires time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	aor := sip.Address{URI: sip.URI{Scheme: t.uri.Scheme, User: t.o.User, Host: t.domain()}}
	var shown *sip.Header
	for range 3 { // a challenge, and one that the first answer was stale for
		targets := t.where()
		host, port := t.w.o.Endpoint.SentBy(targets[0])
		*seq++
		m := sip.NewRequest(sip.MethodRegister, sip.URI{Scheme: t.uri.Scheme, Host: t.domain()})
		m.From, m.To, m.CallID, m.CSeq.Seq = aor, aor, callID, *seq
		m.From.Params.Set("tag", newTag())
		m.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: t.o.User, Host: host, Port: port}}}
		m.Expires = int(expires / time.Second)
		if shown != nil {
			m.Add(shown.Name, shown.Value)
		}
		r, err := t.w.o.Endpoint.Request(ctx, m, targets...).Final(ctx)
		switch {
		case err != nil:
			return 0, fmt.Errorf("registrar of trunk %s: %w", t.o.Name, err)
		case r.Status < 300:
			granted := grantedTo(r, m.Contact[0], expires)
			t.mu.Lock()
			t.registered = time.Now().Add(granted)
			t.mu.Unlock()
			return granted, nil
		case r.Status == 423:
			n, err := strconv.Atoi(r.Get("Min-Expires"))
			if err != nil || n <= int(expires/time.Second) || n > 86400 {
				return 0, fmt.Errorf("registrar of trunk %s: %d %s", t.o.Name, r.Status, r.Reason)
			}
			expires = time.Duration(n) * time.Second
		case r.Status == 401 || r.Status == 407:
			if shown = t.credentials(r, m); shown != nil {
				continue
			}
			fallthrough
		default:
			return 0, fmt.Errorf("registrar of trunk %s: %d %s", t.o.Name, r.Status, r.Reason)
		}
	}
	return 0, fmt.Errorf("registrar of trunk %s takes neither user nor password", t.o.Name)
}

// grantedTo is how long a registrar keeps our contact.
func grantedTo(r *sip.Message, ours sip.Address, asked time.Duration) time.Duration {
	seconds := r.Expires
	for _, c := range r.Contact {
		if n, err := strconv.Atoi(c.Params.Get("expires")); err == nil && c.URI.User == ours.URI.User && c.URI.Host == ours.URI.Host {
			seconds = n
		}
	}
	if seconds < 0 {
		return asked
	}
	return min(time.Duration(seconds)*time.Second, 24*time.Hour)
}

// credentials answers the challenge in r to request m; nil: there is no answer.
func (t *trunk) credentials(r, m *sip.Message) *sip.Header {
	ask, show := "WWW-Authenticate", "Authorization"
	if r.Status == 407 {
		ask, show = "Proxy-Authenticate", "Proxy-Authorization"
	}
	challenge, ok := digest.Best(r.Values(ask))
	if !ok || t.o.Password == "" {
		return nil
	}
	c, err := challenge.Respond(digest.Request{
		Username: t.o.User, Password: string(t.o.Password), Method: string(m.Method), URI: m.URI.String(), Body: m.Body,
		CNonce: newTag(), Count: 1,
	})
	if err != nil {
		return nil
	}
	return &sip.Header{Name: show, Value: c.String()}
}
