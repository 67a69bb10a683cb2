package bts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Dialect is the program that a cell pretends to be.
type Dialect uint8

// The dialects.
const (
	OpenBTS    Dialect = iota // as it is today
	OpenBTSOld                // of 2012: a bare branch, names before addresses, a comma behind Digest
	YateBTS                   // AKAv1-MD5, binary RPDUs
)

var dialectNames = [...]string{"OpenBTS", "OpenBTS of old", "YateBTS"}

func (d Dialect) String() string {
	if int(d) < len(dialectNames) {
		return dialectNames[d]
	}
	return fmt.Sprintf("dialect %d", uint8(d))
}

// Options for New. Gateway and Cell are required, and one of Listen and Packets.
type Options struct {
	Dialect  Dialect
	Listen   netip.AddrPort                 // of SIP, over UDP; port 0 is any
	Packets  txn.PacketConn                 // instead of Listen
	Gateway  netip.AddrPort                 // registrar, switch and message centre
	Cell     id.CGI                         // where the cell is
	Realm    string                         // OpenBTS: SIP.Realm; set, SRES is the password of a digest
	Text     bool                           // short messages as text/plain, not as RPDUs
	Location string                         // YateBTS: gstn-location
	Period   time.Duration                  // of registrations: OpenBTS 90 min, YateBTS 1 h
	Tone     []byte                         // frames of GSM full rate, 33 octets each, that phones send in turn; none: silence
	Media    func() (txn.PacketConn, error) // opens a socket for RTP; nil: UDP at the address of Listen
	Timers   txn.Timers
	Memory   time.Duration // how long a message that comes again is confirmed without being stored again: 32 s
	Journal  io.Writer     // gets a line of JSON for each Event; writes are not parallel
	Log      *slog.Logger
}

// Cell is one base station. Methods may be called from any goroutine.
type Cell struct {
	o      Options
	e      *txn.Endpoint
	at     netip.AddrPort
	callID string // of all registrations, in OpenBTS

	ctx  context.Context // of what runs beside Serve
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	seq     uint32
	phones  map[string]*Phone            // by the digits of their IMSI
	calls   map[string]*Call             // by Call-ID and the tag of this end
	dialled map[string]chan *sip.Message // USSD that waits for its BYE, by Call-ID
	journal sync.Mutex
	taken   []*taken // messages that have been answered, oldest first
	stats   Stats
}

// Stats count what a cell has done.
type Stats struct {
	Registrations, Refused uint64
	Sent, Stored, Repeated uint64 // short messages; Repeated were answered from memory
	WrongKc                uint64
	Calls                  uint64
}

// New opens a cell's socket.
func New(o Options) (*Cell, error) {
	switch {
	case !o.Gateway.IsValid():
		return nil, errors.New("bts: no gateway")
	case o.Cell.PLMN.IsZero():
		return nil, errors.New("bts: no cell")
	case len(o.Tone)%frameLen != 0:
		return nil, fmt.Errorf("bts: a tone of %d octets is not of frames of %d", len(o.Tone), frameLen)
	}
	if o.Period == 0 {
		if o.Period = 90 * time.Minute; o.Dialect == YateBTS {
			o.Period = time.Hour
		}
	}
	if o.Memory == 0 {
		o.Memory = takenLife
	}
	if len(o.Tone) == 0 {
		o.Tone = silence()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cell{o: o, phones: map[string]*Phone{}, calls: map[string]*Call{}, dialled: map[string]chan *sip.Message{}, seq: 200}
	if err := c.listen(); err != nil {
		return nil, err
	}
	c.at, _ = c.e.Local(txn.UDP)
	c.callID = c.newCallID()
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

func (c *Cell) listen() error {
	conn := c.o.Packets
	if conn == nil {
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(c.o.Listen))
		if err != nil {
			return fmt.Errorf("bts: %w", err)
		}
		conn = u
	}
	if c.o.Dialect != YateBTS {
		conn = newOddities(conn, c.o.Dialect == OpenBTSOld)
	}
	e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{conn}, Timers: c.o.Timers, Admission: txn.Admission{Trusted: []netip.Prefix{netip.PrefixFrom(c.o.Gateway.Addr(), c.o.Gateway.Addr().BitLen())}}, Log: c.o.Log})
	if err != nil {
		return errors.Join(fmt.Errorf("bts: %w", err), conn.Close())
	}
	c.e = e
	return nil
}

// Serve answers the gateway until ctx ends. When it returns, no goroutine of the
// cell is running; calls that are under way are dropped without a word.
func (c *Cell) Serve(ctx context.Context) error {
	err := c.e.Serve(ctx, c.handle)
	c.mu.Lock()
	c.closed = true
	calls := make([]*Call, 0, len(c.calls))
	for _, call := range c.calls {
		calls = append(calls, call)
	}
	c.mu.Unlock()
	c.stop()
	for _, call := range calls {
		call.end(errors.New("the cell is off"))
	}
	c.wg.Wait()
	return err
}

// Addr is where the cell's SIP is.
func (c *Cell) Addr() netip.AddrPort { return c.at }

// Stats gives the counts.
func (c *Cell) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *Cell) count(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

// spawn starts a goroutine that Serve waits for; it is false when the cell is off.
func (c *Cell) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

func (c *Cell) phone(user string) *Phone {
	digits, ok := strings.CutPrefix(user, "IMSI")
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phones[digits]
}

// handle answers what the gateway asks.
func (c *Cell) handle(ctx context.Context, s *txn.Server) {
	switch m := s.Request; {
	case m.Method == sip.MethodAck:
	case m.Method == sip.MethodMessage:
		c.message(ctx, s)
	case m.To.Tag() != "":
		c.within(s)
	case m.Method == sip.MethodInvite:
		c.invited(s)
	case m.Method == sip.MethodOptions:
		s.Reply(200, "")
	default:
		s.Reply(501, "")
	}
}

// draw gives random hexadecimal digits.
func draw(octets int) string {
	b := make([]byte, octets)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func (c *Cell) newCallID() string {
	if c.o.Dialect == YateBTS {
		return "yatebts-" + strconv.FormatInt(time.Now().UnixMilli(), 10) + "-0." + draw(4) + "@" + c.at.Addr().String()
	}
	var b [4]byte
	rand.Read(b[:])
	n := uint32(b[0]&0x7f)<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return strconv.Itoa(int(n)) + "@" + c.at.Addr().String()
}

func (c *Cell) nextSeq() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	return c.seq
}

// gateway is where requests go.
func (c *Cell) gateway() txn.Target { return txn.Target{Transport: txn.UDP, Addr: c.o.Gateway} }

// ask sends a request and waits for its answer.
func (c *Cell) ask(ctx context.Context, m *sip.Message) (*sip.Message, error) {
	return c.e.Request(ctx, m, c.gateway()).Final(ctx)
}
