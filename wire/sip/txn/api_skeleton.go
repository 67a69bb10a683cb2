package txn

import (
	"context"
	"net/netip"
	"time"

	"campanile.network/wire/sip"
)

// Endpoint is a host's SIP transports and transactions.
type Endpoint struct{}

// Listen opens the sockets; nothing is read before Serve.
func Listen(o Options) (*Endpoint, error) { panic("soon") }

// Serve reads and answers until ctx ends. When it returns, nothing it or a
// handler of it has started is running, and the sockets are closed.
func (e *Endpoint) Serve(ctx context.Context, h Handler) error { panic("soon") }

// Local is the address that peers of a transport send to, the first it listens on.
func (e *Endpoint) Local(transport string) (netip.AddrPort, bool) { panic("soon") }

// SentBy is the host and port for Via and Contact in messages to a target.
func (e *Endpoint) SentBy(to Target) (host string, port int) { panic("soon") }

// Stats are the counts since Listen.
func (e *Endpoint) Stats() Stats { panic("soon") }

// Know puts a flow (UDP: its remote address) among those that strangers cannot
// crowd out, such as a registered phone's, until a time; the past forgets it.
// It is bounded by its caller's own bound of registrations.
func (e *Endpoint) Know(f Flow, until time.Time) { panic("soon") }

// Request sends a request and gives its transaction. Via with a branch is put
// in front, and Max-Forwards where there is none. Of several targets the next
// one is tried when one is silent, gone or answers 503 (RFC 3263 §4.3). It does
// not wait; when ctx ends, an INVITE is cancelled and others are given up.
// m must not be changed afterwards.
func (e *Endpoint) Request(ctx context.Context, m *sip.Message, to ...Target) *Client {
	panic("soon")
}

// RequestFunc is Request with a callback in place of a channel: f is called in
// order, never twice at a time, in a goroutine of the endpoint, for each response
// but 100; last with no response, and an error if there was no final one.
func (e *Endpoint) RequestFunc(ctx context.Context, m *sip.Message, f func(c *Client, r *sip.Message, err error), to ...Target) *Client {
	panic("soon")
}

// Send sends a message outside of transactions: the ACK of a 2xx.
func (e *Endpoint) Send(m *sip.Message, to Target) error { panic("soon") }

// Client is a client transaction (RFC 3261 §17.1).
type Client struct{}

// Responses brings provisional and final responses without 100; it is closed
// after the final one, of an INVITE 64*T1 after the first 2xx, for other forks
// may answer, too (RFC 6026 §7.2). Provisional ones are dropped when nobody reads.
func (c *Client) Responses() <-chan *sip.Message { panic("soon") }

// Final waits for the first final response.
func (c *Client) Final(ctx context.Context) (*sip.Message, error) { panic("soon") }

// Err is why there was no final response, after Responses was closed.
func (c *Client) Err() error { panic("soon") }

// Cancel asks the peer to end an INVITE (RFC 3261 §9.1); the final response,
// 487 as a rule, comes as any other. It waits for a provisional response first.
func (c *Client) Cancel(extra ...sip.Header) { panic("soon") }

// Ack sends the ACK of a 2xx and sends it again whenever the 2xx comes again
// (RFC 3261 §13.2.2.4).
func (c *Client) Ack(ack *sip.Message, to Target) error { panic("soon") }

// Flow is the way the request went.
func (c *Client) Flow() Flow { panic("soon") }

// Server is a server transaction (RFC 3261 §17.2), or an ACK that belongs to
// none (Request.Method tells), to which there is no answer.
type Server struct {
	Request *sip.Message
	From    Flow
}

// Respond answers. 1xx may come any number of times before one final answer.
// A 2xx to an INVITE is sent again until its ACK comes or 64*T1 have passed
// (RFC 3261 §13.3.1.4). Via is the request's, whatever m has.
func (s *Server) Respond(m *sip.Message) error { panic("soon") }

// Reply is Respond with a status and the standard phrase, or another.
func (s *Server) Reply(status int, reason string) error { panic("soon") }

// Cancelled is closed when the peer has cancelled an INVITE that has no final
// answer; the handler answers 487 then (RFC 3261 §9.2). CANCEL itself has been answered.
func (s *Server) Cancelled() <-chan struct{} { panic("soon") }

// OnCancel has f called in a goroutine when Cancelled is closed, at once if it
// is; it is not called when there is a final answer first.
func (s *Server) OnCancel(f func()) { panic("soon") }

// OnAck has f called once, in a goroutine, with the ACK of a 2xx, or with an
// error when none came in 64*T1 or the answer was not a 2xx. Set it before Respond.
func (s *Server) OnAck(f func(ack *sip.Message, err error)) { panic("soon") }

// Done is closed when the transaction needs nothing more of the handler: a
// final answer is out, and of a 2xx to an INVITE, ACK has come or was given up.
func (s *Server) Done() <-chan struct{} { panic("soon") }

// Stats are counts since Listen, but for those of what is now.
type Stats struct {
	Received, Sent    uint64 // messages
	Requests          uint64 // given to the handler
	Retransmissions   uint64 // requests and responses that came again
	Retransmitted     uint64 // messages sent again
	Stray             uint64 // responses and ACKs that belong to nothing
	Merged            uint64 // RFC 3261 §8.2.2.2
	Shed              uint64 // refused with 503
	Dropped           uint64 // refused without a word
	Timeouts          uint64 // of client transactions
	Unacknowledged    uint64 // 2xx to an INVITE whose ACK never came
	Malformed         map[string]uint64
	Transactions      int // now
	Connections       int // now
	Waiting           int // requests, now
	Kept, KeptOctets  int // answers kept for retransmissions, now
	ForgottenTooEarly uint64
}
