package mme

import "time"

// timer is a network timer of a procedure: how long one wait lasts and how
// often the request is sent altogether.
type timer struct {
	name  string
	wait  time.Duration
	sends int
}

// Timers of TS 24.301 §10.2 table 10.2.2 and §10.3 table 10.3.2. The number of
// sends follows from "repeated four times, on the fifth expiry abort" and
// "repeated twice, on the third expiry abort" (T3489).
var (
	t3422 = timer{"T3422", 6 * time.Second, 5} // Detach Request
	t3450 = timer{"T3450", 6 * time.Second, 5} // Attach Accept
	t3460 = timer{"T3460", 6 * time.Second, 5} // Authentication Request, Security Mode Command
	t3470 = timer{"T3470", 6 * time.Second, 5} // Identity Request
	t3489 = timer{"T3489", 4 * time.Second, 3} // ESM Information Request
	t3485 = timer{"T3485", 8 * time.Second, 5} // Activate Default or Dedicated EPS Bearer Context Request
	t3486 = timer{"T3486", 8 * time.Second, 5} // Modify EPS Bearer Context Request
	t3495 = timer{"T3495", 8 * time.Second, 5} // Deactivate EPS Bearer Context Request
	tc1   = timer{"TC1*", 10 * time.Second, 3} // CP-DATA; repeated one to three times (TS 24.011 §5.3.2.1)
	t3413 = timer{"T3413", 5 * time.Second, 3} // Paging; the value is the network's own (TS 24.301 §5.6.2.2)
)

// Timers of the relay layer (TS 24.011 §10): TR1N for the phone's answer to a short
// message, 35 to 45 s; TR2N for the centre's to one of the phone's, 12 to 20 s.
const (
	tr1nWait = 40 * time.Second
	tr2nWait = 20 * time.Second
)

// Timers of an idle phone (TS 24.301 §5.3.5): the mobile reachable timer is T3412
// and a margin; then the phone is paged no more, and after another wait detached.
const (
	reachableMargin    = 4 * time.Minute
	implicitDetachWait = 4 * time.Minute
)

// resetGuard is the guard timer of Reset by the MME, and how often it is sent
// (TS 36.413 §8.7.1.4 leaves both to the MME).
var resetGuard = timer{"Reset guard timer", 5 * time.Second, 3}

// updateGuard is the guard timer of MME Configuration Update, and how often it is
// sent (TS 36.413 §8.7.5.4 leaves both to the MME).
var updateGuard = timer{"MME Configuration Update guard timer", 5 * time.Second, 3}

// S1AP has no timers of its own on the MME's side (TS 36.413 §9.5 names the
// eNB's); these bound how long an eNB may keep a phone's goroutine waiting.
const (
	contextSetupWait        = 10 * time.Second // Initial Context Setup Response
	contextModificationWait = 10 * time.Second // UE Context Modification Response
	contextReleaseWait      = 5 * time.Second  // UE Context Release Complete
	handoverPrepareWait     = 5 * time.Second  // Handover Request Acknowledge; less than eNBs give the whole preparation (TS1RELOCprep; srsRAN's 10 s)
	handoverArriveWait      = 12 * time.Second // Handover Notify; more than eNBs wait for the end (TS1RELOCoverall; srsRAN's 10 s)
	arriveGrace             = 2 * time.Second  // the same, after the source has let the phone go
	forwardAskWait          = 1 * time.Second  // the gateway's answer to Create Indirect Data Forwarding Tunnel Request
	forwardWait             = 1 * time.Second  // for the source to forward what reached it too late
	setupWait               = 30 * time.Second // first S1 Setup Request of an association
	refusedWait             = 2 * time.Minute  // another S1 Setup Request after a refusal
	sendWait                = 5 * time.Second  // room in an association's send buffer
	admitWait               = 5 * time.Second  // Towers.Admit
	probeWait               = 2 * time.Second  // a word of an eNB that may have restarted; srsRAN's wait 5 s for their S1 Setup
	recallTry               = 10 * time.Second // first attempt at an eNB that is called back; the next lasts twice as long
	recallFor               = 10 * time.Minute // all attempts: by then its own SCTP has given the association up
	recalledWait            = 1 * time.Second  // S1 Setup Request of an eNB that happened to come when it was called
	drainWait               = 2 * time.Second  // procedures under way when the MME stops
	shutdownWait            = 3 * time.Second  // SCTP SHUTDOWN of an association
)
