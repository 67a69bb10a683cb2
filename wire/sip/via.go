package sip

import (
	"slices"
	"strconv"
	"strings"
)

// Via is one element of the way a request took (RFC 3261 §20.42).
type Via struct {
	Transport string // UDP, TCP, TLS ... as written; of another protocol than SIP/2.0 all of it: "SIP/7.0/UDP"
	Host      string // sent-by; an IPv6 address without its brackets
	Port      int    // 0: none
	Params    Params
}

// Branch is the branch parameter; OpenBTS sends one without a value.
func (v *Via) Branch() string { return v.Params.Get("branch") }

// Transaction is the branch parameter if it names a transaction by itself: it
// begins with z9hG4bK and goes on (RFC 3261 §8.1.1.7). One that does not is to
// be matched as RFC 3261 §17.2.3 says of RFC 2543's.
func (v *Via) Transaction() (branch string, ok bool) {
	const cookie = "z9hG4bK"
	branch = v.Branch()
	return branch, len(branch) > len(cookie) && strings.EqualFold(branch[:len(cookie)], cookie)
}

// Received is the received parameter, an address without brackets.
func (v *Via) Received() string {
	return strings.Trim(v.Params.Get("received"), "[]")
}

// RPort is the port of the rport parameter, 0 if it has no value yet; ok is
// whether the sender asks for it (RFC 3581 §3).
func (v *Via) RPort() (port int, ok bool) {
	s, ok := v.Params.Lookup("rport")
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		n = 0
	}
	return int(n), ok
}

// String is the element as the header field has it.
func (v Via) String() string { return string(v.Params.append(v.appendSentBy(nil))) }

// vias reads a list to its end. Of an element with an error what could be read
// stays if it is the topmost: by that the error is answered.
func (c *cursor) vias(list []Via) ([]Via, *Error) {
	for {
		if len(list) == maxList {
			return list, c.fail("too many elements")
		}
		if len(list) == cap(list) {
			list = slices.Grow(list, 7)
		}
		list = append(list, Via{})
		if err := c.via(&list[len(list)-1]); err != nil {
			if len(list) > 1 || list[0].Host == "" {
				list = list[:len(list)-1]
			}
			return list, err
		}
		if !c.take(',') {
			break
		}
	}
	if c.more() {
		return list, c.fail("something stands behind the parameters")
	}
	return list, nil
}

func (c *cursor) via(v *Via) (err *Error) {
	c.skip()
	protocol := ""
	if strings.HasPrefix(c.s[c.i:], "SIP/2.0/") {
		c.i += len("SIP/2.0/")
	} else {
		name := c.run(isToken)
		slash := c.take('/')
		version := c.run(isToken)
		if name == "" || version == "" || !slash || !c.take('/') {
			return c.fail("no protocol, version and transport")
		}
		if !strings.EqualFold(name, "SIP") || version != "2.0" {
			protocol = name + "/" + version + "/"
		}
	}
	if v.Transport = c.run(isToken); v.Transport == "" {
		return c.fail("no transport")
	}
	if protocol != "" {
		v.Transport = protocol + v.Transport
	}
	if !c.at(' ') && !c.at('\t') {
		return c.fail("no white space behind the transport")
	}
	c.skip()
	if v.Host, v.Port, err = c.hostPort(true); err == nil {
		v.Params, err = c.params()
	}
	return err
}
