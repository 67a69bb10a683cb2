package eps

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/tshark"
)

// perMessage is how many random instances of each message tshark reads.
const perMessage = 200

// An exception is an element that tshark 4.0 does not read as the spec has it.
// Instances for comparison are made without it; instances with it alone must
// draw exactly this complaint, so that none stays in the list for nothing.
type exception struct {
	element   string // its name in the messages' tables
	complaint string
	reason    string // what tshark lacks, and where the spec says what we send
}

const extraneous = "Extraneous Data, dissector bug or later version spec(report to wireshark.org)"

var exceptions = []exception{
	{"Lower bound timer value", extraneous, "Release 17, tshark 4.0 has it not (a GPRS timer 3, TS 24.301 §8.2.3)"},
	{`Forbidden TAI(s) for the list of "forbidden tracking areas for roaming"`, extraneous, "Release 17, tshark 4.0 has it not (a TAI list, TS 24.301 §8.2.1)"},
	{`Forbidden TAI(s) for the list of "forbidden tracking areas for regional provision of service"`, extraneous, "Release 17, tshark 4.0 has it not (a TAI list, TS 24.301 §8.2.1)"},
	{"Requested IMSI offset", extraneous, "Release 17, tshark 4.0 has it not (TS 24.301 §9.9.3.64)"},
	{"Negotiated IMSI offset", extraneous, "Release 17, tshark 4.0 has it not (TS 24.301 §9.9.3.64)"},
	{"UE request type", extraneous, "Release 17, tshark 4.0 has it not (TS 24.301 §9.9.3.65)"},
	{"Paging restriction", extraneous, "Release 17, tshark 4.0 has it not (TS 24.301 §9.9.3.66)"},
	{"EPS additional request result", extraneous, "Release 17, tshark 4.0 has it not (TS 24.301 §9.9.3.67)"},
	{"SS Code", extraneous, "tshark shows the value of this TV element but does not count its octet (TS 24.301 §9.9.3.39)"},
	{"LCS indicator", extraneous, "tshark shows the value of this TV element but does not count its octet (TS 24.301 §9.9.3.40)"},
	{"Mobile station classmark 3", extraneous, "tshark reads the content but counts fewer octets than the element has (TS 24.008 §10.5.1.7)"},
}

func excepted(row *row) bool {
	return slices.ContainsFunc(exceptions, func(e exception) bool { return e.element == row.name })
}

// tsharkAlways are fields that tshark shows of every message, and those of its
// complaints.
var tsharkAlways = []string{"_ws.malformed", "_ws.expert.message", "nas_eps.seq_no", "nas_eps.msg_auth_code"}

// TestTsharkReadsRandomInstances: each message that we can make, tshark reads
// without a complaint and with the same values.
func TestTsharkReadsRandomInstances(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 301))
	var all []instance
	for _, k := range kinds() {
		for i := range perMessage {
			all = append(all, valid(t, r, k, i%11, func(_ *table, row *row) bool { return excepted(row) }))
		}
	}
	protected := make([]Protected, len(all))
	whole := make([][]byte, len(all))
	for i, in := range all {
		b, err := Append(nil, in.m)
		if err != nil {
			t.Fatalf("%v: %v", in.kind, err)
		}
		p := Protected{Header: HeaderIntegrity, MAC: [4]byte(randomOctets(r, 4)), Sequence: byte(r.Uint32()), Payload: b}
		if whole[i] = b; in.m.MessageType() != TypeServiceRequest {
			whole[i], protected[i] = p.Append(nil), p
		}
	}
	wants := make([]map[string][]string, len(all))
	fields := slices.Clone(tsharkAlways)
	for i, in := range all {
		wants[i] = map[string][]string{}
		if in.m.MessageType() != TypeServiceRequest {
			wants[i]["nas_eps.seq_no"] = []string{fmt.Sprint(protected[i].Sequence)}
			wants[i]["nas_eps.msg_auth_code"] = []string{fmt.Sprintf("0x%x", protected[i].MAC)}
		}
		for _, v := range readAll(in.kind.dir, in.m) {
			wants[i][v.field] = append(wants[i][v.field], v.want)
			if !slices.Contains(fields, v.field) {
				fields = append(fields, v.field)
			}
		}
	}
	bad := map[string]int{}
	for i, got := range tsharkRows(t, all, whole, fields) {
		for j, field := range fields {
			want := strings.Join(wants[i][field], tshark.Separator)
			if got[j] == want {
				continue
			}
			key := all[i].kind.String() + " " + field
			if bad[key]++; bad[key] == 1 {
				t.Errorf("%v: %s: tshark shows %q, want %q\n%x\n%v", all[i].kind, field, got[j], want, whole[i], all[i].m)
			}
		}
	}
	t.Logf("%d instances, %d fields", len(all), len(fields))
}

// TestTsharkExceptions: tshark complains of every excepted element, in every
// message that has it, and of nothing else.
func TestTsharkExceptions(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 302))
	var all []instance
	var why []exception
	for _, e := range exceptions {
		n := len(all)
		for _, k := range kinds() {
			tab := k.new().table()
			if !slices.ContainsFunc(tab.rows, func(row row) bool { return row.optional && row.name == e.element }) {
				continue
			}
			for range 5 {
				all = append(all, valid(t, r, k, 10, func(in *table, row *row) bool { return in != tab || row.name != e.element }))
				why = append(why, e)
			}
		}
		if len(all) == n {
			t.Errorf("no message has the element %q", e.element)
		}
	}
	var whole [][]byte
	for _, in := range all {
		b, err := Append(nil, in.m)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, Protected{Header: HeaderIntegrity, Payload: b}.Append(nil))
	}
	fields := []string{"_ws.malformed", "_ws.expert.message"}
	var wants []map[string]string // of what tshark shows in spite of its complaint
	for i, in := range all {
		wants = append(wants, map[string]string{})
		for _, v := range readElement(in.m, why[i].element) {
			wants[i][v.field] = v.want
			if !slices.Contains(fields, v.field) {
				fields = append(fields, v.field)
			}
		}
	}
	for i, got := range tsharkRows(t, all, whole, fields) {
		if got[0] != "" || got[1] != why[i].complaint {
			t.Errorf("%v: %s: tshark says %q, the list has %q: %x", all[i].kind, why[i].element, got[:2], why[i].complaint, whole[i])
		}
		for j, field := range fields {
			if want, ok := wants[i][field]; ok && got[j] != want {
				t.Errorf("%v: %s: %s: tshark shows %q, want %q: %x", all[i].kind, why[i].element, field, got[j], want, whole[i])
			}
		}
	}
}

// readElement are the readings of one element of m.
func readElement(m Message, name string) []reading {
	rows := m.table().rows
	for i := range rows {
		if f := fieldsOf(&rows[i]); rows[i].name == name && f != nil {
			el, _ := rows[i].get(m)
			return f(el, el.encode(nil))
		}
	}
	return nil
}

// TestTsharkFieldsAreWhole: every element of every message is compared, or
// excepted.
func TestTsharkFieldsAreWhole(t *testing.T) {
	used := map[string]bool{}
	for _, k := range kinds() {
		for _, row := range k.new().table().rows {
			used[row.name] = true
			if row.get != nil && tsharkFields[row.name] == nil && !excepted(&row) {
				t.Errorf("%v: no field to compare %q with", k, row.name)
			}
		}
	}
	for name := range tsharkFields {
		if !used[name] {
			t.Errorf("no message has an element %q", name)
		}
	}
}

// tsharkRows are fields of messages as tshark shows them, a row each. The
// messages stand in S1AP so that tshark knows who sent them.
func tsharkRows(t *testing.T, all []instance, whole [][]byte, fields []string) [][]string {
	t.Helper()
	frames := make([]tshark.Frame, len(all))
	for i, nas := range whole {
		frames[i] = tshark.Frame{Dissector: "s1ap", PDU: inS1AP(all[i].kind.dir, nas)}
	}
	return tshark.Fields(t, frames, fields)
}

// inS1AP is an Uplink or Downlink NAS Transport (TS 36.413 §9.1.7) with nothing
// in it that tshark could take for a part of the NAS message.
func inS1AP(dir Direction, nas []byte) []byte {
	open := func(dst, v []byte) []byte { // with a length of X.691 §11.9
		if len(v) < 128 {
			return append(append(dst, byte(len(v))), v...)
		}
		return append(append(dst, 0x80|byte(len(v)>>8), byte(len(v))), v...)
	}
	const idNASPDU = 26
	ies := open([]byte{0, 0, 1, 0, idNASPDU, 0x40}, open(nil, nas))
	procedure := byte(11)
	if dir == Uplink {
		procedure = 13
	}
	return open([]byte{0, procedure, 0x40}, ies)
}
