// Package relay stands between eNBs and the core at a tower: it ends SCTP on
// both sides, decodes every S1AP message and puts its own transport addresses
// and tunnel identifiers in the place of those it finds, so that the user plane
// runs through it too; and it relays that user plane (GTP-U, TS 29.281) and
// counts what it relays.
//
// It is no MME and no gateway: it answers nothing by itself but echo requests,
// unknown tunnels, requests for bearers while it is closed, and messages about
// tunnels that it does not understand, which it must not pass on with another's
// addresses in them. Why it is closed is the agent's affair.
//
// # When one side is lost
//
// Each eNB has an association to the MME of its own. When either ends, by
// SHUTDOWN, ABORT, silence (as many retransmissions as the endpoint allows) or
// restart, the relay shuts the other down gracefully: srsenb notices a SHUTDOWN
// and no ABORT, so it is repeated for 10 s before there is one; a relay that
// stops takes 2 s. An eNB that comes while the MME is away is held with
// its S1 SETUP REQUEST for DialTime, in which the MME is dialed again and again,
// and is then shut down; srsenb waits 5 s for an answer and comes again 10 s
// later. So nobody has to restart an eNB. One that sends anything else first has
// not noticed an ABORT, of a relay that was killed, say, and is shut down.
// How soon silence is noticed is up to the endpoint: RTO.Max 6 s,
// Association.Max.Retrans 5 and HB.interval 10 s find it in half a minute, where
// the values of RFC 9260 §16 take minutes.
//
// # Hostile neighbours
//
// An eNB may name any phone in a PATH SWITCH REQUEST; tunnels that another eNB has
// move only with the MME's acknowledgement. Associations, contexts of an eNB,
// tunnels and counters are bounded.
//
// # What is rewritten
//
// The user plane's ends, where messages name them: InitialContextSetup,
// E-RABSetup, E-RABModify (transport information) and E-RABModificationIndication,
// HandoverRequest and its acknowledge, HandoverCommand and
// DownlinkS1cdma2000tunnelling (forwarding), PathSwitchRequest and its
// acknowledge. Everything else passes octet by octet, with these addresses in it
// that are none of the bearers': of X2 in Configuration Transfer, of trace
// collection, of local gateways in InitialUEMessage and UplinkNASTransport
// (LIPA, SIPTO: traffic that never leaves the tower), and what transparent
// containers hide.
//
// Tunnels end with UEContextReleaseComplete, failures of Initial Context Setup,
// handover and path switch, Reset of either side (by every id an item has; all
// at once without a list), Error Indications about unknown ids, bearers released
// or not admitted, and with the association; and with the gateway's End Marker, by
// which alone it is known that a phone has left by X2.
//
// Messages keep their streams where the other side has as many; else phones
// share the streams there are, never that of the common procedures.
package relay
