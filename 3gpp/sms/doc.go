// Package sms has the short message service point to point, layer by layer:
// CP of TS 24.011 (between a phone and its MSC or MME), RP of TS 24.011
// (between a phone and its network), and the six transfer layer messages of
// TS 23.040 (between a phone and a service centre). Octets in, typed values
// out, and back.
//
// Each layer has a parser of its own (ParseCP, ParseRP, Parse); Append and Tree
// work on messages of all layers. A message is read, written and shown by one
// list of its fields, the specification's table. Nothing is lost: what parses
// is appended to the very same octets, reserved bits and octets behind the
// known fields included; the values of addresses, time stamps, coding schemes
// and user data are kept as they came and explain themselves through methods.
//
// Split makes of a text as many parts as it needs, Join and Joiner make one
// text of parts again.
//
// The package keeps no timers, transactions, stores or queues, decides nothing
// about retries or charging, and reads no clock: a Joiner is told the time.
package sms
