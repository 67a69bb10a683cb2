package meter

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// View is what a meter shows: both counts side by side.
type View struct {
	Operator  proof.OperatorKey
	Towers    []TowerView // by key
	Unsettled []Unsettled // what nobody is charged for, by reason
	Services  []Service   // what counts, by service: by name, first what is of none
}

// TowerView is one tower's account. Counts are inner IP octets since the store
// was made.
type TowerView struct {
	Tower     proof.TowerKey
	Connected bool
	Gateway   Counts        // as the gateway counted, in segments at this tower
	Counted   proof.Carried // what counts: arrived, under a ticket
	Measured  Counts        // as the tower counted
	Lag       proof.Carried // of Counted, not yet in a voucher
	Open      int           // segments not final

	Channel  uint64 // 0: none
	Prices   proof.Prices
	Reserve  proof.Amount
	Seq      uint64        // of the newest voucher
	Seen     uint64        // of the newest voucher the tower has confirmed
	Billed   proof.Carried // of the channel, in the newest voucher
	Amount   proof.Amount  // of the newest voucher
	Trouble  string        // what stands in the way of signing more, or ""
	Notice   link.Notice   // the tower's last word on whether it serves
	NoticeAt time.Time
	Notices  []link.Notice // what it said last, on anything, oldest first; not to be written to
	Said     uint64        // how many notices there have been ...
	Missed   uint64        // ... and how many the tower could not keep
	Radio    *link.Radio   // how it says its radio is; nil: it has not said
	RadioAt  time.Time
}

// Unsettled is octets nobody is charged for.
type Unsettled struct {
	Reason Reason
	Counts Counts
}

// Left is what a ticket still stands for; false: nothing has been told of it.
func (m *Meter) Left(id proof.TicketID) (proof.Carried, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tickets[id]
	if t == nil {
		return proof.Carried{}, false
	}
	return t.Cap.Less(t.Used), true
}

// Snapshot copies the state of all accounts.
func (m *Meter) Snapshot() View {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{Operator: m.self}
	for _, a := range m.accounts {
		ch, _ := m.Ledger.Channel(m.self, a.tower)
		t := TowerView{
			Tower: a.tower, Connected: m.links[a.tower] != nil, Gateway: a.Gateway, Counted: a.Counted, Measured: a.Tower,
			Lag: a.lag(), Open: openCount(a), Channel: ch.ID, Prices: ch.Prices, Reserve: ch.Reserve,
			Trouble: a.told, Notice: a.notices.Word, NoticeAt: a.notices.WordAt, Notices: a.notices.Last, Said: a.notices.Total, Missed: a.notices.Missed, Radio: a.radio, RadioAt: a.radioAt,
		}
		if a.Channel == ch.ID {
			t.Seq, t.Seen, t.Billed, t.Amount = a.Seq, a.Seen, a.Billed, a.Amount
		}
		v.Towers = append(v.Towers, t)
	}
	slices.SortFunc(v.Towers, func(a, b TowerView) int { return bytes.Compare(a.Tower[:], b.Tower[:]) })
	sums := map[Reason]Counts{}
	for r, o := range m.excused {
		sums[r] = o
	}
	for _, l := range m.loose {
		sums[l.Reason] = sums[l.Reason].plus(l.Count)
	}
	for r, o := range sums {
		v.Unsettled = append(v.Unsettled, Unsettled{r, o})
	}
	slices.SortFunc(v.Unsettled, func(a, b Unsettled) int { return bytes.Compare([]byte(a.Reason), []byte(b.Reason)) })
	for t, o := range m.services {
		v.Services = append(v.Services, Service{t, o})
	}
	slices.SortFunc(v.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Counts.Sum(), b.Counts.Sum()))
	})
	return v
}
