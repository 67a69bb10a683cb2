package town

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"campanile.network/sip/openbts"
)

// coverageFile keeps, hour by hour, how GSM cells were heard and heard.
const coverageFile = "coverage.jsonl"

// air is what the OpenBTSs of this gateway measure, by the station's name.
type air struct {
	mu       sync.Mutex
	stations map[string]*measured
}

type measured struct {
	coverage *openbts.Coverage
	lost     error // why nothing can come now
}

// followAir asks every station that has somewhere to ask.
func (t *Town) followAir(q sipSettings) {
	kept := openbts.NewLog(t.cfg.path(coverageFile))
	log := t.role("sip")
	for i, events := range q.events {
		if !events.IsValid() {
			continue
		}
		name := q.stations[i].Name
		m := &measured{coverage: openbts.NewCoverage(q.stations[i].Cells[0], func(h openbts.Hour) {
			if err := kept.Append(h); err != nil {
				log.Warn("an hour of coverage is lost", "station", name, "err", err)
			}
		})}
		t.air.mu.Lock()
		if t.air.stations == nil {
			t.air.stations = map[string]*measured{}
		}
		t.air.stations[name] = m
		t.air.mu.Unlock()
		t.serve("events of "+name, func(ctx context.Context) error {
			defer m.coverage.End()
			openbts.Subscribe(ctx, func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", events.String())
			}, func(b []byte) { m.coverage.Take(b, time.Now()) }, func(err error) {
				t.air.mu.Lock()
				changed := m.lost == nil != (err == nil)
				m.lost = err
				t.air.mu.Unlock()
				if changed && err != nil {
					log.Warn("a station does not tell what it measures", "station", name, "err", err)
				}
			})
			return nil
		})
	}
}

// say is what a station has measured this hour, for a person to read; empty: it
// is not asked.
func (a *air) say(station string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.stations[station]
	switch {
	case m == nil:
		return ""
	case m.lost != nil:
		return fmt.Sprintf("tells nothing of what it measures: %v", m.lost)
	}
	h, ok := m.coverage.Now(time.Now())
	if !ok {
		return "no reports this hour"
	}
	return h.String()
}
