package s11

import (
	"fmt"
	"net/netip"
	"slices"

	"campanile.network/3gpp/id"
)

// tunnel is the control plane of one phone, which all its sessions share
// (TS 29.274 §4.1).
type tunnel struct {
	local    id.TEID
	sessions []*Session // guarded by Client.mu; with none the tunnel is forgotten
	opening  int        // Create Session Requests on their way, likewise
}

// Sessions is the number of sessions open.
func (c *Client) Sessions() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tunnels {
		n += len(t.sessions)
	}
	return n
}

// reserve gives the tunnel of a session that is being opened: of the session it
// is beside, if that is still there, else another with a TEID nobody has.
func (c *Client) reserve(beside *Session) *tunnel {
	c.mu.Lock()
	defer c.mu.Unlock()
	if beside != nil && slices.Contains(beside.tunnel.sessions, beside) {
		beside.tunnel.opening++
		return beside.tunnel
	}
	for {
		c.next++
		if c.next != 0 && c.tunnels[c.next] == nil {
			t := &tunnel{local: c.next, opening: 1}
			c.tunnels[c.next] = t
			return t
		}
	}
}

// opened ends what reserve began; s is nil where nothing came of it.
func (c *Client) opened(t *tunnel, s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.opening--
	if s != nil {
		s.tunnel = t
		t.sessions = append(t.sessions, s)
		c.tunnels[t.local] = t
	}
	c.tidy(t)
}

// forget drops a session; false if it is dropped already.
func (c *Client) forget(s *Session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(s.tunnel.sessions, s)
	if i < 0 {
		return false
	}
	s.tunnel.sessions = slices.Delete(s.tunnel.sessions, i, i+1)
	c.tidy(s.tunnel)
	return true
}

// tidy forgets a tunnel that nobody uses. The caller holds mu.
func (c *Client) tidy(t *tunnel) {
	if len(t.sessions) == 0 && t.opening == 0 {
		delete(c.tunnels, t.local)
	}
}

// session finds the session that a gateway names by TEID and, where the phone has
// several, by a bearer; one whose bearer is not its default one stands for the
// phone.
func (c *Client) session(peer netip.Addr, local id.TEID, ebi id.EBI) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tunnels[local]
	if t == nil {
		return nil
	}
	var some *Session
	for _, s := range t.sessions {
		if s.peer.Addr() == peer && (some == nil || s.EBI == ebi) {
			some = s
		}
	}
	return some
}

// State is what another run of the MME needs to go on with a session: the
// session as it was granted, and its ends of the control plane.
type State struct {
	Session
	Local, Remote id.TEID // control plane
	Peer          netip.AddrPort
	Run           uint16 // the gateway's restart counter and one; 0 if it did not tell
}

// State gives the session to be stored. Sessions of one phone have the same Local.
func (s *Session) State() State {
	st := State{Session: *s, Remote: s.remote, Peer: s.peer, Run: s.run}
	if s.tunnel != nil { // it is a Client's
		st.Local = s.tunnel.local
	}
	st.tunnel, st.remote, st.peer, st.run = nil, 0, netip.AddrPort{}, 0
	return st
}

// Restore takes up a session of a run before, as if it had been created; it asks
// nobody. It fails for a state that cannot have been this phone's.
func (c *Client) Restore(st State) (*Session, error) {
	s := st.Session
	s.remote, s.peer, s.run = st.Remote, st.Peer, st.Run
	if st.Local == 0 || !st.Peer.IsValid() || s.EBI == 0 {
		return nil, fmt.Errorf("s11: stored session of bearer %d has TEID %v and peer %v", s.EBI, st.Local, st.Peer)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tunnels[st.Local]
	if t == nil {
		t = &tunnel{local: st.Local}
		c.tunnels[st.Local] = t
	}
	for _, other := range t.sessions {
		if other.IMSI != s.IMSI || other.EBI == s.EBI {
			return nil, fmt.Errorf("s11: TEID %v is stored for two phones, or bearer %d twice", st.Local, s.EBI)
		}
	}
	if s.run != 0 {
		c.ep.Know(s.peer.Addr(), uint8(s.run-1))
	}
	s.tunnel = t
	t.sessions = append(t.sessions, &s)
	return &s, nil
}
