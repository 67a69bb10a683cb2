// Package gtpc is an endpoint of GTPv2-C, the protocol between MME and
// gateway (TS 29.274): transactions with retransmission, answers repeated to
// repeated requests, sequence numbers, path supervision by Echo and restart
// counters (TS 23.007 §16.1A). The octets of information elements are
// go-gtp's codec; everything that has state is here.
//
// It knows nothing of sessions and bearers: those who use it are mme/s11 and
// gateway. GTPv2-C has no authentication; an endpoint belongs on a network
// that only the operator's own machines can send to.
package gtpc
