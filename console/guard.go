package console

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClaimHeader must be "1" in a POST to /api/claim. A page of another origin
// cannot set it without a preflight, which is not answered.
const ClaimHeader = "X-Campanile-Claim"

// policy allows this page its own script and style and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// guard turns away who asks under a strange name (DNS rebinding: a stranger's
// name that was made to point here) and sets the headers of every answer.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if !s.allowedHost(r) {
			s.log.Debug("console: turned away", "host", r.Host, "remote", r.RemoteAddr)
			http.Error(w, "The console is not known under this name; ask for it at http://"+s.Addr().String()+", or add the name to the console's hosts.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowedHost accepts loopback addresses, "localhost", configured names, and
// the very address at which this connection arrived: rebinding needs a name.
func (s *Server) allowedHost(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if s.hosts[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.Unmap().IsLoopback() || local != nil && local.AddrPort().Addr().Unmap() == ip.Unmap()
}

// serveClaim has the owner paid: asked by this page only, from this machine
// only, one at a time.
func (s *Server) serveClaim(w http.ResponseWriter, r *http.Request) {
	if s.o.Claim == nil {
		answer(w, http.StatusNotFound, "", "there is nothing to claim with here")
		return
	}
	if why := strangeClaim(r); why != "" {
		s.log.Warn("console: claim refused", "reason", why, "remote", r.RemoteAddr)
		answer(w, http.StatusForbidden, "", why)
		return
	}
	select {
	case s.claim <- struct{}{}:
		defer func() { <-s.claim }()
	default:
		answer(w, http.StatusConflict, "", "a claim is on its way already")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), claimWithin)
	defer cancel()
	text, err := s.o.Claim(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		answer(w, http.StatusGatewayTimeout, "", "no block has taken the claim within "+claimWithin.String()+"; it may still be taken")
	case err != nil:
		s.log.Warn("console: claim failed", "err", err)
		answer(w, http.StatusBadGateway, "", err.Error())
	default:
		answer(w, http.StatusOK, text, "")
	}
}

// strangeClaim says why a claim does not come from our page on this machine.
func strangeClaim(r *http.Request) string {
	if why := stranger(r); why != "" {
		return why
	}
	if r.ContentLength != 0 {
		return "the request has a body"
	}
	return ""
}

// stranger says why what changes something is not asked by our page on this machine.
func stranger(r *http.Request) string {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !remote.Addr().Unmap().IsLoopback() {
		return "this is done from this machine only"
	}
	if r.Header.Get(ClaimHeader) != "1" {
		return "the request lacks " + ClaimHeader + ": 1"
	}
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host {
		return "the request comes from another page"
	}
	if http.NewCrossOriginProtection().Check(r) != nil {
		return "the request comes from another page"
	}
	return ""
}

func answer(w http.ResponseWriter, code int, text, wrong string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(struct {
		Text  string `json:"text,omitempty"`
		Error string `json:"error,omitempty"`
	}{text, wrong})
}
