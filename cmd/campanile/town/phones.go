package town

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/console"
	"campanile.network/gateway"
	"campanile.network/mme"
	"campanile.network/wire/proof"
)

// phones tells of the MME's phones in the words of docs/api.md.
type phones struct {
	t     *Town
	whole bool // identities are not masked
}

// list gives a page of the phones that a query and first digits of an IMSI ask
// for.
func (p phones) list(q console.PhoneQuery, digits string) (out console.PhoneList, err error) {
	if err := q.Check(); err != nil {
		return out, err
	}
	names := p.t.towerNames()
	all := p.t.ues()
	out.Known = len(all)
	all = slices.DeleteFunc(all, func(u mme.UEInfo) bool {
		return !(q.State == "" || u.State.String() == q.State) || !strings.HasPrefix(u.IMSI.Digits(), digits) ||
			!(q.ENB == "" || u.ENB.String() == q.ENB || fmt.Sprintf("%#x", u.ENB.ID) == q.ENB || strconv.Itoa(int(u.ENB.ID)) == q.ENB) ||
			!(q.Tower == "" || names[u.Tower] == q.Tower || strings.HasPrefix(u.Tower.String(), q.Tower))
	})
	slices.SortFunc(all, func(a, b mme.UEInfo) int { return cmp.Compare(a.IMSI.Digits(), b.IMSI.Digits()) })
	out.Matched = len(all)
	if q.After != "" {
		i := slices.IndexFunc(all, func(u mme.UEInfo) bool { return phoneID(u.Number) == q.After })
		if i < 0 {
			return out, fmt.Errorf("after %q: no phone of this list has that id any more; begin anew", q.After)
		}
		all = all[i+1:]
	}
	if limit := cmp.Or(q.Limit, 100); len(all) > limit {
		all = all[:limit]
		out.Next = phoneID(all[limit-1].Number)
	}
	out.Phones = make([]console.PhoneLine, 0, len(all))
	for _, u := range all {
		d, _ := p.t.mme.Phone(u.IMSI)
		out.Phones = append(out.Phones, p.line(u, d.History, names))
	}
	return out, nil
}

// identity prints one, masked or whole.
func (p phones) identity(v interface {
	String() string
	Digits() string
},
) string {
	if p.whole {
		return v.Digits()
	}
	return v.String()
}

// find gives the phone of an id, or of an IMSI where those are known.
func (p phones) find(who string) (mme.Phone, bool) {
	if p.t.mme == nil {
		return mme.Phone{}, false
	}
	if n, ok := strings.CutPrefix(who, "p"); ok {
		v, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return mme.Phone{}, false
		}
		return p.t.mme.PhoneNumbered(v)
	}
	imsi, err := id.ParseIMSI(who)
	if err != nil {
		return mme.Phone{}, false
	}
	return p.t.mme.Phone(imsi)
}

// byID is find for those who are not to ask by IMSI.
func (p phones) byID(who string) (console.PhoneDetail, bool) {
	if !strings.HasPrefix(who, "p") {
		return console.PhoneDetail{}, false
	}
	d, ok := p.find(who)
	if !ok {
		return console.PhoneDetail{}, false
	}
	return p.detail(d), true
}

func phoneID(n uint64) string { return "p" + strconv.FormatUint(n, 10) }

func (t *Town) towerNames() map[proof.TowerKey]string {
	names := map[proof.TowerKey]string{}
	for _, w := range t.model.Towers() {
		names[w.Key] = w.Name
	}
	return names
}

func (p phones) line(u mme.UEInfo, history []mme.Past, names map[proof.TowerKey]string) console.PhoneLine {
	l := console.PhoneLine{ID: phoneID(u.Number), IMSI: p.identity(u.IMSI), State: u.State.String(), Since: u.Since.UTC(), Reason: u.Reason, Address: u.Address, APN: u.APN.String(),
		Tower: names[u.Tower]}
	if u.ENB != (id.GlobalENBID{}) {
		l.ENB, l.Cell, l.TAI = u.ENB.String(), u.Cell.String(), u.TAI.String()
	}
	if len(history) > 0 {
		l.Last = new(procedure(u, history[0]))
	}
	return l
}

func procedure(u mme.UEInfo, h mme.Past) console.Procedure {
	out := console.Procedure{At: h.At.UTC(), Procedure: h.Procedure, OK: h.Cause == "", Cause: h.Cause, TookMs: float64(h.Took.Microseconds()) / 1000, Why: h.Why}
	if h.Cell != 0 {
		out.Cell = id.ECGI{PLMN: u.Cell.PLMN, ECI: h.Cell}.String()
	}
	return out
}

func (p phones) detail(d mme.Phone) console.PhoneDetail {
	out := console.PhoneDetail{PhoneLine: p.line(d.UEInfo, d.History, p.t.towerNames()), TMSI: fmt.Sprintf("%08x", uint32(d.TMSI)), Notice: d.Notice, Security: d.Security,
		Segment: d.Segment, Heard: utc(d.Heard), UpdateDue: utc(d.Update), DetachAt: utc(d.Detach), DRX: d.DRX, EDRX: d.EDRX, PSM: d.PSM,
		Bearers: []console.PhoneBearer{}, History: []console.Procedure{}}
	if !d.MSISDN.IsZero() {
		out.MSISDN = p.identity(d.MSISDN)
	}
	if d.IMEI != (id.IMEI{}) {
		out.IMEI = p.identity(d.IMEI)
	}
	if !d.TicketUntil.IsZero() {
		out.Ticket, out.TicketUntil = d.Ticket.String(), d.TicketUntil.UTC()
	}
	if p.t.hss != nil {
		if s, ok := p.t.hss.Profile(d.IMSI); ok {
			out.APNs = accessPointWords(s)
		}
	}
	sessions := p.t.sessions()
	for _, b := range d.Bearers {
		s := sessions[b.Address]
		v := console.PhoneBearer{Linked: uint8(b.Linked), APN: b.APN.String(), Address: b.Address, Gateway: fteid(b.Gateway, b.UL),
			Bearer: console.Bearer{EBI: uint8(b.EBI), QCI: uint8(b.QCI), Active: b.DL != 0, Settled: s.Settled, Octets: console.Octets{UL: s.Count.ULOctets, DL: s.Count.DLOctets}, ULPackets: s.Count.ULPackets, DLPackets: s.Count.DLPackets}}
		if b.DL != 0 {
			v.ENB = fteid(b.ENB, b.DL)
		}
		out.Bearers = append(out.Bearers, v)
	}
	for _, h := range d.History {
		out.History = append(out.History, procedure(d.UEInfo, h))
	}
	return out
}

// sessions are the gateway's by the phone's address, where it runs here.
func (t *Town) sessions() map[netip.Addr]gateway.SessionInfo {
	out := map[netip.Addr]gateway.SessionInfo{}
	if t.gateway != nil {
		for _, s := range t.gateway.Sessions() {
			out[s.Address] = s
		}
	}
	return out
}

func fteid(a netip.Addr, t id.TEID) string { return fmt.Sprintf("%v/%v", a, t) }

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
