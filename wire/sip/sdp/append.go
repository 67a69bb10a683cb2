package sdp

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Append writes the description behind b. It refuses what has a line end or NUL in it.
func (s *Session) Append(b []byte) ([]byte, error) {
	w := writer{b: b}
	o := s.Origin
	w.line("v=", "0")
	w.line("o=", or(o.User, "-")+" "+or(o.ID, "0")+" "+or(o.Version, "0")+" "+network(o.Address))
	w.line("s=", or(s.Name, "-"))
	w.lines("", s.Extra)
	w.connection(s.Connection)
	w.lines("b=", s.Bandwidth)
	if len(s.Times) == 0 {
		w.line("t=", "0 0")
	}
	for _, t := range s.Times {
		if strings.HasPrefix(t, "r=") || strings.HasPrefix(t, "z=") {
			w.line("", t)
		} else {
			w.line("t=", t)
		}
	}
	w.attributes(s.Attributes)
	for i := range s.Media {
		w.media(&s.Media[i])
	}
	if w.err != nil {
		return b, w.err
	}
	return w.b, nil
}

// Bytes is Append to nothing.
func (s *Session) Bytes() ([]byte, error) { return s.Append(nil) }

type writer struct {
	b   []byte
	err error
}

func (w *writer) fail(what string) {
	if w.err == nil {
		w.err = &Error{0, "cannot be written: " + what}
	}
}

// word reports whether s is one of several things in a line.
func word(s string) bool { return s != "" && !strings.ContainsAny(s, " \t") }

func (w *writer) line(kind, value string) {
	if strings.ContainsAny(value, "\r\n\x00") {
		w.fail("a line end or NUL in " + strconv.Quote(value))
	}
	w.b = append(append(append(w.b, kind...), value...), "\r\n"...)
}

func (w *writer) lines(kind string, values []string) {
	for _, v := range values {
		w.line(kind, v)
	}
}

func (w *writer) connection(c Connection) {
	if c.Address != "" {
		w.line("c=", network(c.Address))
	}
}

func (w *writer) attributes(list Attributes) {
	for _, a := range list {
		if a.HasValue {
			w.line("a=", a.Name+":"+a.Value)
		} else {
			w.line("a=", a.Name)
		}
	}
}

func (w *writer) media(m *Media) {
	port := strconv.Itoa(m.Port)
	if m.Ports != 0 {
		port += "/" + strconv.Itoa(m.Ports)
	}
	ports := uint(m.Port) < 1<<16 && uint(m.Ports) < 1<<16
	if !ports || !word(m.Kind) || !word(m.Proto) || len(m.Formats) == 0 || slices.ContainsFunc(m.Formats, func(f string) bool { return !word(f) }) {
		w.fail("a line m=" + m.Kind + " without port, transport or formats")
	}
	w.line("m=", m.Kind+" "+port+" "+m.Proto+" "+strings.Join(m.Formats, " "))
	w.lines("", m.Extra)
	w.connection(m.Connection)
	w.lines("b=", m.Bandwidth)
	w.attributes(m.Attributes)
}

// network is network type, address type and address.
func network(address string) string {
	if strings.Contains(address, ":") {
		return "IN IP6 " + address
	}
	if address == "" {
		address = netip.IPv4Unspecified().String()
	}
	return "IN IP4 " + address
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
