package town

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/console"
	"campanile.network/sip/calls"
	pb "campanile.network/wire/corepb"
)

// shownPhones is how many registrations the console shows.
const shownPhones = 100

// sipView is what the SIP side does, for the console and the operator's verbs.
func (t *Town) sipView(phones int) console.SIP {
	var v console.SIP
	g := t.ways.sip.Load()
	if g == nil {
		return v
	}
	busy := map[string]int{}
	for _, r := range t.calls.Calls() {
		v.Calls = append(v.Calls, showCall(r))
		for _, s := range []calls.Side{r.Caller, r.Called} {
			busy[s.Station]++
		}
	}
	for _, r := range t.pastCalls.newest() {
		v.Ended = append(v.Ended, showCall(r))
	}
	for _, s := range g.Stations() {
		st := console.SIPStation{Name: s.Name, Kind: s.Says, Phones: s.Phones, Calls: busy[s.Name], Heard: s.Heard, Air: t.air.say(s.Name)}
		if w, ok := t.model.Tower(s.Tower); ok {
			st.Tower = w.Name
		}
		for _, c := range s.Cells {
			st.Cells = append(st.Cells, c.String())
		}
		v.Stations = append(v.Stations, st)
	}
	for _, r := range g.Registrations(phones) {
		v.Phones = append(v.Phones, console.SIPPhone{IMSI: r.IMSI.String(), Number: r.MSISDN.String(), Kind: r.Kind, Station: r.Station, Cell: r.Cell, Since: r.Registered, Expires: r.Expires})
	}
	s := g.Stats()
	for _, n := range s.Registered {
		v.Known += n
	}
	v.Refused = append(counted(s.Refusals), counted(s.Refused)...)
	c := t.calls.Stats()
	v.Outcomes = counted(c.Ended)
	for _, tr := range c.Trunks {
		text := tr.Why
		if text == "" && !tr.Registered.IsZero() {
			text = "registered until " + tr.Registered.Format(time.TimeOnly)
		}
		v.Trunks = append(v.Trunks, console.SIPTrunk{Name: tr.Name, Up: tr.Up, Text: text, Calls: tr.Calls})
	}
	if t.centre != nil {
		m := t.centre.Stats()
		v.Messages = console.SIPMessages{Waiting: m.Waiting, Counts: append(counted(m.Submitted), counted(m.Finished)...)}
		if m.Waiting > 0 {
			v.Messages.Oldest = time.Now().Add(-m.Oldest)
		}
	}
	return v
}

// counted are counts by name, the largest first.
func counted(m map[string]uint64) []console.Count {
	var out []console.Count
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, console.Count{Name: name, N: m[name]})
	}
	slices.SortStableFunc(out, func(a, b console.Count) int { return cmp.Compare(b.N, a.N) })
	return out
}

// showCall tells of a call without its numbers.
func showCall(r calls.Record) console.SIPCall {
	c := console.SIPCall{From: showSide(r.Caller), To: showSide(r.Called), Cells: where(r.Caller) + " → " + where(r.Called), State: "ringing", Began: r.Start, Codec: formats(r.Formats)}
	if r.Called.IMSI.IsZero() && r.Called.Trunk == "" && !r.Dialled.IsZero() {
		c.To = r.Dialled.String()
	}
	if r.Emergency {
		c.To = "emergency"
	}
	end := r.End
	if end.IsZero() {
		end = time.Now()
	}
	if !r.Answer.IsZero() {
		c.State, c.Seconds, c.OK = "up", end.Sub(r.Answer).Seconds(), true
	}
	if !r.End.IsZero() {
		c.State, c.Cause = "ended", r.Why
		if r.Status != 0 {
			c.Cause = fmt.Sprintf("%s (%d)", r.Why, r.Status)
		}
	}
	return c
}

func showSide(s calls.Side) string {
	switch {
	case !s.Number.IsZero():
		return s.Number.String()
	case !s.IMSI.IsZero():
		return s.IMSI.String()
	}
	return cmp.Or(s.Trunk, "unknown")
}

// where is by what a side is reached: its cells, or the way.
func where(s calls.Side) string {
	var cells []string
	for _, at := range s.Stays {
		cells = append(cells, at.Cell.String())
	}
	return cmp.Or(strings.Join(cells, ", "), s.Trunk, s.Access.String())
}

// formats are what the two sides speak.
func formats(f [2]string) string {
	if f[0] == f[1] || f[1] == "" {
		return f[0]
	}
	return f[0] + " ↔ " + f[1]
}

// ListSIP answers campanile sip.
func (h handset) ListSIP(_ context.Context, q *pb.SIPRequest) (*pb.PhonesReply, error) {
	if h.t.ways.sip.Load() == nil {
		return nil, status.Error(codes.FailedPrecondition, "no SIP gateway runs here: is sip.listen empty, or is it in another home?")
	}
	b, err := json.Marshal(h.t.sipView(int(min(q.Limit, 100_000))))
	return &pb.PhonesReply{Json: b}, err
}

// consoleSIP is the console's page of calls, where there is a SIP gateway.
func (t *Town) consoleSIP() func() console.SIP {
	if !t.set.sip.on() {
		return nil
	}
	return func() console.SIP { return t.sipView(shownPhones) }
}
