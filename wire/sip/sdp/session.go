package sdp

import (
	"net/netip"
	"strconv"
	"strings"
)

// Session is a session description.
type Session struct {
	Origin     Origin
	Name       string     // s=; "" is written, and read, as "-"
	Connection Connection // c= for all media without one of their own; zero: none
	Bandwidth  []string   // b= lines
	Times      []string   // t= lines, and r= and z= lines with their letter ("r=..."); none is "0 0", without end
	Attributes Attributes
	Media      []Media
	Extra      []string // i=, u=, e= and p= lines with their letters
}

// Origin says who made a description, and which version it is (RFC 8866 §5.2).
type Origin struct {
	User    string // "" is written, and read, as "-"
	ID      string // digits, in ours
	Version string // digits, in ours; one more after each change (RFC 3264 §8)
	Address string // an IP address or a name
}

// Connection is where media are sent to (RFC 8866 §5.7): an IP address, or a
// name, of one host. A multicast address keeps its TTL and count behind slashes.
type Connection struct{ Address string }

// Addr is the address, if it is one and not a name; an IPv4 address that is
// mapped into IPv6 is itself.
func (c Connection) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(c.Address)
	return a.Unmap(), err == nil
}

// Media is one line m= and what belongs to it.
type Media struct {
	Kind       string // audio, video, image ...
	Port       int    // 0: refused, or not in use
	Ports      int    // "port/ports" if not 0
	Proto      string // RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVPF ...
	Formats    []string
	Connection Connection // zero: the session's
	Bandwidth  []string
	Attributes Attributes
	Extra      []string // i= lines with their letter
}

// Attribute is a line a=name or a=name:value.
type Attribute struct {
	Name, Value string
	HasValue    bool
}

// Attributes are attributes in order. Names are compared exactly (RFC 8866 §5.13).
type Attributes []Attribute

// Lookup is the value of the first attribute with the name.
func (a Attributes) Lookup(name string) (string, bool) {
	for i := range a {
		if a[i].Name == name {
			return a[i].Value, true
		}
	}
	return "", false
}

// Values are the values of all attributes with the name.
func (a Attributes) Values(name string) (values []string) {
	for i := range a {
		if a[i].Name == name {
			values = append(values, a[i].Value)
		}
	}
	return values
}

// Add appends a=name:value.
func (a *Attributes) Add(name, value string) { *a = append(*a, Attribute{name, value, true}) }

// AddFlag appends a=name.
func (a *Attributes) AddFlag(name string) { *a = append(*a, Attribute{Name: name}) }

// Direction is who sends, as the one who describes sees it (RFC 8866 §6.7).
type Direction uint8

// Directions. SendRecv is what holds where nothing is said.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

var directions = [...]string{"sendrecv", "sendonly", "recvonly", "inactive"}

// String is the attribute's name.
func (d Direction) String() string { return directions[d&3] }

// Sends reports whether the describer sends.
func (d Direction) Sends() bool { return d == SendRecv || d == SendOnly }

// Receives reports whether the describer receives.
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly }

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Reverse is the same as the other side sees it.
func (d Direction) Reverse() Direction { return direction(d.Receives(), d.Sends()) }

// And is what of d is left by what the same side may do at most.
func (d Direction) And(most Direction) Direction {
	return direction(d.Sends() && most.Sends(), d.Receives() && most.Receives())
}

func (a Attributes) direction() (Direction, bool) {
	for i := range a {
		for d, name := range directions {
			if a[i].Name == name {
				return Direction(d), true
			}
		}
	}
	return SendRecv, false
}

// Direction is the direction of the session's media line m: its own or the session's.
// With the address 0.0.0.0 its describer does not receive (RFC 3264 §8.4).
func (s *Session) Direction(m *Media) Direction {
	d, ok := m.Attributes.direction()
	if !ok {
		d, _ = s.Attributes.direction()
	}
	if a, ok := s.Addr(m); ok && a.Addr().IsUnspecified() {
		d = d.And(SendOnly)
	}
	return d
}

// Addr is where RTP of media line m is to be sent; ok is false if no address or
// only a name is given. The port is 0 in a refused line.
func (s *Session) Addr(m *Media) (addr netip.AddrPort, ok bool) {
	c := m.Connection
	if c.Address == "" {
		c = s.Connection
	}
	a, ok := c.Addr()
	return netip.AddrPortFrom(a, uint16(m.Port)), ok
}

// RTCP is where RTCP of media line m is to be sent: what a=rtcp says (RFC 3605),
// or the port after RTP's. One port for both (a=rtcp-mux, RFC 5761) is not agreed
// to here.
func (s *Session) RTCP(m *Media) (addr netip.AddrPort, ok bool) {
	addr, ok = s.Addr(m)
	if !ok || m.Port == 0 {
		return addr, false
	}
	port, a := uint64(m.Port)+1, addr.Addr()
	if v, said := m.Attributes.Lookup("rtcp"); said {
		f := strings.Fields(v)
		var err error
		if len(f) == 0 || len(f) != 1 && len(f) != 4 {
			return addr, false
		}
		if port, err = strconv.ParseUint(f[0], 10, 16); err == nil && len(f) == 4 {
			a, err = netip.ParseAddr(f[3])
		}
		if err != nil {
			return addr, false
		}
	}
	return netip.AddrPortFrom(a, uint16(port)), port > 0 && port < 1<<16
}

// PTime is a=ptime in milliseconds, 0 if there is none that can be read.
func (m *Media) PTime() int {
	v, _ := m.Attributes.Lookup("ptime")
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil || !(n >= 1 && n <= 1000) {
		return 0
	}
	return int(n)
}
