package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Access points are set by the page alone: with its header, from its origin, in words.
func TestSetAPNs(t *testing.T) {
	var asked []string
	s, err := New(Options{Listen: "127.0.0.1:0", State: func() State { return State{} }, Phones: func(PhoneQuery) (PhoneList, error) { return PhoneList{}, nil },
		Phone: func(string) (PhoneDetail, bool) { return PhoneDetail{}, false },
		SetAPNs: func(_ context.Context, id string, words []string) (string, error) {
			asked = append([]string{id}, words...)
			if len(words) == 0 {
				return "", errors.New("nothing to set")
			}
			return "done", nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		name, header, origin, body string
		code                       int
		says                       string
	}{
		{"by the page", "1", "http://" + s.Addr().String(), "internet ims,qci=5\n*", 200, "done"},
		{"nothing", "1", "", " ", 400, "nothing to set"},
		{"without the header", "", "", "internet", 403, ClaimHeader},
		{"by another page", "1", "http://elsewhere.example", "internet", 403, "another page"},
		{"too much", "1", "", strings.Repeat("a ", maxWords), 413, "octets"},
	} {
		asked = nil
		q, err := http.NewRequest("POST", "http://"+s.Addr().String()+"/api/v1/phones/p3/apns", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set(ClaimHeader, c.header)
		if c.origin != "" {
			q.Header.Set("Origin", c.origin)
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != c.code || !strings.Contains(string(b), c.says) {
			t.Errorf("%s: %d %s %v, want %d %q", c.name, r.StatusCode, b, err, c.code, c.says)
		}
		if c.code == 200 && strings.Join(asked, "|") != "p3|internet|ims,qci=5|*" || c.code > 400 && asked != nil {
			t.Errorf("%s: asked %q", c.name, asked)
		}
	}
}
