package capture_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/decode/capture"
	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

const (
	begin = 2
	end   = 1
)

// packet is an SCTP packet from port 1000+from to 36412 with DATA chunks.
func packet(tag uint32, chunks ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{3, 232, 142, 60}, tag)
	return append(append(b, 0, 0, 0, 0), slices.Concat(chunks...)...)
}

func data(flags byte, tsn uint32, text string) []byte {
	c := binary.BigEndian.AppendUint32([]byte{0, flags, 0, byte(16 + len(text))}, tsn)
	c = append(append(c, 0, 5, 0, 0, 0, 0, 0, 18), text...)
	for len(c)%4 != 0 {
		c = append(c, 0)
	}
	return c
}

// idata is a chunk of RFC 8260.
func idata(flags byte, tsn uint32, text string) []byte {
	c := binary.BigEndian.AppendUint32([]byte{64, flags, 0, byte(20 + len(text))}, tsn)
	c = append(append(c, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 18), text...)
	for len(c)%4 != 0 {
		c = append(c, 0)
	}
	return c
}

// said is what associations make of packets: texts, with the association's
// number and what is missing.
func said(a *capture.Associations, cut int, packets ...[]byte) string {
	var out []string
	for _, p := range packets {
		all, err := a.Packet(netip.AddrFrom4([4]byte{1}), netip.AddrFrom4([4]byte{2}), p, cut)
		for _, m := range all {
			s := fmt.Sprintf("%d:%s", m.Association, m.Data)
			if m.Cut > 0 {
				s += fmt.Sprintf("+%d", m.Cut)
			}
			if m.Stream != 5 || m.PPID != 18 || m.Src.Port() != 1000 || m.Dst.Port() != 36412 {
				s += fmt.Sprintf(" %+v", m)
			}
			out = append(out, s)
		}
		if err != nil {
			out = append(out, err.Error())
		}
	}
	return strings.Join(out, " ")
}

func TestMessagesOutOfChunks(t *testing.T) {
	abc := [][]byte{data(begin, 10, "be"), data(0, 11, "gin"), data(end, 12, "ning")}
	wrap := [][]byte{data(begin, 0xffffffff, "wr"), data(end, 0, "ap")}
	for name, c := range map[string]struct {
		packets [][]byte
		cut     int
		want    string
		again   int
		waiting int
	}{
		"bundled":       {[][]byte{packet(1, data(3, 1, "a"), data(3, 2, "bcdef"))}, 0, "1:a 1:bcdef", 0, 0},
		"fragments":     {[][]byte{packet(1, abc...)}, 0, "1:beginning", 0, 0},
		"any order":     {[][]byte{packet(1, abc[2]), packet(1, abc[0], abc[1])}, 0, "1:beginning", 0, 0},
		"the gap last":  {[][]byte{packet(1, abc[2]), packet(1, abc[0]), packet(1, data(3, 13, "x")), packet(1, abc[1])}, 0, "1:x 1:beginning", 0, 0},
		"sent again":    {[][]byte{packet(1, abc[0], abc[1]), packet(1, abc[1], abc[2]), packet(1, abc...)}, 0, "1:beginning", 4, 0},
		"one missing":   {[][]byte{packet(1, abc[0]), packet(1, abc[2])}, 0, "", 0, 2},
		"TSN wraps":     {[][]byte{packet(1, wrap[1], wrap[0])}, 0, "1:wrap", 0, 0},
		"I-DATA":        {[][]byte{packet(1, idata(3, 1, "a"), idata(begin, 2, "b"), idata(end, 3, "c"))}, 0, "1:a 1:bc", 0, 0},
		"begun anew":    {[][]byte{packet(1, data(3, 1, "a")), packet(9, data(3, 1, "a")), packet(9, data(3, 2, "b"))}, 0, "1:a 2:a 2:b", 0, 0},
		"cut":           {[][]byte{packet(1, data(3, 1, "abcdefgh"))[:12+16+3]}, 5, "1:abc+5", 0, 0},
		"wrong length":  {[][]byte{packet(1, data(3, 1, "a"), []byte{0, 3, 0, 99, 0})}, 0, "1:a SCTP chunk claims 99 octets of 5", 0, 0},
		"no header":     {[][]byte{{1, 2, 3}}, 0, "SCTP packet of 3 octets", 0, 0},
		"out of window": {[][]byte{packet(1, data(3, 9000, "new")), packet(1, data(3, 1000, "old")), packet(1, data(3, 90000, "jump"))}, 0, "1:new 1:jump", 1, 0},
	} {
		a := capture.NewAssociations()
		if got := said(a, c.cut, c.packets...); got != c.want || a.Duplicates != c.again || a.Waiting() != c.waiting {
			t.Errorf("%s: %q, %d again, %d waiting; want %q, %d, %d", name, got, a.Duplicates, a.Waiting(), c.want, c.again, c.waiting)
		}
	}
}

// What waits for fragments that never come is bounded, and so is the number of
// associations.
func TestHostileChunks(t *testing.T) {
	a := capture.NewAssociations()
	for i := range uint32(100_000) {
		said(a, 0, packet(1, data(0, 2*i, strings.Repeat("x", 200))))
	}
	if a.Waiting() > 2000 || a.Incomplete == 0 {
		t.Errorf("%d waiting, %d given up", a.Waiting(), a.Incomplete)
	}
	for i := range uint32(20_000) {
		said(a, 0, packet(i, data(begin, 1, "x")))
	}
	if a.Waiting() > 5000 {
		t.Errorf("%d waiting", a.Waiting())
	}
}

// Our own SCTP, over a network that loses, delays and doubles: of a message of
// many chunks and of small ones, all arrive here as they do at the other end.
func TestOwnSCTPUnderLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sctptest.New(7, sctptest.Conditions{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.1, Duplicate: 0.1})
		a := capture.NewAssociations()
		var heard []string
		n.SetFilter(func(p sctptest.Packet) bool {
			if !capture.IsSCTP(p.Data) {
				t.Errorf("%x is not known as SCTP", p.Data)
			}
			all, err := a.Packet(p.From.Addr(), p.To.Addr(), p.Data, 0)
			if err != nil {
				t.Error(err)
			}
			for _, m := range all {
				heard = append(heard, string(m.Data))
			}
			return true
		})
		open := func(addr string) sctp.Endpoint {
			s, err := n.Open(netip.MustParseAddrPort(addr))
			if err != nil {
				t.Fatal(err)
			}
			e, err := sctp.NewUDP(sctp.Options{Conn: s})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		server, client := open("10.0.0.1:9899"), open("10.0.0.2:9899")
		l, err := server.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(t.Context(), netip.MustParseAddrPort("10.0.0.1:36412"), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var sent, got []string
		for i := range 40 {
			m := strings.Repeat(fmt.Sprint(i, " "), 1+i%4*2000)
			sent = append(sent, m)
			if err := c.Send(t.Context(), uint16(i%3), 18, []byte(m)); err != nil {
				t.Fatal(err)
			}
			r, err := s.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(r.Data))
		}
		server.Close()
		client.Close()
		slices.Sort(sent)
		slices.Sort(got)
		slices.Sort(heard)
		if !slices.Equal(got, sent) || !slices.Equal(heard, sent) || a.Duplicates == 0 || a.Waiting() != 0 {
			t.Errorf("%d sent, %d received, %d heard, %d again, %d waiting", len(sent), len(got), len(heard), a.Duplicates, a.Waiting())
		}
	})
}
