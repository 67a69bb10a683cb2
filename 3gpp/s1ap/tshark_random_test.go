package s1ap

import (
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/tshark"
)

// instances is how many random values of each message tshark reads.
const instances = 200

// exceptions is what tshark 4.0 says of valid messages: words it uses, only
// where the type is present, and why the message is right. One that is not
// needed fails the test.
var exceptions = []struct{ typ, words, reason string }{
	{"PrivateIE", "Unknown Open Type", "what a private IE holds is between its users (TS 36.413 §9.3.1); ids are local here, for tshark loses its place behind an object identifier"},
	{"WarningMessageContents", "Unhandled encoding 0 of CBS String", "Data Coding Scheme, by which tshark reads the contents, is optional (TS 36.413 §9.1.13.1)"},
	{"IntersystemSONConfigurationTransfer", "MCC contains non-decimal digits", "tshark reads another IE of TS 38.413, SON Configuration Transfer, where Inter-system SON Configuration Transfer stands (TS 36.413 §9.3.4)"},
}

// unread is the IEs whose contents tshark 4.0 does not show, and why.
var unread = map[string]string{
	"ImmediateMDTExtIEs.SensorMeasurementConfiguration": "tshark does not have id 345",
	"LoggedMDTExtIEs.SensorMeasurementConfiguration":    "tshark does not have id 345",
	"LoggedMDTExtIEs.LoggedMDTTrigger":                  "tshark does not have id 344",
	"MDTModeExtension.LoggedMBSFNMDT":                   "tshark has id 197, but not in MDTMode-Extension",
	"ServedGUMMEIsItemExtIEs.GUMMEIType":                "tshark has id 170, but not in ServedGUMMEIsItem-ExtIEs",
}

// otherNames is where tshark shows a component under another name than the
// ASN.1's.
var otherNames = map[string]string{
	"eNB-UE-S1AP-ID": "ENB-UE-S1AP-ID", "mME-UE-S1AP-ID": "MME-UE-S1AP-ID", "cell-ID": "CellIdentity",
}

// ofItsOwn is fields that are no component: the CHOICE of a message, counts of
// IEs, addresses shown twice; also all with a second dot.
var ofItsOwn = []string{"s1ap.id", "s1ap.criticality", "s1ap.S1AP_PDU", "s1ap.protocolIEs", "s1ap.iE_Extensions", "s1ap.privateIEs",
	"s1ap.transportLayerAddressIPv4", "s1ap.transportLayerAddressIPv6"}

// sample is a random message, what tshark should see of it and its encoding.
type sample struct {
	name    string
	message Message
	*view
	unread []string // IEs of unread that it has
	pdu    []byte
}

// samples makes random valid values of every message, the first with no optional
// component, the second with all, every fifth with unknown IEs.
func samples(t *testing.T) []sample {
	t.Helper()
	var all []sample
	for i, m := range allMessages() {
		for seed := range uint64(instances) {
			g := newGen(seed*1000+uint64(i)+7, []int{0, 100, 50, 20}[seed%4], 2+int(seed%4))
			g.unknown = seed%5 == 4
			fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
			fresh.random(g)
			g.makeReadable(reflect.ValueOf(fresh), "")
			b, err := Append(nil, fresh)
			if err != nil {
				t.Fatal(err)
			}
			x := sample{name: fmt.Sprintf("%s seed %d", m.Header().Name, seed), message: fresh, pdu: b}
			x.view = viewOf(fresh, func(ie string) bool {
				if unread[ie] != "" {
					x.unread = append(x.unread, ie)
				}
				return unread[ie] == ""
			})
			all = append(all, x)
		}
	}
	return all
}

// TestTsharkReadsRandomMessages: tshark finds nothing malformed in random valid
// values of every message, and sees in them what was put in.
func TestTsharkReadsRandomMessages(t *testing.T) {
	fields := tsharkFields(t)
	all := samples(t)
	pdus := make([][]byte, len(all))
	for i := range all {
		pdus[i] = all[i].pdu
	}
	names := slices.Sorted(maps.Keys(fields))
	needed := make([]bool, len(exceptions))
	compared, neededIEs := map[string]int{}, map[string]bool{}
	bad := 0
	for i, row := range dissect(t, pdus, append([]string{"_ws.malformed", "_ws.expert.message"}, names...)...) {
		faults := complaints(row[0], row[1], all[i].types, needed)
		faults = append(faults, differences(all[i].view, names, fields, row[2:], compared)...)
		for _, ie := range all[i].unread {
			if !neededIEs[ie] { // with what is in this one, the view must differ
				more := viewOf(all[i].message, func(x string) bool { return x == ie || unread[x] == "" })
				neededIEs[ie] = len(differences(more, names, fields, row[2:], map[string]int{})) > 0
			}
		}
		if len(faults) > 0 && bad < 20 {
			t.Errorf("%s: tshark: %s\n%x", all[i].name, strings.Join(faults, "\n"), pdus[i])
		}
		bad += min(len(faults), 1)
	}
	t.Logf("%d messages, %d faults; values compared under %d names", len(all), bad, len(compared))
	for i, e := range exceptions {
		if !needed[i] {
			t.Errorf("not needed: %s, %q", e.typ, e.words)
		}
	}
	for ie := range unread {
		if !neededIEs[ie] {
			t.Errorf("not needed: %s", ie)
		}
	}
}

// complaints returns tshark's expert messages that are no exceptions.
func complaints(malformed, messages string, types map[string]bool, needed []bool) []string {
	var faults []string
	if malformed != "" && messages == "" {
		faults = append(faults, malformed)
	}
	for m := range strings.SplitSeq(messages, tshark.Separator) {
		i := slices.IndexFunc(exceptions, func(e struct{ typ, words, reason string }) bool { return m == e.words && types[e.typ] })
		if i >= 0 {
			needed[i] = true
		} else if m != "" {
			faults = append(faults, m)
		}
	}
	return faults
}

// differences compares what tshark shows with the view: the ids of all IEs in
// order, and the values under every name.
func differences(v *view, names []string, fields map[string]string, row []string, compared map[string]int) []string {
	var faults []string
	shown := map[string][]string{}
	for i, name := range names {
		if row[i] == "" {
			continue
		}
		for s := range strings.SplitSeq(row[i], tshark.Separator) {
			shown[name] = append(shown[name], canonical(s, fields[name], true))
		}
	}
	if c := shown["s1ap.criticality"]; len(c) == 0 || c[0] != strconv.Itoa(int(v.header.Criticality)) {
		faults = append(faults, fmt.Sprintf("criticality %v, not %v", c, v.header.Criticality))
	}
	var ids []string
	for _, id := range v.ids {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	if !slices.Equal(ids, shown["s1ap.id"]) {
		faults = append(faults, fmt.Sprintf("IEs %v, not %v", shown["s1ap.id"], ids))
	}
	want := expected(v, fields)
	for name := range shown {
		if want[name] == nil && !slices.Contains(ofItsOwn, name) && !strings.Contains(name[len("s1ap."):], ".") {
			faults = append(faults, fmt.Sprintf("%s %q, which is not in the message", name, shown[name]))
		}
	}
	for name, w := range want {
		compared[name]++
		if fields[name] == "FT_STRING" { // of which tshark leaves out empty ones
			w = slices.DeleteFunc(w, func(s string) bool { return s == "" })
		}
		slices.Sort(w)
		slices.Sort(shown[name])
		if !slices.Equal(w, shown[name]) {
			faults = append(faults, fmt.Sprintf("%s %q, not %q", name, shown[name], w))
		}
	}
	return faults
}

// expected is the values of the view under tshark's names.
func expected(v *view, fields map[string]string) map[string][]string {
	want := map[string][]string{}
	for component, values := range v.values {
		other, ok := otherNames[component]
		if ok {
			component = other
		}
		name := "s1ap." + strings.ReplaceAll(component, "-", "_")
		for _, s := range values {
			s = canonical(s, fields[name], false)
			if name == "s1ap.CellIdentity" { // the number, not the octets of its 28 bits
				n, _ := strconv.ParseUint(s, 10, 32)
				s = strconv.FormatUint(n>>4, 10)
			}
			want[name] = append(want[name], s)
			if other == "MME-UE-S1AP-ID" || other == "ENB-UE-S1AP-ID" {
				want[name] = append(want[name], s) // shown in its place and once more, hidden
			}
		}
	}
	return want
}

// canonical is a value as text that both sides can be compared in: numbers
// decimal, octets hexadecimal, names as they are.
func canonical(s, kind string, theirs bool) string {
	switch {
	case s == "<MISSING>":
		return "0x"
	case kind == "FT_BYTES" && theirs:
		return "0x" + s
	case kind == "FT_UINT32, FT_BYTES":
		return strings.TrimPrefix(s, "0x")
	case strings.HasPrefix(kind, "FT_UINT"):
		if n, err := strconv.ParseUint(s, 0, 64); err == nil {
			return strconv.FormatUint(n, 10)
		}
	case kind == "FT_STRING":
		if b, err := hex.DecodeString(strings.TrimPrefix(s, "0x")); err == nil && strings.HasPrefix(s, "0x") {
			return string(b)
		}
	}
	return s
}

// tsharkFields is tshark's S1AP fields that have a value, with its type.
func tsharkFields(t *testing.T) map[string]string {
	fields := map[string]string{}
	for _, c := range tshark.Table(t, "fields", "s1ap.") {
		if len(c) > 3 && c[0] == "F" && strings.HasPrefix(c[2], "s1ap.") && c[3] != "FT_NONE" && c[3] != "FT_BOOLEAN" {
			fields[c[2]] = c[3]
		}
	}
	fields["s1ap.gNB_ID"] = "FT_UINT32, FT_BYTES" // a CHOICE and its alternative
	return fields
}
