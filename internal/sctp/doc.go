// Package sctp carries messages between signalling peers over SCTP (RFC 9260). It knows nothing of what its messages mean.
//
// [Open] is the one door: an [Endpoint] over the operating system's SCTP, over our own stack in plain IP packets (protocol 132), or over our own
// stack in UDP (RFC 6951), which needs neither root nor a kernel module. Associations, listeners and endpoints are interfaces, the same over all
// three. [Pipe] is the same contract inside one process.
//
// Our own stack speaks INIT with signed cookies that leave no state behind, ordered streams, fragmentation, bundling, SACK with gap blocks and
// delay, fast retransmit, congestion and flow control, heartbeats, path MTU discovery (RFC 8899 with PAD chunks of RFC 4820), peers with
// several addresses and failover between them (RFC 7829), peer restart, graceful SHUTDOWN and ABORT. It is not a complete SCTP. What differs
// from RFC 9260, and why:
//
//	§5.1.2        own side has one address   several need one socket each; the kernel's SCTP does it
//	§6.1          unordered sending          nothing here wants it; unordered messages are received
//	§6.4          one window for all paths   a switch starts it anew (§7.2.1), so it is never larger than a path's own
//	§6.9          partial delivery           messages are bounded and handed out whole
//	§7.2.2        duplicates reported by the peer do not grow the window: slower, never faster
//	§8.4          rule 8 for a stray ERROR or INIT ACK   silence, as nobody needs the ABORT
//	§10           ICMP is ignored            anybody can forge it; silence and DPLPMTUD tell the same, later
//	§11.1         primitives for primary path, per-path settings, unsent messages   no user
//
// Over the operating system's SCTP (Linux), the same calls differ in this: Abort's reason stays on this side, as one-to-one sockets take no text with
// an ABORT; beyond a full backlog the kernel keeps as many newcomers again before it refuses them; [Stats] know only associations and notifications.
//
// Extensions not there: partial reliability (RFC 3758), address reconfiguration (RFC 5061), authentication (RFC 4895), interleaving (RFC 8260),
// ECN (RFC 4960 Appendix A), stream reconfiguration (RFC 6525). A peer that offers them is told so or ignored as their high bits ask (§3.2.1).
package sctp
