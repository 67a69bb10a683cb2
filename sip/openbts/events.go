package openbts

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// EventsPort is where OpenBTS publishes its events (NodeManager.Events.Port).
const EventsPort = 45160

// Bounds of a publisher that may be anybody.
const (
	maxEvent  = 64 << 10
	handshake = 10 * time.Second
	redial    = 10 * time.Second
)

// Subscribe follows the events that an OpenBTS publishes, a ZeroMQ PUB socket
// (ZMTP 3.0, RFC 23 of ZeroMQ, and 2.0), and gives each to take. It dials again
// when it has lost it, and tells state of each change: nil when events may come.
// It returns when ctx ends.
func Subscribe(ctx context.Context, dial func(context.Context) (net.Conn, error), take func([]byte), state func(error)) {
	for ctx.Err() == nil {
		err := once(ctx, dial, take, state)
		if ctx.Err() != nil {
			return
		}
		state(err)
		select {
		case <-ctx.Done():
		case <-time.After(redial):
		}
	}
}

func once(ctx context.Context, dial func(context.Context) (net.Conn, error), take func([]byte), state func(error)) error {
	soon, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	conn, err := dial(soon)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(handshake))
	r := bufio.NewReader(conn)
	if err := greet(conn, r); err != nil {
		return fmt.Errorf("openbts: no ZeroMQ publisher: %w", err)
	}
	conn.SetDeadline(time.Time{})
	state(nil)
	for {
		body, kind, err := frame(r)
		if err != nil {
			return err
		}
		if kind == 0 {
			take(body)
		}
	}
}

// Flags of a frame.
const (
	more    = 1
	long    = 2
	command = 4
)

// greet says who we are, a subscriber to everything, and hears who it is.
func greet(w io.Writer, r *bufio.Reader) error {
	signature := []byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f}
	if _, err := w.Write(append(signature, 3)); err != nil {
		return err
	}
	var theirs [11]byte
	if _, err := io.ReadFull(r, theirs[:]); err != nil {
		return err
	}
	if theirs[0] != 0xff || theirs[9]&1 != 1 {
		return errors.New("it has another greeting")
	}
	if theirs[10] < 3 { // ZMTP 2.0: kind of socket (SUB is 2), and an empty name
		if _, err := w.Write([]byte{2, 0, 0}); err != nil {
			return err
		}
		if _, err := r.Discard(1); err != nil {
			return err
		}
		if _, _, err := frame(r); err != nil {
			return err
		}
	} else if err := ready(w, r); err != nil {
		return err
	}
	_, err := w.Write([]byte{0, 1, 1}) // a message of one octet: subscribe to what begins with nothing
	return err
}

// ready is the rest of a greeting of ZMTP 3.0, without security.
func ready(w io.Writer, r *bufio.Reader) error {
	rest := make([]byte, 53)
	copy(rest[1:], "NULL")
	metadata := append([]byte("\x05READY\x0bSocket-Type"), 0, 0, 0, 3, 'S', 'U', 'B')
	rest = append(append(rest, command, byte(len(metadata))), metadata...)
	if _, err := w.Write(rest); err != nil {
		return err
	}
	theirs := make([]byte, 53)
	if _, err := io.ReadFull(r, theirs); err != nil {
		return err
	}
	if string(theirs[1:6]) != "NULL\x00" {
		return fmt.Errorf("it wants security %.20q", theirs[1:21])
	}
	body, kind, err := frame(r)
	if err != nil {
		return err
	}
	if kind&command == 0 || len(body) < 6 || string(body[:6]) != "\x05READY" {
		return errors.New("it is not ready")
	}
	return nil
}

// frame reads one frame.
func frame(r *bufio.Reader) (body []byte, flags byte, err error) {
	if flags, err = r.ReadByte(); err != nil {
		return nil, 0, err
	}
	if flags&^(more|long|command) != 0 {
		return nil, 0, fmt.Errorf("openbts: frame with flags %#x", flags)
	}
	size := make([]byte, 1)
	if flags&long != 0 {
		size = make([]byte, 8)
	}
	if _, err = io.ReadFull(r, size); err != nil {
		return nil, 0, err
	}
	n := uint64(size[0])
	if flags&long != 0 {
		n = binary.BigEndian.Uint64(size)
	}
	if n > maxEvent {
		return nil, 0, fmt.Errorf("openbts: an event of %d octets: at most %d", n, maxEvent)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return body, flags &^ long, err
}
