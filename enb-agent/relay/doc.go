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
package relay
