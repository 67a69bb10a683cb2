// Package bts is a virtual GSM cell and its phones, as a SIP gateway sees them:
// OpenBTS, old and new, or YateBTS, with SIMs that answer challenges, phones that
// store the messages they confirm, calls that carry frames of GSM full rate, USSD,
// and handovers to another cell. Tests, the demonstration and make run have it
// where there is no radio.
//
// A Cell speaks SIP over UDP in the dialect of its program, with the header
// fields and the habits that those programs have; a Phone is a handset with a
// card, and does what its user wants of it. There is no radio between the two,
// no layer 3 of GSM, no ciphering: Kc is compared with the card's and not used.
package bts
