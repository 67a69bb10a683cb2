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
	n, ok := number(v, math.MaxInt32)
	if !ok {
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

// String is the address as a header field has it. For one in Message.Header:
// Append refuses there what would not be one line.
func (a Address) String() string {
	var b []byte
	if a.Name != "" {
		b = append(appendQuoted(b, a.Name), ' ')
	}
	b = append(a.URI.Append(append(b, '<')), '>')
	return string(a.Params.append(b))
}

// ParseAddress reads one address with its parameters.
func ParseAddress(s string) (Address, error) {
	c := cursor{s: strings.Trim(s, " \t")}
	var a Address
	if err := c.only(&a); err != nil {
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

// only reads one address and nothing behind it.
func (c *cursor) only(a *Address) *Error {
	if err := c.address(a); err != nil {
		return err
	}
	if c.more() {
		return c.fail("something stands behind the address")
	}
	return nil
}

// addresses reads a list to its end.
func (c *cursor) addresses(list []Address) ([]Address, *Error) {
	for {
		if len(list) == maxList {
			return list, c.fail("too many addresses")
		}
		list = append(list, Address{})
		if err := c.address(&list[len(list)-1]); err != nil {
			return list[:len(list)-1], err
		}
		if !c.take(',') {
			break
		}
	}
	if c.more() {
		return list, c.fail("something stands behind the address")
	}
	return list, nil
}

// address takes name-addr or addr-spec, and parameters.
func (c *cursor) address(a *Address) (err *Error) {
	c.skip()
	if c.at('"') {
		if a.Name, err = c.quoted(); err != nil {
			return err
		}
		if c.skip(); !c.at('<') {
			return c.fail("no < behind the display name")
		}
	}
	if c.at('<') {
		c.i++
		if err = c.bracketed(&a.URI); err == nil {
			a.Params, err = c.params()
		}
		return err
	}
	// A name without quotes should be tokens, and is whatever leaves no doubt where it ends.
	if end := c.i + strings.IndexByte(c.s[c.i:], '<'); end >= c.i && !strings.ContainsAny(c.s[c.i:end], `,;"`) {
		if a.Name = strings.TrimRight(c.s[c.i:end], " \t"); control(a.Name) >= 0 {
			return c.fail("a control character in the display name")
		}
		c.i = end + 1
		err = c.bracketed(&a.URI)
	} else {
		err = c.bare(&a.URI)
	}
	if err == nil {
		a.Params, err = c.params()
	}
	return err
}

// bracketed takes a URI and the > behind it.
func (c *cursor) bracketed(u *URI) *Error {
	if err := c.uri(u); err != nil {
		return err
	}
	if !c.at('>') {
		return c.fail("no > behind the URI")
	}
	c.i++
	return nil
}

// bare takes a URI without brackets: what follows a ';' are parameters of the
// header field, and there is no ',' or '?' in it (RFC 3261 §20).
func (c *cursor) bare(u *URI) *Error {
	end := c.i
	for end < len(c.s) && !strings.ContainsRune(";, \t?", rune(c.s[end])) {
		end++
	}
	if end < len(c.s) && c.s[end] == '?' {
		c.i = end
		return c.fail("a URI with a ? needs < and >")
	}
	return c.part(u, end)
}

// part reads what lies before end as a URI.
func (c *cursor) part(u *URI, end int) (err *Error) {
	whole := c.s
	c.s = whole[:end]
	if err = c.uri(u); err == nil && c.more() {
		err = c.fail("a character that no URI has here")
	}
	c.s = whole
	return err
}

// seconds reads delta-seconds; what is larger than 2^31-1 is that.
func seconds(s string) (int, *Error) {
	n, ok := number(s, math.MaxInt32)
	if !ok {
		return 0, wrong(0, "no number of seconds")
	}
	return n, nil
}

// number reads digits. What is larger than most, is most.
func number(s string, most int) (n int, ok bool) {
	var v int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = min(v*10+int64(s[i]-'0'), int64(most))
	}
	return int(v), s != ""
}
