package mme

import (
	"campanile.network/mme/s11"
)

// Restore gives an MME that was started anew its session back. One that the
// gateway has not any more is one all the same.
func (g *testGateway) Restore(v s11.State) (*s11.Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &v.Session
	for old, x := range g.sessions {
		if old.SGW == s.SGW {
			delete(g.sessions, old)
			g.sessions[s] = x
			break
		}
	}
	return s, nil
}
