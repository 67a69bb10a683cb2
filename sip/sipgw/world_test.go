package sipgw

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/loopback"
	"campanile.network/sip/calls"
	"campanile.network/sip/smsc"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew; look at the difference")

// world is a gateway on a loopback address, with a home of its own and peers that
// write and read texts. What goes over the wire is noted.
type world struct {
	t      *testing.T
	g      *Gateway
	home   *fakeHome
	clock  *clock
	centre *centre
	menu   *menu
	tally  *book
	at     netip.AddrPort
	text   strings.Builder
	masks  [][2]string
}

// play runs a script against a gateway. Peers named in stations are trusted.
func play(t *testing.T, change func(*Options), script func(*world)) *world {
	t.Helper()
	w := &world{t: t, home: newFakeHome(), clock: &clock{t: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}, centre: &centre{}, menu: &menu{}, tally: &book{}}
	e, err := txn.Listen(txn.Options{UDP: []netip.AddrPort{netip.AddrPortFrom(loopback.Addr(t, 5060), 5060)}})
	if err != nil {
		t.Fatal(err)
	}
	plmn, _ := id.ParsePLMN("00101")
	o := Options{Endpoint: e, Home: w.home, Directory: w.home, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm, Messages: w.centre, USSD: w.menu, Tally: w.tally, Now: w.clock.now}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	if change != nil {
		change(&o)
	}
	if w.g, err = New(o); err != nil {
		t.Fatal(err)
	}
	w.at, _ = e.Local(txn.UDP)
	w.mask(w.at.String(), "gw:5060")
	w.mask(w.at.Addr().String(), "gw")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.g.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	script(w)
	return w
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (w *world) mask(what, by string) { w.masks = append(w.masks, [2]string{what, by}) }

// host is a host that speaks SIP in texts.
type host struct {
	w    *world
	name string
	conn *net.UDPConn
	at   netip.AddrPort
	cseq int
}

// station is the address that a station of a test has, for Options.Stations.
func station(t *testing.T, name string, cells ...id.CGI) (Station, netip.AddrPort) {
	at := netip.AddrPortFrom(loopback.Addr(t, 5062), 5062)
	if len(cells) == 0 {
		cells = []id.CGI{cell(0x3ef, 0xa)}
	}
	return Station{Name: name, From: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, Tower: proof.TowerKey{7}, Cells: cells}, at
}

func cell(lac, ci uint16) id.CGI {
	p, _ := id.ParsePLMN("00101")
	return id.CGI{PLMN: p, LAC: lac, CI: ci}
}

func (w *world) host(name string, at netip.AddrPort) *host {
	w.t.Helper()
	if !at.IsValid() {
		at = netip.AddrPortFrom(loopback.Addr(w.t, 5062), 5062)
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	w.mask(at.String(), name+":5062")
	w.mask(at.Addr().String(), name)
	return &host{w: w, name: name, conn: c, at: at, cseq: 100}
}

// send sends a text: {me}, {gw} and {cseq} are filled in, as are Content-Length
// and, where there is none, Via.
func (h *host) send(format string, a ...any) {
	h.w.t.Helper()
	h.cseq++
	text := strings.TrimLeft(fmt.Sprintf(format, a...), "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	if !strings.Contains(head, "Via:") {
		first, rest, _ := strings.Cut(head, "\n")
		head = fmt.Sprintf("%s\nVia: SIP/2.0/UDP {me};branch=z9hG4bK-%d\n%s", first, h.cseq, rest)
	}
	head = strings.NewReplacer("{me}", h.at.String(), "{mehost}", h.at.Addr().String(), "{gw}", h.w.at.String(), "{cseq}", fmt.Sprint(h.cseq)).Replace(strings.TrimSpace(head))
	head += fmt.Sprintf("\nContent-Length: %d", len(body))
	h.sendRaw(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)
}

func (h *host) sendRaw(text string) {
	h.w.t.Helper()
	h.w.note(h.name+" > gw", text)
	if _, err := h.conn.WriteToUDPAddrPort([]byte(text), h.w.at); err != nil {
		h.w.t.Fatal(err)
	}
}

// recv takes the next message, but 100.
func (h *host) recv() *sip.Message {
	h.w.t.Helper()
	b := make([]byte, 65536)
	for {
		h.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := h.conn.Read(b)
		if err != nil {
			h.w.t.Fatalf("%s heard nothing: %v\n%s", h.name, err, h.w.text.String())
		}
		m, err := sip.Parse(b[:n], false)
		if err != nil {
			h.w.t.Fatalf("%s got what is no SIP: %v\n%s", h.name, err, b[:n])
		}
		if m.Status == 100 {
			continue
		}
		h.w.note("gw > "+h.name, string(b[:n]))
		return m
	}
}

// want is recv for an answer with a status.
func (h *host) want(status int) *sip.Message {
	h.w.t.Helper()
	m := h.recv()
	if m.Status != status {
		h.w.t.Fatalf("%s got %d %s, want %d\n%s", h.name, m.Status, m.Reason, status, h.w.text.String())
	}
	return m
}

// answer answers a request.
func (h *host) answer(r *sip.Message, status int, change func(*sip.Message)) {
	h.w.t.Helper()
	m := r.Response(status, "")
	m.To.SetTag("of-" + h.name)
	if change != nil {
		change(m)
	}
	b, err := m.Bytes()
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.sendRaw(string(b))
}

func (w *world) note(way, text string) {
	fmt.Fprintf(&w.text, "--- %s\n%s\n", way, strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"))
}

var volatile = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`tag=[0-9a-f]{16}\b`), "tag=<tag>"},
	{regexp.MustCompile(`branch=z9hG4bK[0-9A-Za-z]{8,}[^\s;]*`), "branch=<branch>"},
}

// golden compares what went over the wire with testdata.
func (w *world) golden(name string) {
	w.t.Helper()
	got := w.text.String()
	for _, m := range w.masks {
		got = strings.ReplaceAll(got, m[0], m[1])
	}
	for _, v := range volatile {
		got = v.re.ReplaceAllString(got, v.by)
	}
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != string(want) {
		w.t.Errorf("%s differs (go test -update writes it anew):\n%s", path, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			lo := max(0, i-3)
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, strings.Join(a[min(lo, len(a)):min(i+3, len(a))], "\n     "), strings.Join(b[min(lo, len(b)):min(i+3, len(b))], "\n     "))
		}
	}
	return ""
}

// centre is a message centre that takes everything, or what it is told.
type centre struct {
	mu     sync.Mutex
	rps    []sms.RP
	texts  []string
	from   []smsc.Sender
	ready  []id.IMSI
	answer sms.RP
	err    error
}

func (c *centre) Submit(_ context.Context, from smsc.Sender, m sms.RP) (sms.RP, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rps, c.from = append(c.rps, m), append(c.from, from)
	return c.answer, c.err
}

func (c *centre) SubmitText(_ context.Context, from smsc.Sender, to, text string, _ smsc.Key) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts, c.from = append(c.texts, to+": "+text), append(c.from, from)
	return c.err
}

// do changes or looks at a centre that takes messages meanwhile.
func (c *centre) do(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// took is what a centre has got.
func (c *centre) took() (rps []sms.RP, texts []string, from []smsc.Sender) {
	c.do(func() { rps, texts, from = slices.Clone(c.rps), slices.Clone(c.texts), slices.Clone(c.from) })
	return rps, texts, from
}

func (c *centre) Ready(i id.IMSI) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, i)
}

// menu is a USSD that repeats what it is told.
type menu struct{ err error }

func (m *menu) USSD(_ context.Context, from smsc.Sender, text string) (string, error) {
	return "You <" + from.MSISDN.Digits() + "> dialled " + text, m.err
}

// book is a tally that counts.
type book struct {
	mu    sync.Mutex
	lines []string
	fail  error
}

type stay struct {
	b    *book
	what string
}

func (b *book) line(format string, a ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, a...))
}

// all is what was counted.
func (b *book) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// refuse lets nobody enter any more.
func (b *book) refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *book) Enter(ticket []byte, tower proof.TowerKey, c id.CGI) (Stay, error) {
	b.mu.Lock()
	err := b.fail
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s := &stay{b, fmt.Sprintf("%s at %v", ticket, c)}
	b.line("enter %s", s.what)
	return s, nil
}

func (s *stay) Call() calls.Meter { return s }

func (s *stay) Add(d time.Duration) { s.b.line("voice %v %s", d, s.what) }

func (s *stay) End(d time.Duration) { s.b.line("voice %v %s, the end", d, s.what) }
func (s *stay) Message(n int) error {
	s.b.line("message %d %s", n, s.what)
	return nil
}
func (s *stay) Leave() { s.b.line("leave %s", s.what) }
