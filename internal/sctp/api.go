package sctp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Message is one user message. PPID is the payload protocol identifier in host order (S1AP is 18). Data belongs to whoever received it.
type Message struct {
	Stream uint16
	PPID   uint32
	Data   []byte
}

// Association is one established association. All methods may be called from several goroutines at once.
type Association interface {
	// Send queues one message for ordered delivery on a stream and copies data. It blocks while the send buffer is full, until ctx ends.
	// It fails with ErrStream, ErrEmpty, ErrTooLong, ErrClosed after Shutdown, or with the error that ended the association.
	Send(ctx context.Context, stream uint16, ppid uint32, data []byte) error
	// Recv returns the next message. Messages that arrived before the association ended are handed out first; then comes the reason:
	// ErrShutdown (is io.EOF), *AbortError, ErrRestarted, ErrLost or ErrClosed. It also returns when ctx ends, with ctx's error.
	Recv(ctx context.Context) (Message, error)
	// Streams returns how many streams may be sent on and how many may be received on, as negotiated.
	Streams() (out, in uint16)
	// LocalAddr is the own IP address and SCTP port.
	LocalAddr() netip.AddrPort
	// RemoteAddr is the peer's IP address and SCTP port.
	RemoteAddr() netip.AddrPort
	// Shutdown ends the association gracefully: everything queued is delivered first (RFC 9260 §9.2). It returns once the peer has agreed,
	// or aborts and returns ctx's error when ctx ends first. On an association that has already ended gracefully it returns nil.
	Shutdown(ctx context.Context) error
	// Abort ends the association at once, telling the peer why (RFC 9260 §9.1). What was queued is lost.
	Abort(reason string)
	// Done is closed when the association has ended; Err then says why, and is nil before.
	Done() <-chan struct{}
	Err() error
}

// Listener hands out the associations that peers opened to one local SCTP port.
type Listener interface {
	// Accept waits for the next association. It fails with ErrClosed when the listener or its endpoint is closed, or with ctx's error.
	Accept(ctx context.Context) (Association, error)
	// Addr is the local IP address and SCTP port.
	Addr() netip.AddrPort
	// Close refuses further associations and aborts those nobody has accepted. Accepted ones go on.
	Close() error
}

// DialOptions are the choices of one Dial. The zero value is the usual choice.
type DialOptions struct {
	LocalPort uint16 // own SCTP port; 0 picks a free one of 49152..65535
	EncapPort uint16 // the peer's UDP port; 0 means the endpoint's RemoteEncapPort. Back ends without UDP ignore it
}

// Endpoint is one local address that associations start from and arrive at.
type Endpoint interface {
	// Listen accepts associations to a local SCTP port; 0 picks a free one. ErrPortInUse if the port has a listener already.
	Listen(port uint16) (Listener, error)
	// Dial opens an association to the peer's IP address and SCTP port, within ctx and Max.Init.Retransmits.
	Dial(ctx context.Context, remote netip.AddrPort, o DialOptions) (Association, error)
	// Shutdown ends all associations gracefully until ctx ends, aborts what is left, and waits for everything the endpoint started.
	Shutdown(ctx context.Context) error
	// Close is Shutdown with the configured close timeout.
	Close() error
}

// Reasons for which an association, listener or call ends.
var (
	ErrShutdown  error = shutdownError{}
	ErrRestarted       = errors.New("sctp: peer restarted the association")
	ErrLost            = errors.New("sctp: peer does not answer (retransmission limit reached)")
	ErrClosed          = errors.New("sctp: closed by this side")
	ErrNoAnswer        = errors.New("sctp: no answer to INIT (Max.Init.Retransmits reached)")
	ErrStream          = errors.New("sctp: stream number beyond what was negotiated")
	ErrEmpty           = errors.New("sctp: a message needs at least one byte")
	ErrTooLong         = errors.New("sctp: message longer than the configured maximum")
	ErrPortInUse       = errors.New("sctp: SCTP port already in use")
)

type shutdownError struct{}

func (shutdownError) Error() string        { return "sctp: peer shut the association down" }
func (shutdownError) Is(target error) bool { return target == io.EOF }

// AbortError says that an ABORT ended the association: the peer's, or, with Local, our own.
type AbortError struct {
	Cause  Cause  // the first error cause, 0 if none was given
	Reason string // text of a user-initiated abort or protocol violation, as sent
	Local  bool
}

func (e *AbortError) Error() string {
	who := "peer"
	if e.Local {
		who = "this side"
	}
	if e.Reason == "" {
		return fmt.Sprintf("sctp: aborted by %s: %v", who, e.Cause)
	}
	return fmt.Sprintf("sctp: aborted by %s: %v: %q", who, e.Cause, e.Reason)
}
