package s11

import (
	"context"
	"fmt"
	"slices"

	"campanile.network/wire/gtpc"
)

// Adopt takes up a session that another MME has opened, with a tunnel end of this
// one's, which it shares with the session that it is beside. The gateway learns it by
// Move; Forget takes it back.
func (c *Client) Adopt(st State, beside *Session) (*Session, error) {
	s := st.Session
	s.remote, s.peer = st.Remote, st.Peer
	if st.Remote == 0 || !st.Peer.IsValid() || s.EBI == 0 {
		return nil, fmt.Errorf("s11: session of bearer %d to be adopted has TEID %v and peer %v", s.EBI, st.Remote, st.Peer)
	}
	t := c.reserve(beside)
	if slices.ContainsFunc(c.beside(t), func(o *Session) bool { return o.EBI == s.EBI || o.IMSI != s.IMSI }) {
		c.opened(t, nil)
		return nil, fmt.Errorf("s11: bearer %d is to be adopted twice", s.EBI)
	}
	c.opened(t, &s)
	return &s, nil
}

func (c *Client) beside(t *tunnel) []*Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(t.sessions)
}

// Move tells the gateway that the phone's sessions are this MME's: Modify Bearer
// Request with nothing but this end of the control plane (TS 29.274 §7.2.7, Sender
// F-TEID). The errors are Create's.
func (c *Client) Move(ctx context.Context, s *Session) error {
	return c.ask(ctx, s, gtpc.New(gtpc.ModifyBearerRequest, s.remote, c.fteid(s.tunnel.local), c.ep.Recovery()))
}

// Forget drops a session that is another MME's. The gateway is not told.
func (c *Client) Forget(s *Session) { c.forget(s) }
