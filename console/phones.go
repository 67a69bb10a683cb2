package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PhoneQuery says which phones to list. Empty fields ask for all.
type PhoneQuery struct {
	State string // "deregistered", "attaching", "connected" or "idle"
	ENB   string // global eNB id, or its number alone
	Tower string // its name, or the first digits of its key
	After string // the id of the last phone of the page before
	Limit int    // phones on a page; 0 is 100, at most MaxPage
}

// MaxPage is how many phones a page of a list has at most.
const MaxPage = 1000

// PhoneList is a page of a list of phones, by IMSI.
type PhoneList struct {
	Phones  []PhoneLine `json:"phones"`
	Matched int         `json:"matched"` // on all pages
	Known   int         `json:"known"`   // phones the MME knows
	Next    string      `json:"next"`    // to ask for the next page after; "" on the last one
}

// PhoneLine is a phone in a list.
type PhoneLine struct {
	ID      string     `json:"id"`     // names the phone until the MME ends
	IMSI    string     `json:"imsi"`   // masked, unless its owner's own tool asks
	State   string     `json:"state"`  // "deregistered", "attaching", "connected", "idle"
	Since   time.Time  `json:"since"`  // of the state
	Reason  string     `json:"reason"` // why it is in this state
	Address netip.Addr `json:"address"`
	APN     string     `json:"apn"`
	Tower   string     `json:"tower"` // its name
	ENB     string     `json:"enb"`
	Cell    string     `json:"cell"`
	TAI     string     `json:"tai"`
	Last    *Procedure `json:"last"` // null: none has ended yet
}

// Procedure is one that has ended.
type Procedure struct {
	At        time.Time `json:"at"` // of its end
	Procedure string    `json:"procedure"`
	OK        bool      `json:"ok"`
	Cause     string    `json:"cause"`   // what the phone was told, or why it ended: "EMM cause #15"
	TookMs    float64   `json:"took_ms"` // milliseconds
	Cell      string    `json:"cell"`
	Why       string    `json:"why"` // for people; of the newest failure only
}

// PhoneDetail is all there is to tell of a phone.
type PhoneDetail struct {
	PhoneLine
	MSISDN      string    `json:"msisdn"` // masked likewise, as IMEI is
	IMEI        string    `json:"imei"`
	TMSI        string    `json:"m_tmsi"`
	Notice      string    `json:"notice"`   // why its data is not carried
	Security    string    `json:"security"` // "128-EEA2 128-EIA2"
	Ticket      string    `json:"ticket"`
	TicketUntil time.Time `json:"ticket_until"` // zero: no ticket
	Segment     uint32    `json:"segment"`      // number of the newest under the ticket

	// Of an idle phone: when it was last heard, when its next periodic update is
	// due and when it is detached if it does not come. Zero: does not apply.
	Heard     time.Time `json:"heard"`
	UpdateDue time.Time `json:"update_due"`
	DetachAt  time.Time `json:"detach_at"`

	DRX  int    `json:"drx_frames"` // its own paging cycle, in radio frames of 10 ms; 0: the cell's
	EDRX string `json:"edrx"`       // granted extended DRX
	PSM  string `json:"psm"`        // granted power saving mode

	// APNs are the access points of the subscription, the default one first, in words
	// such as ims,qci=5; none where the subscribers are elsewhere.
	APNs    []string      `json:"apns,omitempty"`
	Bearers []PhoneBearer `json:"bearers"`
	History []Procedure   `json:"history"` // newest first, at most 32
}

// PhoneBearer is an EPS bearer with its tunnel. Counts are the gateway's, of the
// PDN connection since it was set up, where the gateway runs here.
type PhoneBearer struct {
	Bearer
	Linked  uint8      `json:"linked"` // the default bearer of its PDN connection
	APN     string     `json:"apn"`
	Address netip.Addr `json:"address"`
	Gateway string     `json:"gateway"` // address and TEID of S1-U, uplink
	ENB     string     `json:"enb"`     // downlink; "": no radio bearer stands
}

// servePhones answers a PhoneList.
func (s *Server) servePhones(w http.ResponseWriter, r *http.Request) {
	q, err := phoneQuery(r)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	list, err := s.o.Phones(q)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// servePhone answers a PhoneDetail.
func (s *Server) servePhone(w http.ResponseWriter, r *http.Request) {
	p, ok := s.o.Phone(r.PathValue("id"))
	if !ok {
		writeJSON(w, http.StatusNotFound, problem{fmt.Sprintf("no phone has the id %q; ids hold until the MME ends, a list has those of now", r.PathValue("id"))})
		return
	}
	writeJSON(w, http.StatusOK, p)
}

// serveAPNs gives a phone other access points: words in the body, asked by this page
// only, from this machine only.
func (s *Server) serveAPNs(w http.ResponseWriter, r *http.Request) {
	if s.o.SetAPNs == nil {
		answer(w, http.StatusNotFound, "", "access points are set where the subscribers are")
		return
	}
	if why := stranger(r); why != "" {
		s.log.Warn("console: access points refused", "reason", why, "remote", r.RemoteAddr)
		answer(w, http.StatusForbidden, "", why)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWords))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, "", fmt.Sprintf("more than %d octets", maxWords))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), claimWithin)
	defer cancel()
	text, err := s.o.SetAPNs(ctx, r.PathValue("id"), strings.Fields(string(body)))
	if err != nil {
		answer(w, http.StatusBadRequest, "", err.Error())
		return
	}
	answer(w, http.StatusOK, text, "")
}

// maxWords bounds the body of serveAPNs, in octets.
const maxWords = 8 << 10

// problem is what an answer other than 200 has.
type problem struct {
	Error string `json:"error"`
}

func phoneQuery(r *http.Request) (q PhoneQuery, err error) {
	into := map[string]*string{"state": &q.State, "enb": &q.ENB, "tower": &q.Tower, "after": &q.After, "limit": nil}
	for name, values := range r.URL.Query() {
		to, known := into[name]
		if !known || len(values) != 1 {
			return q, fmt.Errorf("parameter %q: want each of state, enb, tower, after and limit at most once", name)
		}
		if to != nil {
			*to = values[0]
			continue
		}
		if q.Limit, err = strconv.Atoi(values[0]); err != nil {
			return q, fmt.Errorf("limit %q is no number", values[0])
		}
	}
	return q, q.Check()
}

// Check says what is wrong with a query.
func (q PhoneQuery) Check() error {
	if states := []string{"", "deregistered", "attaching", "connected", "idle"}; !slices.Contains(states, q.State) {
		return fmt.Errorf("state %q: want %s", q.State, strings.Join(states[1:], ", "))
	}
	if q.Limit < 0 || q.Limit > MaxPage {
		return fmt.Errorf("limit %d: want 1 to %d", q.Limit, MaxPage)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
