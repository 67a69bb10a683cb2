package mme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// keys are what an authentication gave, until Security Mode Complete.
type keys struct {
	ksi   uint8
	kasme secret.Key256
	lease *lease
}

// authenticate is the authentication procedure (TS 24.301 §5.4.2) with the
// subscriber's home: Challenge, Authentication Request, Prove. A synchronisation
// failure is repaired once.
func (c *conn) authenticate() error {
	ksi := c.nextKSI()
	var resync *home.Resync
	expired := false
	for {
		ch, err := c.challenge(resync)
		if err != nil {
			return homeRefused(err)
		}
		answer, err := c.ask(ksi, ch)
		if err != nil {
			return err
		}
		if f, ok := answer.(*eps.AuthenticationFailure); ok {
			if resync, err = c.failure(f, ch, resync); err != nil {
				return err
			}
			continue
		}
		l, err := c.proveRES(ch, answer.(*eps.AuthenticationResponse).RES)
		switch {
		case err == nil:
			granted, err := c.m.openLease(l, time.Now())
			if err != nil {
				return refuse(eps.EMMCauseNetworkFailure, err)
			}
			c.keys = &keys{ksi: ksi, kasme: l.KASME, lease: granted}
			return nil
		case home.CodeOf(err) == home.Expired && !expired:
			expired, resync = true, nil // a new challenge, once
		case home.CodeOf(err) == home.WrongRES:
			if err := c.mistaken(refuseSIM(err)); err != nil {
				return err
			}
			resync = nil
		default:
			return homeRefused(err)
		}
	}
}

// nextKSI gives a key set identifier the phone does not use (TS 24.301
// §5.4.2.2).
func (c *conn) nextKSI() uint8 {
	c.ue.secMu.Lock()
	defer c.ue.secMu.Unlock()
	if c.ue.sec != nil {
		return (c.ue.sec.KSI() + 1) % 7
	}
	if c.proc != nil {
		if m, ok := c.proc.asked.nas.(*eps.AttachRequest); ok && !m.KSI.None() {
			return (m.KSI.Value() + 1) % 7
		}
	}
	return 0
}

func (c *conn) challenge(resync *home.Resync) (home.Challenge, error) {
	r := home.ChallengeRequest{IMSI: c.ue.imsi, PLMN: c.gummei().PLMN, Serving: c.m.operator, Resync: resync}
	return call(c, c.m.o.HomeTimeout, func(ctx context.Context) (home.Challenge, error) { return c.m.o.Home.Challenge(ctx, r) })
}

func (c *conn) proveRES(ch home.Challenge, res []byte) (home.Lease, error) {
	r := home.ProveRequest{ID: ch.ID, Serving: c.m.operator, RES: res}
	return call(c, c.m.o.HomeTimeout, func(ctx context.Context) (home.Lease, error) { return c.m.o.Home.Prove(ctx, r) })
}

// ask sends Authentication Request until the phone answers it: an
// Authentication Response or Failure.
func (c *conn) ask(ksi uint8, ch home.Challenge) (eps.Message, error) {
	var answer eps.Message
	err := c.exchange(t3460,
		func() error {
			return c.send(&eps.AuthenticationRequest{KSI: eps.KSI(ksi), RAND: eps.RAND(ch.RAND), AUTN: eps.AUTN(ch.AUTN)})
		},
		func(in inbound) (verdict, error) {
			switch in.nas.(type) {
			case *eps.AuthenticationResponse, *eps.AuthenticationFailure:
				answer = in.nas
				return finished, nil
			}
			return notMine, nil
		})
	return answer, err
}

// failure judges an Authentication Failure (TS 24.301 §5.4.2.7 c, d, e). nil:
// authenticate again, with the resynchronisation if there is one.
func (c *conn) failure(m *eps.AuthenticationFailure, ch home.Challenge, before *home.Resync) (*home.Resync, error) {
	why := fmt.Errorf("the SIM refuses the challenge: %v", m.Cause)
	switch m.Cause {
	case eps.EMMCauseSynchFailure:
		if before != nil {
			return nil, refuseSIM(fmt.Errorf("%w, again after resynchronisation", why))
		}
		if !m.AUTS.OK {
			return nil, refuseSIM(fmt.Errorf("%w, without AUTS", why))
		}
		c.m.count.procedure("resynchronisation", "")
		return &home.Resync{RAND: ch.RAND, AUTS: m.AUTS.V}, nil
	case eps.EMMCauseMACFailure, eps.EMMCauseNonEPSAuthenticationUnacceptable:
		return nil, c.mistaken(refuseSIM(why))
	}
	return nil, refuse(eps.EMMCauseProtocolErrorUnspecified, why)
}

// mistaken is what happens before a SIM is refused: if the IMSI was found by
// GUTI the phone is asked for it, for the GUTI may be another's (TS 24.301
// §5.4.2.5, §5.4.2.7 c). nil: it was; authenticate the right one.
func (c *conn) mistaken(otherwise error) error {
	if !c.byGUTI {
		return otherwise
	}
	c.byGUTI = false
	imsi, err := c.askIMSI()
	if err != nil {
		return err
	}
	if imsi == c.ue.imsi {
		return otherwise
	}
	c.stranger()
	c.ue.imsi = imsi
	return nil
}

// homeRefused turns a home's refusal into causes (TS 29.272 annex A table
// A.1 for what S6a would have answered). A home that is silent, or has lost the
// challenge, is never the SIM's fault.
func homeRefused(err error) error {
	if interrupted(err) {
		return err
	}
	switch home.CodeOf(err) {
	case home.UnknownSubscriber:
		return refuse(eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed, err)
	case home.ForeignRange, home.Barred, home.NotAuthorised, home.NotSubscribed: // the last: a SIM of GSM (TS 33.401 §6.1.1)
		return refuse(eps.EMMCauseNoSuitableCellsInTrackingArea, err)
	case home.WrongRES, home.ResyncFailed:
		return refuseSIM(err)
	case home.RateLimited:
		return refuse(eps.EMMCauseCongestion, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("home is silent: %w", err)
	}
	return refuse(eps.EMMCauseNetworkFailure, err)
}

// homeAway says that an error is the home's silence, or that it is too busy.
func homeAway(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && (f.cause == eps.EMMCauseNetworkFailure || f.cause == eps.EMMCauseCongestion)
}
