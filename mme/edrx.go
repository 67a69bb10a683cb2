package mme

import (
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// Times of the radio (TS 36.331 §5.2.2.7, TS 36.304 §7.3).
const (
	hyperFrame = 10240 * time.Millisecond
	pagingLead = time.Second // how long before its window a phone is paged; the eNB holds the message
)

// pagingEDRX tells the eNB what the phone was granted (TS 36.413 §9.2.1.111). The
// codings are those of NAS.
func pagingEDRX(v eps.Opt[eps.ExtendedDRX]) *s1ap.PagingEDRXInformation {
	if !v.OK {
		return nil
	}
	return &s1ap.PagingEDRXInformation{PagingEDRXCycle: s1ap.PagingEDRXCycle(v.V & 15), PagingTimeWindow: new(s1ap.PagingTimeWindow(v.V >> 4))}
}

// asleep is for how long a phone with extended DRX does not listen yet: until
// shortly before its paging time window (TS 36.304 §7.3, TS 23.682 §5.13a). since
// is when a hyper frame had the number 0.
func (p *page) asleep(t id.MTMSI, since time.Time) time.Duration {
	if !p.edrx.OK || p.edrx.V.Cycle() < hyperFrame {
		return 0
	}
	cycle := p.edrx.V.Cycle()
	start := windowStart(t, int(cycle/hyperFrame))
	at := (time.Since(since) - start) % cycle // into the cycle that begins with the window
	if at < 0 {
		at += cycle
	}
	if at < p.edrx.V.Window(false)-pagingLead {
		return 0
	}
	return max(cycle-at-pagingLead, 0)
}

// windowStart is how long after a hyper frame whose number is a multiple of frames
// a phone's paging time window begins (TS 36.304 §7.3).
func windowStart(t id.MTMSI, frames int) time.Duration {
	ue := int(frameCheck(uint32(t)) >> 22)
	quarter := ue / frames % 4
	return time.Duration(ue%frames)*hyperFrame + time.Duration(quarter)*hyperFrame/4
}

// frameCheck is the frame check sequence of 32 bits, the most significant first
// (TS 36.304 §B).
func frameCheck(v uint32) uint32 {
	r := v ^ 0xffffffff
	for range 32 {
		top := r >> 31
		r = r<<1 ^ top*0x04c11db7
	}
	return ^r
}
