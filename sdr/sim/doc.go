// Package sim is an eNB and its phones in Go, complete from S1AP and NAS to
// IP, without the radio between them: what srsenb and srsue do with samples,
// ENB and Phone do with function calls. An MME, a gateway or a tower's agent
// cannot tell the difference, whoever wrote them.
//
// A Phone has a USIM that follows TS 33.102 annex C, keeps its NAS security
// context, and where asked runs an IP stack that really fetches. The package
// checks what a phone and an eNB check (MACs, replayed capabilities, K_eNB),
// so that a core which passes here has done its part.
package sim
