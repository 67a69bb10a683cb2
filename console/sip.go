package console

import (
	"encoding/json"
	"net/http"
	"time"
)

// SIP is what the SIP side does: GSM cells, phones and apps that are registered, calls
// and short messages. It has counts and causes and no content; numbers are masked.
type SIP struct {
	Stations []SIPStation `json:"stations"`
	Trunks   []SIPTrunk   `json:"trunks"`
	Phones   []SIPPhone   `json:"phones"`   // the 100 registered last, newest first
	Known    int          `json:"known"`    // how many are registered
	Calls    []SIPCall    `json:"calls"`    // that are on, newest first
	Ended    []SIPCall    `json:"ended"`    // the last 50, newest first
	Outcomes []Count      `json:"outcomes"` // of calls since the start
	Messages SIPMessages  `json:"messages"`
	Refused  []Count      `json:"refused"` // requests since the start, by reason
}

// Count is how often something was.
type Count struct {
	Name string `json:"name"` // "answered", "busy", "number is nobody's"
	N    uint64 `json:"n"`
}

// SIPStation is a base station that speaks SIP.
type SIPStation struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind"`  // "OpenBTS", "YateBTS", as it says; empty: it has not been heard
	Tower  string    `json:"tower"` // name of the tower that is paid
	Cells  []string  `json:"cells"`
	Phones int       `json:"phones"`
	Calls  int       `json:"calls"`
	Heard  time.Time `json:"heard"` // last; zero: never
	Air    string    `json:"air"`   // what it has measured this hour, in words; empty: it is not asked
}

// SIPTrunk is a way to other networks.
type SIPTrunk struct {
	Name  string `json:"name"`
	Up    bool   `json:"up"`
	Text  string `json:"text"` // "registered until 12:00:00", "no answer since 11:59:02"
	Calls int    `json:"calls"`
}

// SIPPhone is a phone or an app that is registered.
type SIPPhone struct {
	IMSI    string    `json:"imsi"`   // masked
	Number  string    `json:"number"` // masked
	Kind    string    `json:"kind"`   // "GSM", "app", "IMS"
	Station string    `json:"station"`
	Cell    string    `json:"cell"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
}

// SIPCall is a call.
type SIPCall struct {
	From    string    `json:"from"` // masked, as To is
	To      string    `json:"to"`
	Cells   string    `json:"cells"` // "001/01:03ef-000a → app"
	State   string    `json:"state"` // "ringing", "up", "held", "ended"
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"` // since it was answered
	Codec   string    `json:"codec"`   // "GSM ↔ PCMU"
	OK      bool      `json:"ok"`      // of one that has ended: as people wanted
	Cause   string    `json:"cause"`   // why it ended
}

// SIPMessages is what the message centre has done.
type SIPMessages struct {
	Waiting int       `json:"waiting"` // for their phones
	Oldest  time.Time `json:"oldest"`  // of them, when it came; zero: none waits
	Counts  []Count   `json:"counts"`  // since the start: "taken", "delivered", "expired", ...
}

// serveSIP answers what Options.SIP says.
func (s *Server) serveSIP(w http.ResponseWriter, _ *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
	w.Header().Set("Content-Type", "application/json")
	v := s.o.SIP()
	list(&v.Stations)
	list(&v.Trunks)
	list(&v.Phones)
	list(&v.Calls)
	list(&v.Ended)
	list(&v.Outcomes)
	list(&v.Messages.Counts)
	list(&v.Refused)
	json.NewEncoder(w).Encode(v)
}

// list makes of nothing a list of nothing, which is no null in JSON.
func list[T any](l *[]T) {
	if *l == nil {
		*l = []T{}
	}
}
