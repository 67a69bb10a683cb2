// Package sim is an eNB and its phones in Go, complete from S1AP and NAS to
// IP, without the radio between them: what srsenb and srsue do with samples,
// ENB and Phone do with function calls. An MME, a gateway or a tower's agent
// cannot tell the difference, whoever wrote them.
//
// Phones walk between cells and eNBs, and do by themselves what TS 24.301 says a
// phone does: they update their tracking area, by T3412 and where they come to
// another one, answer paging, and attach again where a network asks for it. They
// are handed over between eNBs while connected, through the MME and over X2, and
// have one bearer.
//
// With SRSENB and SRSUE, eNB and phone are as simple as srsRAN's, whose habits
// decide whether a core works with radios that people have.
//
// A Phone has a USIM that follows TS 33.102 annex C, keeps its NAS security
// context, and where asked runs an IP stack that really fetches. The package
// checks what a phone and an eNB check (MACs, replayed capabilities, K_eNB),
// so that a core which passes here has done its part.
package sim
