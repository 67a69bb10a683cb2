package mme

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// Configuration is what eNBs know of an MME and may change while it serves.
type Configuration struct {
	Name     string    // as Options.Name
	Capacity uint8     // relative MME capacity (TS 36.413 §9.2.3.17); 0: new phones go to other MMEs of the pool
	Shared   []id.PLMN // as Options.Shared
}

// maxServedPLMNs bounds the PLMNs of one MME (TS 36.413 §9.3.6 maxnoofPLMNsPerMME).
const maxServedPLMNs = 32

// Check says what is wrong with a configuration of an MME whose own PLMN is own; nil: nothing.
func (c Configuration) Check(own id.PLMN) error {
	switch {
	case len(c.Name) > 150 || !printable(c.Name):
		return fmt.Errorf("mme: Name %q is no PrintableString of at most 150 characters", c.Name)
	case len(c.Shared) >= maxServedPLMNs:
		return fmt.Errorf("mme: Shared has %d PLMNs, at most %d", len(c.Shared), maxServedPLMNs-1)
	}
	for i, p := range c.Shared {
		if p.IsZero() || p == own || slices.Contains(c.Shared[:i], p) {
			return fmt.Errorf("mme: Shared has %v, which is none or there already", p)
		}
	}
	return nil
}

// Configuration gives what eNBs are told.
func (m *MME) Configuration() Configuration {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.conf
	c.Shared = slices.Clone(c.Shared)
	return c
}

// Reconfigure changes what eNBs know of the MME: each is told by MME Configuration
// Update (TS 36.413 §8.7.5), as often as it takes. It does not wait for them. Phones
// that are here stay, also those of a PLMN that is served no more.
func (m *MME) Reconfigure(c Configuration) error {
	if err := c.Check(m.o.GUMMEI.PLMN); err != nil {
		return err
	}
	c.Shared = slices.Clone(c.Shared)
	m.mu.Lock()
	same := m.conf.equal(c)
	m.conf = c
	m.mu.Unlock()
	if same {
		return nil
	}
	m.log.Info("MME reconfigured", "name", c.Name, "capacity", c.Capacity, "shared", len(c.Shared))
	for _, e := range m.legs.all() {
		e.announce()
	}
	return nil
}

// plmns are the PLMNs served, the MME's own first.
func (m *MME) plmns() []id.PLMN {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]id.PLMN{m.o.GUMMEI.PLMN}, m.conf.Shared...)
}

func (m *MME) serves(p id.PLMN) bool { return slices.Contains(m.plmns(), p) }

// chosen gives the PLMN that a phone has chosen: that of the cell, if it is served
// (TS 23.251 §5.2.3).
func (m *MME) chosen(p id.PLMN) id.PLMN {
	if m.serves(p) {
		return p
	}
	return m.o.GUMMEI.PLMN
}

// gummei is the MME's name in the PLMN that the phone has chosen.
func (c *conn) gummei() id.GUMMEI {
	g := c.m.o.GUMMEI
	if c.leg != nil {
		tai, _ := c.leg.place()
		g.PLMN = c.m.chosen(tai.PLMN)
	}
	return g
}

// own says that a GUMMEI is this MME's.
func (m *MME) own(g id.GUMMEI) bool {
	return g.Group == m.o.GUMMEI.Group && g.Code == m.o.GUMMEI.Code && m.serves(g.PLMN)
}

// served are the GUMMEIs as S1 Setup Response and MME Configuration Update say them.
func served(own id.GUMMEI, c Configuration) s1ap.ServedGUMMEIs {
	g := s1ap.FromGUMMEI(own)
	plmns := s1ap.ServedPLMNs{g.PLMNidentity}
	for _, p := range c.Shared {
		plmns = append(plmns, s1ap.FromPLMN(p))
	}
	return s1ap.ServedGUMMEIs{{ServedPLMNs: plmns, ServedGroupIDs: s1ap.ServedGroupIDs{g.MMEGroupID}, ServedMMECs: s1ap.ServedMMECs{g.MMECode}}}
}

// announcement is the MME Configuration Update procedure of one eNB.
type announcement struct {
	running bool          // guarded by enb.mu
	told    Configuration // what the eNB knows or is being told; guarded by enb.mu
	answers chan s1ap.Message
}

// setupKnown notes what S1 Setup Response has told the eNB.
func (e *enb) setupKnown(c Configuration) {
	e.mu.Lock()
	e.announcing.told = c
	e.mu.Unlock()
}

func (c Configuration) equal(d Configuration) bool {
	return c.Name == d.Name && c.Capacity == d.Capacity && slices.Equal(c.Shared, d.Shared)
}

// announce tells the eNB the configuration, unless somebody is at it already.
func (e *enb) announce() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready && !e.announcing.running {
		e.announcing.running = e.m.spawn(e.announceAll)
	}
}

// announceAll goes on until the eNB knows the configuration of the moment.
func (e *enb) announceAll() {
	for {
		now := e.m.Configuration()
		e.mu.Lock()
		if !e.ready || e.m.leaving.Err() != nil || e.announcing.told.equal(now) {
			e.announcing.running = false
			e.mu.Unlock()
			return
		}
		e.announcing.told = now
		e.mu.Unlock()
		e.announceOnce(now)
	}
}

// announceOnce is MME Configuration Update with one content: what is sent again is
// the same (TS 36.413 §8.7.5.4), and no sooner than a failure says (§8.7.5.3).
func (e *enb) announceOnce(c Configuration) {
	began := time.Now()
	update := &s1ap.MMEConfigurationUpdate{MMEname: s1ap.MMEname(c.Name), ServedGUMMEIs: served(e.m.o.GUMMEI, c), RelativeMMECapacity: new(s1ap.RelativeMMECapacity(c.Capacity))}
	select {
	case <-e.announcing.answers: // of one that was given up
	default:
	}
	err := errNoAnswerENB
	for range updateGuard.sends {
		if err := e.send(0, update); err != nil {
			return
		}
		answer, ok := e.announceAnswer()
		if !ok {
			continue
		}
		f, failed := answer.(*s1ap.MMEConfigurationUpdateFailure)
		if !failed {
			e.m.count.procedure("MME configuration update", "")
			e.log.Info("MME configuration update done", "took", time.Since(began))
			return
		}
		err = fmt.Errorf("refused, cause %v", f.Cause)
		e.m.count.procedure("MME configuration update", "S1AP cause "+f.Cause.String())
		if f.TimeToWait == nil || !pause(e.m.leaving, waitOf(*f.TimeToWait)) {
			break
		}
	}
	if err == errNoAnswerENB {
		e.m.count.procedure("MME configuration update", "no answer")
	}
	e.log.Warn("the eNB does not take the MME's configuration: it learns it at its next S1 Setup", "err", err)
}

var errNoAnswerENB = errors.New("no answer")

func (e *enb) announceAnswer() (s1ap.Message, bool) {
	t := time.NewTimer(updateGuard.wait)
	defer t.Stop()
	select {
	case m := <-e.announcing.answers:
		return m, true
	case <-t.C:
	case <-e.ctx.Done():
	case <-e.m.leaving.Done():
	}
	return nil, false
}

// announced takes the answer to an MME Configuration Update.
func (e *enb) announced(m s1ap.Message) {
	e.mu.Lock()
	running := e.announcing.running
	e.mu.Unlock()
	if running {
		select {
		case e.announcing.answers <- m:
			return
		default:
		}
	}
	e.m.count.drop(dropUnexpectedPDU)
}

// waits are the values of Time to wait (TS 36.413 §9.2.1.61).
var waits = map[s1ap.TimeToWait]time.Duration{
	s1ap.TimeToWaitV1s: time.Second, s1ap.TimeToWaitV2s: 2 * time.Second, s1ap.TimeToWaitV5s: 5 * time.Second,
	s1ap.TimeToWaitV10s: 10 * time.Second, s1ap.TimeToWaitV20s: 20 * time.Second, s1ap.TimeToWaitV60s: time.Minute,
}

// waitOf is a Time to wait; a value of a later release is a minute.
func waitOf(t s1ap.TimeToWait) time.Duration {
	if d, ok := waits[t]; ok {
		return d
	}
	return time.Minute
}
