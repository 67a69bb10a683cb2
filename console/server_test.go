package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/wire/proof"
)

// launch runs a server on a port of its own; end ends it and waits.
func launch(t testing.TB, o Options, before func(*Server)) (s *Server, end func()) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// serve runs a server until the test is over.
func serve(t testing.TB, o Options, before func(*Server)) *Server {
	t.Helper()
	s, end := launch(t, o, before)
	t.Cleanup(end)
	return s
}

func get(t *testing.T, url string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "State") {
		t.Errorf("without State: %v", err)
	}
	s := serve(t, Options{State: func() State { return State{} }}, nil)
	_, err := New(Options{State: func() State { return State{} }, Listen: s.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("a taken port: %v", err)
	}
}

// An empty State makes an answer without null lists, at once.
func TestEmptyState(t *testing.T) {
	s := serve(t, Options{State: func() State { return State{} }}, nil)
	r, b := get(t, "http://"+s.Addr().String()+"/api/state")
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Fatal(r.Status, r.Header)
	}
	for _, list := range []string{"towers", "phones", "accounts", "unsettled", "events"} {
		if !strings.Contains(string(b), fmt.Sprintf("%q:[]", list)) {
			t.Errorf("%s is no empty list in %s", list, b)
		}
	}
	if strings.Contains(string(b), "null") {
		t.Errorf("null in %s", b)
	}
}

// The shape of the JSON API is what testdata/snapshot.txt says; the numbers of
// a subscriber never leave in full.
func TestSnapshotShape(t *testing.T) {
	w := newWorld(t)
	w.pass(t)
	w.state.Unsettled = []Unsettled{{"no ticket", Octets{1, 2}}}
	s := serve(t, Options{State: w.look, Claim: func(context.Context) (string, error) { return "", nil }}, func(s *Server) {
		s.hub.look(w.now, true)
		s.hub.look(w.now.Add(time.Second), true)
	})
	_, b := get(t, "http://"+s.Addr().String()+"/api/state")
	if strings.Contains(string(b), "001010000000001") {
		t.Error("an IMSI in full")
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	shape := map[string]bool{}
	walk("", v, shape)
	var lines []string
	for l := range shape {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	want, err := os.ReadFile("testdata/snapshot.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines, "\n") + "\n"; got != string(want) {
		t.Errorf("the shape differs from testdata/snapshot.txt:\n%s", got)
	}
	var snap struct {
		Phones []struct{ IMSI, Address string }
		Towers []struct{ Tally struct{ Amount string } }
	}
	if err := json.Unmarshal(b, &snap); err != nil {
		t.Fatal(err)
	}
	if p := snap.Phones[0]; p.IMSI != "00101········01" || p.Address != "10.45.0.2" {
		t.Errorf("phone %+v", p)
	}
}

func walk(path string, v any, shape map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			walk(path+"."+k, e, shape)
		}
	case []any:
		for _, e := range v {
			walk(path+"[]", e, shape)
		}
	default:
		shape[fmt.Sprintf("%s %T", path, v)] = true
	}
}

func TestHeaders(t *testing.T) {
	s := serve(t, Options{State: func() State { return State{} }}, nil)
	for path, kind := range map[string]string{"/": "text/html", "/console.js": "text/javascript", "/console.css": "text/css", "/icon.svg": "image/svg+xml", "/api/state": "application/json"} {
		r, b := get(t, "http://"+s.Addr().String()+path)
		if r.StatusCode != 200 || len(b) == 0 || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %s, %d octets of %s", path, r.Status, len(b), r.Header.Get("Content-Type"))
		}
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", path, r.Header)
		}
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	if r, _ := get(t, "http://"+s.Addr().String()+"/page/index.html"); r.StatusCode != 404 {
		t.Errorf("a path that is not there: %s", r.Status)
	}
}

func TestHostCheck(t *testing.T) {
	s := serve(t, Options{State: func() State { return State{} }, Hosts: []string{"Box.lan"}}, func(s *Server) { s.hub.look(time.Now(), true) })
	for _, c := range []struct {
		host, local string
		want        int
	}{
		{"127.0.0.1:8080", "127.0.0.1", 200},
		{"127.0.0.9", "127.0.0.1", 200},
		{"localhost:8080", "127.0.0.1", 200},
		{"LOCALHOST.", "127.0.0.1", 200},
		{"[::1]:8080", "::1", 200},
		{"box.lan:8080", "127.0.0.1", 200},
		{"192.168.1.5:8080", "192.168.1.5", 200},
		{"192.168.1.6:8080", "192.168.1.5", 421},
		{"evil.example:8080", "127.0.0.1", 421},
		{"localhost.evil.example", "127.0.0.1", 421},
		{"127.0.0.1.evil.example", "127.0.0.1", 421},
		{"2130706433", "127.0.0.1", 421},
		{"", "127.0.0.1", 421},
	} {
		for _, path := range []string{"/", "/api/state"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = c.host
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.local), 8080))))
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("host %q at %s, %s: %d, want %d", c.host, c.local, path, w.Code, c.want)
			}
			if w.Code == 421 && strings.Contains(w.Body.String(), "chain") {
				t.Errorf("host %q was told the state", c.host)
			}
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, h := range []string{"localhost", "127.0.0.1:80", "[::1]:8080", "evil.example", "[::ffff:127.0.0.1]", ":", "[", "127.1"} {
		f.Add(h)
	}
	s := &Server{hosts: map[string]bool{"localhost": true}}
	f.Fuzz(func(t *testing.T, host string) {
		if !s.allowedHost(&http.Request{Host: host}) {
			return
		}
		u := strings.ToLower(host)
		if !strings.Contains(u, "localhost") && !strings.Contains(u, "127.") && !strings.Contains(u, "1") && !strings.Contains(u, ":7f") {
			t.Errorf("%q passed", host)
		}
		if strings.Contains(u, "example") {
			t.Errorf("%q passed", host)
		}
	})
}

func TestClaimGuard(t *testing.T) {
	claims := 0
	var fail error
	s := serve(t, Options{State: func() State { return State{} }, Claim: func(context.Context) (string, error) { claims++; return "claimed 1 BELL", fail }}, nil)
	self := "http://" + s.Addr().String()
	ours := map[string]string{ClaimHeader: "1", "Origin": self, "Sec-Fetch-Site": "same-origin"}
	with := func(k, v string) map[string]string {
		h := map[string]string{}
		for a, b := range ours {
			h[a] = b
		}
		h[k] = v
		return h
	}
	for _, c := range []struct {
		name, method, remote, body string
		headers                    map[string]string
		fail                       error
		code                       int
		says                       string
	}{
		{"the page", "POST", "127.0.0.1:5", "", ours, nil, 200, `{"text":"claimed 1 BELL"}`},
		{"a program here", "POST", "[::1]:5", "", map[string]string{ClaimHeader: "1"}, nil, 200, "claimed"},
		{"the chain says no", "POST", "127.0.0.1:5", "", ours, errors.New("nothing to claim"), 502, `{"error":"nothing to claim"}`},
		{"the chain is slow", "POST", "127.0.0.1:5", "", ours, fmt.Errorf("wait: %w", context.DeadlineExceeded), 504, "may still be taken"},
		{"GET", "GET", "127.0.0.1:5", "", ours, nil, 405, ""},
		{"a form", "POST", "127.0.0.1:5", "", map[string]string{"Origin": self}, nil, 403, ClaimHeader},
		{"another page", "POST", "127.0.0.1:5", "", with("Origin", "http://evil.example"), nil, 403, "another page"},
		{"another port", "POST", "127.0.0.1:5", "", with("Origin", "http://127.0.0.1:9"), nil, 403, "another page"},
		{"no origin to speak of", "POST", "127.0.0.1:5", "", with("Origin", "null"), nil, 403, "another page"},
		{"another site", "POST", "127.0.0.1:5", "", with("Sec-Fetch-Site", "cross-site"), nil, 403, "another page"},
		{"another machine", "POST", "192.168.1.7:5", "", ours, nil, 403, "this machine only"},
		{"a body", "POST", "127.0.0.1:5", "amount=1", ours, nil, 403, "body"},
	} {
		before := claims
		fail = c.fail
		r := httptest.NewRequest(c.method, "/api/claim", strings.NewReader(c.body))
		r.Host, r.RemoteAddr = s.Addr().String(), c.remote
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.code, c.says)
		}
		if asked := claims > before; asked != (c.code == 200 || c.fail != nil) {
			t.Errorf("%s: claimed %v", c.name, asked)
		}
	}
	none := serve(t, Options{State: func() State { return State{} }}, nil)
	if code := post(t, none); code != 404 {
		t.Errorf("without Claim: %d", code)
	}
}

func post(t *testing.T, s *Server) int {
	t.Helper()
	r, err := http.NewRequest("POST", "http://"+s.Addr().String()+"/api/claim", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(ClaimHeader, "1")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode
}

// One claim at a time; the end of the server is the end of a claim's context.
func TestClaimsDoNotOverlap(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, Options{State: func() State { return State{} }, Claim: func(context.Context) (string, error) {
		entered <- struct{}{}
		<-leave
		return "done", nil
	}}, nil)
	first := make(chan int)
	go func() { first <- post(t, s) }()
	<-entered
	if code := post(t, s); code != 409 {
		t.Errorf("a second claim: %d", code)
	}
	close(leave)
	if code := <-first; code != 200 {
		t.Errorf("the first claim: %d", code)
	}
	go func() { first <- post(t, s) }()
	<-entered
	if code := <-first; code != 200 {
		t.Errorf("a later claim: %d", code)
	}
}

// A browser gets a snapshot at once and another after a change.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	s := serve(t, Options{State: w.look, Changed: w.changed}, nil)
	r, err := http.Get("http://" + s.Addr().String() + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-store" {
		t.Error(r.Header)
	}
	stream := bufio.NewReader(r.Body)
	if snap := nextSnapshot(t, stream); snap.Chain.Height != 1204 || len(snap.Phones) != 3 || snap.PhonesHere != 2 {
		t.Errorf("first: %+v", snap)
	}
	w.change(func(st *State) { st.Chain.Height = 7; st.Towers[0].Tally.Amount = proof.AmountOf(12) })
	for {
		snap := nextSnapshot(t, stream)
		if snap.Chain.Height == 1204 {
			continue
		}
		if snap.Chain.Height != 7 || snap.Towers[0].Tally.Amount != proof.AmountOf(12) {
			t.Errorf("after: %+v", snap)
		}
		return
	}
}

// seen is what tests read of a Snapshot; an IMSI cannot be read back.
type seen struct {
	Chain      Chain
	Towers     []struct{ Tally struct{ Amount proof.Amount } }
	Phones     []struct{ ID uint64 }
	PhonesHere int `json:"phones_here"`
}

func nextSnapshot(t *testing.T, r *bufio.Reader) (s seen) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
}

func TestTooManyPages(t *testing.T) {
	s := serve(t, Options{State: func() State { return State{} }}, func(s *Server) {
		for range maxClients {
			s.hub.join()
		}
	})
	r, _ := get(t, "http://"+s.Addr().String()+"/api/events")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
}
