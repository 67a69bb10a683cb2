package sipgw

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/sip/calls"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// datagrams is a socket in memory: what is put in is read, what is written stays.
type datagrams struct {
	in     chan datagram
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	out    [][]byte
}

type datagram struct {
	b    []byte
	from netip.AddrPort
}

var (
	here  = netip.MustParseAddrPort("192.0.2.60:5060")
	there = netip.MustParseAddrPort("192.0.2.1:5060")
)

func newDatagrams() *datagrams {
	return &datagrams{in: make(chan datagram), closed: make(chan struct{})}
}

func (d *datagrams) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-d.in:
		return copy(b, p.b), p.from, nil
	case <-d.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (d *datagrams) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = append(d.out, append([]byte(nil), b...))
	return len(b), nil
}

func (d *datagrams) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(here) }

func (d *datagrams) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// take gives what was written since the last time.
func (d *datagrams) take() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.out
	d.out = nil
	return out
}

// noMedia is a relay without ports.
type noMedia struct{}

func (noMedia) Open([2]netip.Addr) (calls.Session, error) { return nil, errors.New("no ports") }

// published reads one of the sets of messages in wire/sip/testdata; its torture_test
// says how they are written.
func published(t testing.TB, name string) (order []string, messages map[string][]byte) {
	t.Helper()
	text, err := os.ReadFile("../../wire/sip/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repeat, hexes, escapes := regexp.MustCompile(`<repeat (\d+) (.*?)>`), regexp.MustCompile(`(?:<hex [0-9a-f]+>\n)+`), regexp.MustCompile(`\\\\|\\x[0-9a-f]{2}`)
	messages = map[string][]byte{}
	for _, part := range regexp.MustCompile(`(?m)^=== `).Split(string(text), -1)[1:] {
		head, s, _ := strings.Cut(part, "\n")
		name, _, _ := strings.Cut(head, " ")
		s = repeat.ReplaceAllStringFunc(s, func(r string) string {
			m := repeat.FindStringSubmatch(r)
			n, _ := strconv.Atoi(m[1])
			return strings.Repeat(m[2], n)
		})
		s = hexes.ReplaceAllStringFunc(s, func(lines string) string {
			digits := strings.NewReplacer("<hex ", "", ">", "", "\n", "").Replace(lines)
			return regexp.MustCompile(`..`).ReplaceAllString(digits, `\x$0`) + "\n"
		})
		s = escapes.ReplaceAllStringFunc(strings.ReplaceAll(s, "\n", "\r\n"), func(e string) string {
			if e == `\\` {
				return `\`
			}
			n, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(n)})
		})
		order = append(order, name)
		messages[name] = []byte(s)
	}
	return order, messages
}

// silence is the verdict on what nobody answers.
const silence = 0

// gatewayVerdicts are what the whole input path answers to the messages of RFC 4475
// and RFC 5118: what the RFC wants of a message, and else what this gateway says to
// somebody whom it does not know.
var gatewayVerdicts = map[string]int{
	"wsinv":                         481, // within a dialog that is none
	"intmeth":                       501,
	"esc01":                         484, // nobody's number
	"escnull":                       401, // asked for a password
	"esc02":                         501,
	"lwsdisp":                       200,
	"longreq":                       484, // likewise
	"dblreq":                        401,
	"semiuri":                       200,
	"transports":                    200,
	"mpart01":                       401,
	"unreason":                      silence, // a response that belongs to nothing
	"noreason":                      silence, // likewise
	"badinv01":                      400,
	"clerr":                         400,
	"ncl":                           400,
	"scalar02":                      400,
	"scalarlg":                      silence, // likewise
	"quotbal":                       400,
	"ltgtruri":                      400,
	"lwsruri":                       400,
	"lwsstart":                      400,
	"trws":                          400,
	"escruri":                       400,
	"baddate":                       484, // likewise
	"regbadct":                      400,
	"badaspec":                      400,
	"baddn":                         400,
	"badvers":                       505,
	"mismatch01":                    400,
	"mismatch02":                    400,
	"bigcode":                       silence, // likewise
	"badbranch":                     200,
	"insuf":                         400,
	"unkscm":                        416,
	"novelsc":                       416,
	"unksm2":                        400,
	"bext01":                        420,
	"invut":                         415,
	"regaut01":                      401, // its scheme is unknown, as if nothing stood there
	"multi01":                       400,
	"mcl01":                         400,
	"bcast":                         silence, // likewise
	"zeromf":                        200,     // it goes no further anyway
	"cparam01":                      401,
	"cparam02":                      401,
	"regescrt":                      401,
	"sdp01":                         406,
	"inv2543":                       484, // taken, and its number is nobody's
	"ipv6-good":                     401,
	"ipv6-bad":                      400,
	"port-ambiguous":                401,
	"port-unambiguous":              401,
	"via-received-param-with-delim": 481,
	"via-received-param-no-delim":   200,
	"ipv6-in-sdp":                   484,
	"mult-ip-in-header":             481,
	"mult-ip-in-sdp":                484,
	"ipv4-mapped-ipv6":              484,
	"ipv6-bug-abnf-3-colons":        200,
	"ipv6-correct-abnf-2-colons":    200,
}

// Every message of RFC 4475 and RFC 5118, from the socket to the answer.
func TestTortureMessages(t *testing.T) {
	seen := 0
	for _, file := range []string{"rfc4475.txt", "rfc5118.txt"} {
		order, messages := published(t, file)
		for _, name := range order {
			seen++
			var got int
			synctest.Test(t, func(t *testing.T) { got = torture(t, messages[name]) })
			if want, known := gatewayVerdicts[name]; !known || got != want {
				t.Errorf("%s gets %d, want %d", name, got, want)
			}
		}
	}
	if seen < 60 {
		t.Errorf("%d messages only", seen)
	}
}

// torture gives the status that a gateway answers to a message with, silence for none.
// Whoever sends it is one of stations, or a stranger where there are none.
func torture(t *testing.T, message []byte, stations ...Station) int {
	t.Helper()
	wire := newDatagrams()
	e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{wire}, Host: "gw.example"})
	if err != nil {
		t.Fatal(err)
	}
	h := newFakeHome()
	h.add(t, bob, "4915100002", "secret of bob")
	plmn, _ := id.ParsePLMN("00101")
	g, err := New(Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm, Messages: &centre{}, USSD: &menu{},
		Stations: stations, Calls: CallsBy(calls.Options{Media: noMedia{}})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	wire.in <- datagram{message, there}
	synctest.Wait()
	status, answers := silence, 0
	for _, b := range wire.take() {
		// What could not be read goes back as it came, so this is not parsed.
		if n := 0; strings.HasPrefix(string(b), "SIP/2.0 ") {
			if fmt.Sscanf(string(b), "SIP/2.0 %d ", &n); n > 100 {
				status = n
				answers++
			}
		}
	}
	if answers > 1 {
		t.Errorf("%d answers", answers)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return status
}

// Whatever comes in, the gateway answers once or not at all, and goes on.
func FuzzInput(f *testing.F) {
	for _, file := range []string{"rfc4475.txt", "rfc5118.txt"} {
		_, messages := published(f, file)
		for _, m := range messages {
			f.Add(m)
		}
	}
	for _, name := range []string{"openbts", "openbts-old", "openbts-realm", "yatebts-umts", "app", "ims", "openbts-messages", "app-messages", "ussd"} {
		text, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "--- ") {
			if way, message, _ := strings.Cut(part, "\n"); strings.HasSuffix(way, "> gw") {
				f.Add([]byte(strings.ReplaceAll(message, "\n", "\r\n") + "\r\n\r\n"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			t.Skip("a datagram has room for less")
		}
		synctest.Test(t, func(t *testing.T) { torture(t, b) })
		s := Station{Name: "bts", From: []netip.Prefix{netip.PrefixFrom(there.Addr(), 32)}, Cells: []id.CGI{cell(0x3ef, 0xa)}}
		synctest.Test(t, func(t *testing.T) { torture(t, b, s) })
	})
}
