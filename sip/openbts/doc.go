// Package openbts takes what an OpenBTS has: its subscribers, out of the SQLite
// file that sipauthserve and Asterisk shared (SubscriberRegistry), and what it
// measures of the air (its PhysicalStatus events), kept as evidence of coverage.
//
// It is no registrar and speaks no SIP: sip/sipgw does. It writes no database.
package openbts
