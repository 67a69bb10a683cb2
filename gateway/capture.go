package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// Bounds of captures.
const (
	MaxCaptureTime = time.Hour
	MaxCaptures    = 16
	maxSnap        = 65535
	captureQueue   = 4096 // packets the reader has not taken
)

// CaptureLimits bound a capture: it ends by itself after For, or Octets of packets.
type CaptureLimits struct {
	For    time.Duration // 0: a minute; at most MaxCaptureTime
	Octets uint64        // 0: 64 MiB; at most 1 GiB
	Snap   int           // octets kept of each packet; 0: all
}

// Capture records the user packets of one bearer as they are charged, headers and
// content: whoever begins one must be allowed to, and note it. Its reader calls
// WriteTo.
type Capture struct {
	g      *Gateway
	teid   id.TEID
	limits CaptureLimits
	queue  chan captured

	mu     sync.Mutex
	octets uint64
	lost   uint64
	ended  chan struct{}
	once   sync.Once
	why    error
}

type captured struct {
	at   time.Time
	up   bool
	size int
	b    []byte
}

// Reasons for which a capture ends.
var (
	ErrCaptureTime   = errors.New("the time is over")
	ErrCaptureOctets = errors.New("as many octets are recorded as were asked for")
	ErrCaptureBearer = errors.New("the bearer has ended")
)

// StartCapture begins to record a bearer of a phone.
func (g *Gateway) StartCapture(imsi id.IMSI, ebi id.EBI, l CaptureLimits) (*Capture, error) {
	if l.For == 0 {
		l.For = time.Minute
	}
	if l.Octets == 0 {
		l.Octets = 64 << 20
	}
	if l.Snap == 0 {
		l.Snap = maxSnap
	}
	if l.For < 0 || l.For > MaxCaptureTime || l.Octets > 1<<30 || l.Snap < 0 || l.Snap > maxSnap {
		return nil, fmt.Errorf("gateway: capture for %v, of %d octets, %d of a packet: want at most %v, %d and %d", l.For, l.Octets, l.Snap, MaxCaptureTime, 1<<30, maxSnap)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var b *bearer
	for _, s := range g.sessions {
		if s.ue.imsi == imsi && !s.ended && s.bearers[ebi] != nil {
			b = s.bearers[ebi]
		}
	}
	switch {
	case b == nil:
		return nil, fmt.Errorf("gateway: %v has no bearer %d here", imsi, ebi)
	case g.captures[b.teid] != nil:
		return nil, errors.New("gateway: the bearer is being captured already")
	case len(g.captures) >= MaxCaptures:
		return nil, fmt.Errorf("gateway: %d captures run already", MaxCaptures)
	}
	c := &Capture{g: g, teid: b.teid, limits: l, queue: make(chan captured, captureQueue), ended: make(chan struct{})}
	if err := g.path.Capture(b.teid, c.packet); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.captures[b.teid] = c
	return c, nil
}

// packet hears of a packet on the data path.
func (c *Capture) packet(d datapath.Direction, b []byte) {
	c.mu.Lock()
	over := c.octets >= c.limits.Octets
	c.octets += uint64(len(b))
	c.mu.Unlock()
	if over {
		c.end(ErrCaptureOctets)
		return
	}
	p := captured{time.Now(), d == datapath.Uplink, len(b), append([]byte(nil), b[:min(len(b), c.limits.Snap)]...)}
	select {
	case c.queue <- p:
	default:
		c.mu.Lock()
		c.lost++
		c.mu.Unlock()
	}
}

func (c *Capture) end(why error) {
	c.once.Do(func() {
		c.why = why
		close(c.ended)
	})
}

// stopCapture ends the capture of a bearer that ends. The caller holds mu.
func (g *Gateway) stopCapture(t id.TEID) {
	if c := g.captures[t]; c != nil {
		delete(g.captures, t)
		c.end(ErrCaptureBearer)
	}
}

// Lost is how many packets the reader was too slow for.
func (c *Capture) Lost() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// WriteTo writes what is captured as pcapng to w, until the capture ends or ctx does, and
// gives why.
func (c *Capture) WriteTo(ctx context.Context, w io.Writer) error {
	defer func() {
		c.g.mu.Lock()
		if c.g.captures[c.teid] == c {
			delete(c.g.captures, c.teid)
			c.g.path.Capture(c.teid, nil)
		}
		c.g.mu.Unlock()
	}()
	if _, err := w.Write(pcapngHead(c.limits.Snap)); err != nil {
		return err
	}
	over := time.NewTimer(c.limits.For)
	defer over.Stop()
	for {
		select {
		case p := <-c.queue:
			if _, err := w.Write(p.block()); err != nil {
				return err
			}
		case <-over.C:
			c.end(ErrCaptureTime)
		case <-ctx.Done():
			c.end(ctx.Err())
		case <-c.ended:
			for {
				select {
				case p := <-c.queue:
					if _, err := w.Write(p.block()); err != nil {
						return err
					}
				default:
					return c.why
				}
			}
		}
	}
}

// pcapngHead is a section header and one interface of raw IP, with microseconds.
func pcapngHead(snap int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x0a0d0d0a)
	b = binary.LittleEndian.AppendUint32(b, 28)
	b = binary.LittleEndian.AppendUint32(b, 0x1a2b3c4d)
	b = binary.LittleEndian.AppendUint32(b, 1) // version 1.0
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0))
	b = binary.LittleEndian.AppendUint32(b, 28)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 20)
	b = binary.LittleEndian.AppendUint32(b, 101) // LINKTYPE_RAW
	b = binary.LittleEndian.AppendUint32(b, uint32(snap))
	return binary.LittleEndian.AppendUint32(b, 20)
}

// block is an enhanced packet block, which says in its flags whether the packet came
// from the phone (inbound) or went to it.
func (p captured) block() []byte {
	pad := (4 - len(p.b)%4) % 4
	size := uint32(32 + len(p.b) + pad + 12)
	us := uint64(p.at.UnixMicro())
	b := binary.LittleEndian.AppendUint32(nil, 6)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(us>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(us))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.b)))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.size))
	b = append(append(b, p.b...), make([]byte, pad)...)
	way := uint32(2)
	if p.up {
		way = 1
	}
	b = binary.LittleEndian.AppendUint32(b, 2|4<<16) // epb_flags
	b = binary.LittleEndian.AppendUint32(b, way)
	b = binary.LittleEndian.AppendUint32(b, 0) // end of options
	return binary.LittleEndian.AppendUint32(b, size)
}
