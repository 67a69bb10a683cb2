// Package sctp carries messages between signalling peers over SCTP (RFC 9260).
//
// Associations, listeners and endpoints are interfaces; behind them stands, so far, one back end of our own: a userspace, single-homed
// subset of RFC 9260 inside UDP datagrams (RFC 6951), which needs neither root nor a kernel module. It speaks INIT with signed cookies,
// several ordered streams, fragmentation, bundling, SACK with gap blocks, fast retransmit, congestion and flow control, heartbeats, peer
// restart, graceful SHUTDOWN and ABORT. [Pipe] is the same contract inside one process.
//
// It is not a complete SCTP: it uses one path (a multi-homed peer is understood, but its other addresses are only answered), and it has no
// partial reliability (RFC 3758), no address reconfiguration (RFC 5061), no chunk authentication (RFC 4895), no message interleaving
// (RFC 8260), no ECN and no path MTU discovery. It knows nothing of what its messages mean.
package sctp
