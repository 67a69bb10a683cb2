// Package sip reads, judges and writes messages of the Session Initiation
// Protocol (RFC 3261): requests and responses, their URIs, addresses, Via and
// CSeq header fields and parameters.
//
// Parse takes a datagram, ReadStream the next message of a connection; both
// copy what they keep. The header fields that a SIP element works with are
// fields of Message, all others are in its list Header, in their order. What a
// peer must not send is an *Error that says where it is and which status
// answers it; then Parse gives back what could be read, as far as there is
// somebody to answer. Check says what the header fields of a well-formed
// request ask for that an element does not do. So a message has the verdict
// that RFC 4475 and RFC 5118 want.
//
// Escapes are undone while reading and made while writing: strings are what is
// meant, not what was written. A string may therefore hold any octet at all,
// NUL and line ends as well, and Append writes none of them as themselves: what
// cannot be escaped is refused.
//
// What peers are known to write against the grammar is read where it can mean
// one thing only: a '#' in the user part, parameters with characters of a URI
// in them, names before an address without quotes.
//
// The package is octets in, values out: no sockets, transactions, timers,
// dialogs or authentication, and no random values.
package sip
