package console

import (
	"embed"
	"net/http"
	"path"
	"time"
)

//go:embed page
var page embed.FS

// files says under which path a part of the page is found.
func files() map[string]string {
	return map[string]string{
		"/{$}": "index.html", "/console.css": "console.css", "/icon.svg": "icon.svg",
		"/console.js": "console.js", "/phone": "phone.html", "/phone.js": "phone.js", "/calls": "calls.html", "/calls.js": "calls.js", "/table.js": "table.js",
		"/format.js": "format.js", "/plot.js": "plot.js",
	}
}

// serveFile serves one part of the page.
func serveFile(name string) (http.HandlerFunc, error) {
	body, err := page.ReadFile("page/" + name)
	if err != nil {
		return nil, err
	}
	kind := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)]
	return func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
		w.Header().Set("Content-Type", kind)
		w.Write(body)
	}, nil
}

// serveState answers one Snapshot, at most a second old.
func (s *Server) serveState(w http.ResponseWriter, r *http.Request) {
	frame, err := s.hub.latest(r.Context())
	if err != nil {
		http.Error(w, "the console is starting or stopping", http.StatusServiceUnavailable)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
	w.Header().Set("Content-Type", "application/json")
	w.Write(frame)
}

// serveEvents streams Snapshots. Who does not take one within five seconds is
// dropped; his browser comes again by itself.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	c := s.hub.join()
	if c == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.hub.leave(c)
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{})
	send := func(parts ...[]byte) error {
		rc.SetWriteDeadline(time.Now().Add(writeWithin))
		for _, p := range parts {
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		return rc.Flush()
	}
	err := send([]byte("retry: 2000\n\n"))
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for err == nil {
		select {
		case <-r.Context().Done():
			return
		case frame := <-c.mail:
			err = send([]byte("data: "), frame, []byte("\n\n"))
		case <-beat.C:
			err = send([]byte(": still here\n\n"))
		}
	}
	s.log.Debug("console: page dropped", "remote", r.RemoteAddr, "err", err)
}
