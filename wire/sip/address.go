package sip

import (
	"math"
	"strconv"
	"strings"
)

// Address is a URI with a name before it and parameters behind it, as From, To,
// Contact, Route and Record-Route have it (RFC 3261 §20.10).
type Address struct {
	Name   string // the display name, without quotes and escapes
	URI    URI
	Params Params // of the header field, not of the URI

	unread string // what stood there in a request that could not be read: goes into the answer as it came
}

// Tag is the tag parameter of From and To.
func (a *Address) Tag() string { return a.Params.Get("tag") }

// SetTag sets the tag of From and To.
func (a *Address) SetTag(tag string) { a.Params.Set("tag", tag) }

// Expires is the expires parameter of a Contact in seconds, -1 if there is none.
// One that is no number is as good as 3600 (RFC 3261 §10.2.1.1).
func (a *Address) Expires() int {
	v, ok := a.Params.Lookup("expires")
	if !ok {
		return -1
	}
	n, err := seconds(v)
	if err != nil {
		return 3600
	}
	return n
}

// Q is the q parameter of a Contact in thousandths, 1000 if there is none or it is no number (RFC 3261 §20.10).
func (a *Address) Q() int {
	v, ok := a.Params.Lookup("q")
	f, err := strconv.ParseFloat(v, 64)
	if !ok || err != nil || !(f >= 0 && f <= 1) {
		return 1000
	}
	return int(math.Round(f * 1000))
}

// String is the address as a header field has it.
func (a Address) String() string { return string(a.append(nil)) }

// ParseAddress reads one address with its parameters.
func ParseAddress(s string) (Address, error) {
	c := cursor{s: strings.Trim(s, " \t")}
	a, err := c.address()
	if err == nil && c.more() {
		err = c.fail("something stands behind the address")
	}
	if err != nil {
		return Address{}, err.in("address", 0)
	}
	return a, nil
}

// ParseAddresses reads a list of addresses separated by commas, such as P-Asserted-Identity.
func ParseAddresses(s string) ([]Address, error) {
	c := cursor{s: strings.Trim(s, " \t")}
	list, err := c.addresses(nil)
	if err != nil {
		return nil, err.in("address", 0)
	}
	return list, nil
}

func (c *cursor) addresses(list []Address) ([]Address, *Error) {
	for {
		if len(list) == maxList {
			return nil, c.fail("too many addresses")
		}
		a, err := c.address()
		if err != nil {
			return nil, err
		}
		list = append(list, a)
		if !c.take(',') {
			break
		}
	}
	if c.more() {
		return nil, c.fail("something stands behind the address")
	}
	return list, nil
}

// address takes name-addr or addr-spec, and parameters.
func (c *cursor) address() (a Address, err *Error) {
	c.skip()
	if c.at('"') {
		if a.Name, err = c.quoted(); err != nil {
			return a, err
		}
		if c.skip(); !c.at('<') {
			return a, c.fail("no < behind the display name")
		}
	}
	// A name without quotes should be tokens, and is whatever leaves no doubt where it ends.
	rest := c.s[c.i:]
	switch end := strings.IndexAny(rest, "<,;\""); {
	case end >= 0 && rest[end] == '<':
		if a.Name == "" {
			a.Name = strings.TrimRight(rest[:end], " \t")
		}
		c.i += end + 1
		err = c.bracketed(&a.URI)
	default:
		err = c.bare(&a.URI)
	}
	if err != nil {
		return a, err
	}
	a.Params, err = c.params()
	return a, err
}

// bracketed reads a URI up to its >.
func (c *cursor) bracketed(u *URI) *Error {
	end := strings.IndexByte(c.s[c.i:], '>')
	if end < 0 {
		return c.fail("no > behind the URI")
	}
	err := c.part(u, c.i+end)
	c.i++
	return err
}

// bare reads a URI without brackets: what follows a ';' are parameters of the
// header field, and there is no ',' or '?' in it (RFC 3261 §20).
func (c *cursor) bare(u *URI) *Error {
	end := len(c.s)
	if n := strings.IndexAny(c.s[c.i:], ";, \t"); n >= 0 {
		end = c.i + n
	}
	if q := strings.IndexByte(c.s[c.i:end], '?'); q >= 0 {
		c.i += q
		return c.fail("a URI with a ? needs < and >")
	}
	return c.part(u, end)
}

// part reads what lies before end as a URI.
func (c *cursor) part(u *URI, end int) (err *Error) {
	whole := c.s
	c.s = c.s[c.i:end]
	start := c.i
	c.i = 0
	*u, err = c.uri()
	if err != nil {
		err.Offset += start
	}
	c.s, c.i = whole, end
	return err
}

// seconds reads delta-seconds; what is larger than 2^31-1 is that.
func seconds(s string) (int, *Error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, wrong(0, "no number of seconds")
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return math.MaxInt32, nil
	}
	return int(n), nil
}
