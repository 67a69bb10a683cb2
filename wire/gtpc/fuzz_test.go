package gtpc

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// said keeps what an endpoint sends.
type said struct {
	PacketConn
	all [][]byte
}

func (s *said) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	s.all = append(s.all, bytes.Clone(b))
	return len(b), nil
}
func (s *said) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 2123} }
func (s *said) Close() error        { return nil }

// FuzzEndpoint gives an endpoint a datagram twice: it answers each at most once and
// with little, the second as the first, hands a request to its handler once, counts
// what it does not understand, and remembers no more than there is.
func FuzzEndpoint(f *testing.F) {
	add := func(m *Message) {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, t := range []Type{CreateSessionRequest, ModifyBearerRequest, DeleteSessionRequest, CreateSessionResponse, DownlinkDataNotFailure, StopPagingIndication, CreateBearerRequest, BearerResourceCommand} {
		add(New(t, 9, EBI(5), BearerContext(0, EBI(5))))
	}
	add(&Message{Type: EchoRequest, Seq: 7, IEs: []*ie.IE{ie.NewRecovery(3)}})
	add(&Message{Type: EchoResponse, Seq: 7, IEs: []*ie.IE{ie.NewRecovery(3)}})
	add(&Message{Type: VersionNotSupported})
	for _, b := range [][]byte{{}, {0x48}, {0x30, 1, 0, 0}, {0x68, 1, 0, 4, 0, 0, 0, 0}, {0x48, 32, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 1, 0}, {0x40, 1, 0, 9, 0, 0, 1, 0, 93, 0, 200, 0, 1}, {0x40, 200, 0, 4, 0, 0, 1, 0}} {
		f.Add(b)
	}
	from := netip.MustParseAddrPort("10.0.0.1:2123")
	f.Fuzz(func(t *testing.T, b []byte) {
		c, calls := &said{}, 0
		e, err := NewEndpoint(Options{Conn: c, Logger: slog.New(slog.DiscardHandler), Handler: HandlerFunc(func(_ netip.AddrPort, m *Message) *Message {
			calls++
			if m.Type.Answer() == 0 {
				return nil
			}
			return New(m.Type.Answer(), 1, CauseIE(nil))
		})})
		if err != nil {
			t.Fatal(err)
		}
		was := bytes.Clone(b)
		e.datagram(from, b)
		first := len(c.all)
		drops := total(e)
		e.datagram(from, b)
		if !bytes.Equal(b, was) {
			t.Fatal("the datagram was changed")
		}
		if first > 1 || len(c.all) != 2*first || first == 1 && !bytes.Equal(c.all[0], c.all[1]) || calls > 1 && first == 1 || len(e.peers) > 1 || len(e.answers.m) > 1 || len(e.answers.fifo) > 2 {
			t.Fatalf("%x: answers %x, %d calls, %d peers, %d answers kept", b, c.all, calls, len(e.peers), len(e.answers.m))
		}
		for _, a := range c.all {
			if m, err := Parse(a); len(a) > 64 || err != nil && a[1] != byte(VersionNotSupported) {
				t.Fatalf("%x is answered by %x: %+v, %v", b, a, m, err)
			}
		}
		if calls == 0 && first == 0 && drops == 0 {
			t.Fatalf("nobody says what became of %x", b)
		}
	})
}

func total(e *Endpoint) (n uint64) {
	for _, d := range e.Stats().Dropped {
		n += d
	}
	return n
}
