package sip

import "strings"

// field is a header field that is a field of Message.
type field uint8

// Those before lists stand in a message once.
const (
	other field = iota
	from
	to
	callID
	cseq
	maxForwards
	expires
	contentType
	contentLength
	lists
	via
	contact
	route
	recordRoute
	fieldCount
)

// names are the long names of fields.
var names = [fieldCount]string{from: "From", to: "To", callID: "Call-ID", cseq: "CSeq", maxForwards: "Max-Forwards", expires: "Expires",
	contentType: "Content-Type", contentLength: "Content-Length", via: "Via", contact: "Contact", route: "Route", recordRoute: "Record-Route"}

// compact are the one-letter names of RFC 3261 §7.3.3 and its extensions, in
// the order of the alphabet; empty: there is none.
var compact = [26]string{"Accept-Contact", "Referred-By", "Content-Type", "Request-Disposition", "Content-Encoding", "From", "", "", "Call-ID",
	"Reject-Contact", "Supported", "Content-Length", "Contact", "Identity-Info", "Event", "", "", "Refer-To", "Subject", "To", "Allow-Events",
	"Via", "", "Session-Expires", "Identity", ""}

// known finds the field of a name, in any case, and its long name.
func known(name string) (field, string) {
	if len(name) == 1 {
		if c := name[0] | 0x20; c >= 'a' && c <= 'z' && compact[c-'a'] != "" {
			name = compact[c-'a']
		}
	}
	var f field
	switch len(name) {
	case 2:
		f = to
	case 3:
		f = via
	case 4:
		if f = from; name[0]|0x20 == 'c' {
			f = cseq
		}
	case 5:
		f = route
	case 7:
		switch name[1] | 0x20 {
		case 'a':
			f = callID
		case 'o':
			f = contact
		default:
			f = expires
		}
	case 12:
		switch name[0] | 0x20 {
		case 'm':
			f = maxForwards
		case 'c':
			f = contentType
		default:
			f = recordRoute
		}
	case 14:
		f = contentLength
	}
	if f != other && (name == names[f] || strings.EqualFold(name, names[f])) {
		return f, names[f]
	}
	return other, name
}
