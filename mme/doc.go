// Package mme is the mobility management entity: S1AP towards eNBs, NAS towards
// phones, TS 24.301 and TS 36.413 as procedures in Go.
//
// A phone in connected mode is owned by one goroutine (conn). A procedure of
// TS 24.301 is a function of that goroutine: it sends, waits with the
// procedure's timer, and returns an error that knows its cause; attach.go reads
// like the figure of the specification. Every wait passes what it did not wait
// for to one function, interrupt, which knows all collisions. Every procedure
// ends in one function, settle, which turns an error into a reject message, a
// log line and a count. A phone in idle mode is plain data in the registry.
//
// Every S1 message carries the leg (the S1 connection) it came by. A phone may
// have two legs for a moment: a message on a new leg that names a known S-TMSI
// is verified before it may disturb the goroutine that owns the phone.
//
// A phone in idle mode says where it is when it leaves its list of tracking areas,
// and every T3412; one that is not heard of is paged no more and then detached.
// What is ordered of an idle phone, such as to be detached, waits in the registry
// while it is paged.
//
// Short messages (sms.go, smsline.go) go beside all procedures: each is a goroutine
// of its own, with the CP and RP layers of TS 24.011 as a function that sends and
// waits, through the connection of its phone. A message centre is behind Messages.
//
// An eNB is one association with S1 Setup done. It keeps its global id for as long
// as it answers: another that claims it is refused, while one that has restarted
// is taken at once or, if its former association is half open, two seconds later.
//
// The package asks a home for challenges and leases (wire/home), a gateway for
// sessions (Gateway) and a register of towers for admission (Towers). It is not
// an HSS, moves no user data and knows no ledger. What it knows of phones is in
// records that a Store keeps (persist.go): after a restart, which may have come at
// any instant, they go on with the keys, names and addresses they have.
package mme
