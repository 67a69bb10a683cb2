// Package calls carries calls between the phones of GSM cells, SIP apps and
// trunks to other networks: a back-to-back user agent (RFC 7092 §3.2.2) that
// routes by number or IMSI, lets speech go through a media relay of its own,
// and knows for each second at which cell it was spoken.
//
// One call is one goroutine, and reads as one procedure: route, ring, answer,
// talk. Everything that may come in between passes one place (call.interrupt),
// and one exit turns whatever ended it into a status for the caller, a BYE for
// who talks, a record and a count.
//
// It is no registrar: who somebody is and where he is reached it asks its
// Registry. It transfers nobody: a REFER is refused, for it would place calls at
// another's cost. It plays no announcements, takes no messages and holds no
// conferences. Reliable provisional responses (RFC 3262) and DTLS-SRTP
// (RFC 5763) it does not do: who insists on the one gets 420, on the other 488.
package calls
