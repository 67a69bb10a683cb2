package sms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/conformance"
	"campanile.network/3gpp/internal/tshark"
)

// A view is what tshark has to show of a field, in the order of its
// occurrences.
type view map[string][]string

func (r view) add(name string, value any) {
	if b, ok := value.(bool); ok {
		value = map[bool]int{true: 1}[b]
	}
	r[name] = append(r[name], lineEnds.Replace(fmt.Sprint(value)))
}

// lineEnds makes line ends those that XML has.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func (r view) hex(name string, value uint8) { r.add(name, fmt.Sprintf("0x%02x", value)) }

// read adds what tshark has to show of m and all in it.
func (r view) read(t *testing.T, m Message) {
	t.Helper()
	switch m := m.(type) {
	case *CPData:
		r.cp(m.TI, codeCPData)
		r.read(t, must(m.RP()))
	case *CPAck:
		r.cp(m.TI, codeCPAck)
	case *CPError:
		r.cp(m.TI, codeCPError)
		r.add("gsm_a.dtap.cp_cause", uint8(m.Cause))
	case *RPData:
		r.rp(0, m.Direction, m.Reference)
		for _, a := range []Address{m.Originator, m.Destination} {
			if !a.IsZero() {
				r.add("gsm_a.dtap.cld_party_bcd_num", a.Digits())
				r.hex("gsm_a.dtap.type_of_number", uint8(a.Type()))
				r.hex("gsm_a.dtap.numbering_plan_id", uint8(a.Plan()))
			}
		}
		r.read(t, must(m.TPDU()))
	case *RPAck:
		r.rp(2, m.Direction, m.Reference)
		if m.User != nil {
			r.read(t, must(m.TPDU()))
		}
	case *RPError:
		r.rp(4, m.Direction, m.Reference)
		r.add("gsm_a.rp.cause", uint8(m.Cause))
		if m.User != nil {
			r.read(t, must(m.TPDU()))
		}
	case *RPSMMA:
		r.rp(6, Uplink, m.Reference)
	case TPDU:
		r.tpdu(m)
	}
}

func (r view) cp(ti TI, code uint8) {
	r.add("gsm_a.dtap.tio", ti.Value)
	r.add("gsm_a.dtap.ti_flag", ti.Flag)
	r.hex("gsm_a.dtap.msg_sms_type", code)
}

func (r view) rp(code uint8, d Direction, reference uint8) {
	if d == Downlink {
		code++
	}
	r.hex("gsm_a.rp.msg_type", code)
	r.hex("gsm_a.rp.rp_message_reference", reference)
}

func (r view) tpdu(m TPDU) {
	switch m := m.(type) {
	case *Deliver:
		r.add("gsm_sms.tp-mti", 0)
		r.add("gsm_sms.tp-mms", !m.MoreMessages)
		r.add("gsm_sms.tp-lp", m.LoopPrevention)
		r.add("gsm_sms.tp-sri", m.StatusReport)
		r.add("gsm_sms.tp-rp", m.ReplyPath)
		r.address("gsm_sms.tp-oa", m.Originator)
		r.scheme(m.PID, m.DCS)
		r.stamp(m.Timestamp)
		r.user(m.DCS, m.User)
	case *DeliverReport:
		r.add("gsm_sms.tp-mti", 0)
		r.failure(m.Failure)
		r.optional(m.Optional)
	case *Submit:
		r.add("gsm_sms.tp-mti", 1)
		r.add("gsm_sms.tp-rd", m.RejectDuplicates)
		r.add("gsm_sms.tp-vpf", uint8(m.Validity.Format()))
		r.add("gsm_sms.tp-srr", m.StatusReport)
		r.add("gsm_sms.tp-rp", m.ReplyPath)
		r.add("gsm_sms.tp-mr", m.Reference)
		r.address("gsm_sms.tp-da", m.Destination)
		r.scheme(m.PID, m.DCS)
		r.validity(m.Validity)
		r.user(m.DCS, m.User)
	case *SubmitReport:
		r.add("gsm_sms.tp-mti", 1)
		r.failure(m.Failure)
		r.stamp(m.Timestamp)
		r.optional(m.Optional)
	case *StatusReport:
		r.add("gsm_sms.tp-mti", 2)
		r.add("gsm_sms.tp-mms", !m.MoreMessages)
		r.add("gsm_sms.tp-srq", m.ForCommand)
		r.add("gsm_sms.tp-mr", m.Reference)
		r.address("gsm_sms.tp-ra", m.Recipient)
		r.stamp(m.Timestamp)
		r.stamp(m.Discharge)
		r.add("gsm_sms.dis_field.definition", m.Status > 0x7f)
		r.hex("gsm_sms.dis_field.st_error", uint8(m.Status)>>5&3)
		r.hex("gsm_sms.dis.field_st_reason", uint8(m.Status)&0x1f)
		r.optional(m.Optional)
	case *Command:
		r.add("gsm_sms.tp-mti", 2)
		r.add("gsm_sms.tp-srr", m.StatusReport)
		r.add("gsm_sms.tp-mr", m.Reference)
		r.add("gsm_sms.tp-pid", uint8(m.PID))
		r.add("gsm_sms.tp.command_type", uint8(m.Type))
		r.add("gsm_sms.tp.message_number", m.Number)
		r.address("gsm_sms.tp-da", m.Destination)
		r.add("gsm_sms.tp.command_data_length", m.Data.Length)
		r.add("gsm_sms.tp-udhi", m.Data.HasHeader)
	}
}

func (r view) scheme(p PID, d DCS) {
	r.add("gsm_sms.tp-pid", uint8(p))
	r.add("gsm_sms.tp-dcs", uint8(d))
}

func (r view) failure(f Opt[FailureCause]) {
	if f.OK {
		r.hex("gsm_sms.tp-fcs", uint8(f.V))
	}
}

func (r view) optional(o Optional) {
	if o.PID.OK {
		r.add("gsm_sms.tp-pid", uint8(o.PID.V))
	}
	if o.DCS.OK {
		r.add("gsm_sms.tp-dcs", uint8(o.DCS.V))
	}
	if o.User.OK {
		r.user(o.DCS.V, o.User.V)
	}
}

func (r view) address(name string, a Address) {
	r.add(name, strings.TrimPrefix(a.Number(), "+"))
	r.add("gsm_sms.dis_field_addr.num_type", uint8(a.Type()))
	r.add("gsm_sms.dis_field_addr.num_plan", uint8(a.Plan()))
	r.add("gsm_sms.dis_field_addr.length", a.length)
}

func (r view) stamp(s Timestamp) {
	at, _ := s.Time()
	for _, f := range []struct {
		name  string
		value int
	}{{"year", at.Year() % 100}, {"month", int(at.Month())}, {"day", at.Day()}, {"hour", at.Hour()}, {"minutes", at.Minute()}, {"seconds", at.Second()}} {
		r.add("gsm_sms.scts."+f.name, f.value)
	}
	_, zone := at.Zone()
	r.add("gsm_sms.scts.timezone", max(zone, -zone)/900)
}

func (r view) validity(v Validity) {
	switch {
	case v.format == ValidityRelative:
		r.add("gsm_sms.vp.validity_period", v.value[0])
	case v.format == ValidityAbsolute:
		r.stamp(Timestamp(v.value))
	case v.format == ValidityEnhanced:
		r.add("gsm_sms.vp.single_shot_sm", v.SingleShot())
		r.add("gsm_sms.vp.validity_period_format", v.value[0]&7)
		d, _ := v.Period()
		switch v.value[0] & 7 {
		case enhancedRelative:
			r.add("gsm_sms.vp.validity_period", v.value[1])
		case enhancedSeconds:
			r.add("gsm_sms.vp.validity_period", int(d.Seconds()))
		case enhancedClock:
			r.add("gsm_sms.vp.validity_period.hour", int(d.Hours()))
			r.add("gsm_sms.vp.validity_period.minutes", int(d.Minutes())%60)
			r.add("gsm_sms.vp.validity_period.seconds", int(d.Seconds())%60)
		}
	}
}

func (r view) user(d DCS, u UserData) {
	r.add("gsm_sms.tp-udhi", u.HasHeader)
	r.add("gsm_sms.tp.user_data_length", u.Length)
	h, _ := u.Header()
	for iei, data := range h.All() {
		r.hex("gsm_sms.ie_identifier", uint8(iei))
		one := UDH{}.With(iei, data...)
		if c, ok := one.Concatenation(); ok {
			r.add("gsm_sms.udh.mm.msg_id", c.Reference)
			r.add("gsm_sms.udh.mm.msg_parts", c.Total)
			r.add("gsm_sms.udh.mm.msg_part", c.Number)
		}
		if p, ok := one.Ports(); ok {
			r.add("gsm_sms.destination_port", p.Destination)
			r.add("gsm_sms.originator_port", p.Originator)
		}
		for _, c := range one.Counts() {
			r.add("gsm_sms.msg_ind_type_and_stor", c.Store)
			r.add("gsm_sms.profile_id", c.Profile)
			r.add("gsm_sms.msg_count", c.Waiting)
		}
		switch iei {
		case IEISingleShift:
			r.add("gsm_sms.dis_iei_lang.single_shift", data[0])
		case IEILockingShift:
			r.add("gsm_sms.dis_iei_lang.locking_shift", data[0])
		case IEISource:
			r.add("gsm_sms.udh_created", data[0])
		case IEISMSCControl:
			r.hex("gsm_sms.status_report", data[0])
		}
	}
	if text, err := u.Text(d); err == nil {
		r.add("gsm_sms.sms_text", text)
	}
}

// tsharkInstances are frames of every kind with what they hold.
func tsharkInstances() (frames []tshark.Frame, messages []Message, names []string) {
	for i, k := range kinds() {
		g := newGen(uint64(100 + i))
		for range instances {
			m := k.random(g)
			f := tshark.Frame{Dissector: "gsm_a_rp", PDU: must(Append(nil, m))}
			switch m.(type) {
			case CP:
				f.Dissector = "gsm_a_dtap"
			case TPDU:
				m = &RPData{Direction: k.dir, User: f.PDU}
				if strings.HasSuffix(k.name, "RP-ACK") {
					m = &RPAck{Direction: k.dir, User: f.PDU}
				} else if strings.HasSuffix(k.name, "RP-ERROR") {
					m = &RPError{Direction: k.dir, Cause: RPCauseProtocolError, User: f.PDU}
				}
				f.PDU = must(Append(nil, m))
			}
			frames, messages, names = append(frames, f), append(messages, m), append(names, k.name)
		}
	}
	return frames, messages, names
}

// tsharkReads has tshark read random instances of every kind and compares what
// it shows, but for exceptions each of which is needed. It gives, for each kind,
// how many tshark read and which exceptions applied, their reasons, and how many
// fields were compared.
func tsharkReads(t *testing.T) (read map[string]string, why []string, fields int) {
	t.Helper()
	frames, messages, names := tsharkInstances()
	needed := map[string]map[int]bool{}
	used, compared := map[int]bool{}, map[string]bool{}
	bad := 0
	for i, p := range tshark.Packets(t, frames, "-o", "gsm_sms.reassemble:FALSE") {
		want := view{}
		want.read(t, messages[i])
		tpdu, dcs, user := inside(messages[i])
		if needed[names[i]] == nil {
			needed[names[i]] = map[int]bool{}
		}
		for name := range want {
			compared[name] = true
		}
	difference:
		for name, problem := range differences(&p, want) {
			for j, e := range exceptions {
				if (e.field == "" || e.field == name) && e.of(tpdu, dcs, user) {
					needed[names[i]][j], used[j] = true, true
					continue difference
				}
			}
			if bad++; bad < 40 {
				t.Errorf("%s %x: %s: %s", names[i], frames[i].PDU, name, problem)
			}
		}
	}
	for i, e := range exceptions {
		why = append(why, e.why)
		if !used[i] {
			t.Errorf("tshark needs no exception %q", e.why)
		}
	}
	read = map[string]string{}
	for name, reasons := range needed {
		read[name] = conformance.Count(strconv.Itoa(instances), len(exceptions), func(i int) bool { return reasons[i] })
	}
	return read, why, len(compared)
}

// differences are the fields that tshark shows otherwise, and its complaints
// under no name.
func differences(p *tshark.Node, want view) map[string]string {
	got := view{}
	p.Walk(func(f *tshark.Node) {
		if _, ok := want[f.Name]; ok {
			got.add(f.Name, f.Show)
		}
	})
	all := map[string]string{}
	if c := p.Complaints(); len(c) > 0 {
		all[""] = fmt.Sprint(c)
	}
	for name, w := range want {
		if !slices.EqualFunc(got[name], w, equalShown) {
			all[name] = fmt.Sprintf("%q, want %q", got[name], w)
		}
	}
	return all
}

// equalShown compares values: tshark writes some octets as hex.
func equalShown(got, want string) bool {
	if got == want {
		return true
	}
	g, err := strconv.ParseUint(got, 0, 16)
	w, err2 := strconv.ParseUint(want, 0, 16)
	return err == nil && err2 == nil && g == w
}
