package s1ap

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/conformance"
)

// clauses is where TS 36.413 describes each message.
var clauses = map[string]string{
	"E-RABSetupRequest":                    "9.1.3.1",
	"E-RABSetupResponse":                   "9.1.3.2",
	"E-RABModifyRequest":                   "9.1.3.3",
	"E-RABModifyResponse":                  "9.1.3.4",
	"E-RABReleaseCommand":                  "9.1.3.5",
	"E-RABReleaseResponse":                 "9.1.3.6",
	"E-RABReleaseIndication":               "9.1.3.7",
	"E-RABModificationIndication":          "9.1.3.8",
	"E-RABModificationConfirm":             "9.1.3.9",
	"InitialContextSetupRequest":           "9.1.4.1",
	"InitialContextSetupResponse":          "9.1.4.3",
	"InitialContextSetupFailure":           "9.1.4.4",
	"UEContextReleaseRequest":              "9.1.4.5",
	"UEContextReleaseCommand":              "9.1.4.6",
	"UEContextReleaseComplete":             "9.1.4.7",
	"UEContextModificationRequest":         "9.1.4.8",
	"UEContextModificationResponse":        "9.1.4.9",
	"UEContextModificationFailure":         "9.1.4.10",
	"UERadioCapabilityMatchRequest":        "9.1.4.11",
	"UERadioCapabilityMatchResponse":       "9.1.4.12",
	"UEContextModificationIndication":      "9.1.4.13",
	"UEContextModificationConfirm":         "9.1.4.14",
	"UEContextSuspendRequest":              "9.1.4.15",
	"UEContextSuspendResponse":             "9.1.4.16",
	"UEContextResumeRequest":               "9.1.4.17",
	"UEContextResumeResponse":              "9.1.4.18",
	"UEContextResumeFailure":               "9.1.4.19",
	"ConnectionEstablishmentIndication":    "9.1.4.20",
	"RetrieveUEInformation":                "9.1.4.21",
	"UEInformationTransfer":                "9.1.4.22",
	"ENBCPRelocationIndication":            "9.1.4.23",
	"MMECPRelocationIndication":            "9.1.4.24",
	"HandoverRequired":                     "9.1.5.1",
	"HandoverCommand":                      "9.1.5.2",
	"HandoverPreparationFailure":           "9.1.5.3",
	"HandoverRequest":                      "9.1.5.4",
	"HandoverRequestAcknowledge":           "9.1.5.5",
	"HandoverFailure":                      "9.1.5.6",
	"HandoverNotify":                       "9.1.5.7",
	"PathSwitchRequest":                    "9.1.5.8",
	"PathSwitchRequestAcknowledge":         "9.1.5.9",
	"PathSwitchRequestFailure":             "9.1.5.10",
	"HandoverCancel":                       "9.1.5.11",
	"HandoverCancelAcknowledge":            "9.1.5.12",
	"ENBStatusTransfer":                    "9.1.5.13",
	"MMEStatusTransfer":                    "9.1.5.14",
	"HandoverSuccess":                      "9.1.5.15",
	"ENBEarlyStatusTransfer":               "9.1.5.16",
	"MMEEarlyStatusTransfer":               "9.1.5.17",
	"Paging":                               "9.1.6",
	"InitialUEMessage":                     "9.1.7.1",
	"DownlinkNASTransport":                 "9.1.7.2",
	"UplinkNASTransport":                   "9.1.7.3",
	"NASNonDeliveryIndication":             "9.1.7.4",
	"NASDeliveryIndication":                "9.1.7.4a",
	"RerouteNASRequest":                    "9.1.7.5",
	"Reset":                                "9.1.8.1",
	"ResetAcknowledge":                     "9.1.8.2",
	"ErrorIndication":                      "9.1.8.3",
	"S1SetupRequest":                       "9.1.8.4",
	"S1SetupResponse":                      "9.1.8.5",
	"S1SetupFailure":                       "9.1.8.6",
	"ENBConfigurationUpdate":               "9.1.8.7",
	"ENBConfigurationUpdateAcknowledge":    "9.1.8.8",
	"ENBConfigurationUpdateFailure":        "9.1.8.9",
	"MMEConfigurationUpdate":               "9.1.8.10",
	"MMEConfigurationUpdateAcknowledge":    "9.1.8.11",
	"MMEConfigurationUpdateFailure":        "9.1.8.12",
	"OverloadStart":                        "9.1.8.13",
	"OverloadStop":                         "9.1.8.14",
	"DownlinkS1cdma2000tunnelling":         "9.1.9.1",
	"UplinkS1cdma2000tunnelling":           "9.1.9.2",
	"UECapabilityInfoIndication":           "9.1.10",
	"TraceStart":                           "9.1.11.1",
	"TraceFailureIndication":               "9.1.11.2",
	"DeactivateTrace":                      "9.1.11.3",
	"LocationReportingControl":             "9.1.12.1",
	"LocationReportingFailureIndication":   "9.1.12.2",
	"LocationReport":                       "9.1.12.3",
	"WriteReplaceWarningRequest":           "9.1.13.1",
	"WriteReplaceWarningResponse":          "9.1.13.2",
	"KillRequest":                          "9.1.13.3",
	"KillResponse":                         "9.1.13.4",
	"PWSRestartIndication":                 "9.1.13.5",
	"PWSFailureIndication":                 "9.1.13.6",
	"ENBDirectInformationTransfer":         "9.1.14",
	"MMEDirectInformationTransfer":         "9.1.15",
	"ENBConfigurationTransfer":             "9.1.16",
	"MMEConfigurationTransfer":             "9.1.17",
	"CellTrafficTrace":                     "9.1.18",
	"DownlinkUEAssociatedLPPaTransport":    "9.1.19.1",
	"UplinkUEAssociatedLPPaTransport":      "9.1.19.2",
	"DownlinkNonUEAssociatedLPPaTransport": "9.1.19.3",
	"UplinkNonUEAssociatedLPPaTransport":   "9.1.19.4",
	"SecondaryRATDataUsageReport":          "9.1.20.1",
	"UERadioCapabilityIDMappingRequest":    "9.1.21.1",
	"UERadioCapabilityIDMappingResponse":   "9.1.21.2",
	"PrivateMessage":                       "9.3.1",
}

// TestConformance writes the messages into docs/conformance.md, with what the
// other tests of this package establish for them.
func TestConformance(t *testing.T) {
	seeds := map[string]bool{}
	for _, b := range fuzzSeeds(t) {
		if p, _ := Parse(b); p.Message != nil {
			seeds[typeName(p.Message.Header().Name)] = true
		}
	}
	golden := goldens(t)
	notes := notes()
	var rows []conformance.Row
	for _, m := range allMessages() {
		h := m.Header()
		name := typeName(h.Name)
		row := conformance.Row{
			Message: fmt.Sprintf("%s (%s)", name, h.ProcedureCode),
			Parse:   fmt.Sprint(roundTrips), Append: fmt.Sprint(roundTrips),
			Tshark: conformance.Count(fmt.Sprint(instances), len(notes), func(i int) bool {
				return has(reflect.TypeOf(m), notes[i].part, map[reflect.Type]bool{})
			}),
			Golden: strings.Join(golden[name], ", "),
		}
		if c := clauses[name]; c != "" {
			row.Clause = "TS 36.413 §" + c
		}
		if seeds[name] {
			row.Fuzz = "FuzzParse"
		}
		rows = append(rows, row)
	}
	var texts []string
	for _, n := range notes {
		texts = append(texts, n.text)
	}
	conformance.Check(t, "s1ap", `All messages of V17.3.0, each with its procedure, in the order of TS 36.413 §9.3.3. A random instance has from no optional IE
to all. tshark shows the id of every IE in order, and the values that were put in under all names it has for them. An exception
is what tshark 4.0 says of a valid message or does not show; the test fails when one is no longer needed:

`+conformance.Notes(texts)+`
Goldens: *srsRAN* is its eNB and core, recorded; *iPhone 6* a phone in a public network, published on pcapr.net; *lte-attach* what pycrate's
test suite holds of an eNB and an MME; *pycrate* octets that this Python library, whose S1AP comes from the ASN.1 by a compiler of its own,
wrote for values of its own, compared value by value. All are read and written again unchanged but one: an MME gave IEs of E-RAB RELEASE COMMAND
the criticality reject, where TS 36.413 §9.1.3.5 has ignore.
`, rows)
}

// goldens is the origins of octets that others encoded, by message.
func goldens(t *testing.T) map[string][]string {
	from := map[string][]string{}
	add := func(name, origin string) {
		if !slices.Contains(from[name], origin) {
			from[name] = append(from[name], origin)
		}
	}
	for _, c := range captures(t) {
		p, err := Parse(c.pdu)
		if err != nil {
			t.Fatalf("%s: %v", c.origin, err)
		}
		origin, _, _ := strings.Cut(c.origin, "-")
		switch origin {
		case "srsran":
			origin = "srsRAN"
		case "iphone6":
			origin = "iPhone 6"
		case "lte":
			origin = "lte-attach"
		}
		add(typeName(p.Message.Header().Name), origin)
	}
	for _, d := range pycrate(t) {
		add(d.name, "pycrate")
	}
	for _, origins := range from {
		slices.Sort(origins)
	}
	return from
}

// note is an exception of the comparison with tshark and the part of a message,
// a type or Container.IE, that it concerns.
type note struct{ part, text string }

func notes() []note {
	var all []note
	for _, e := range exceptions {
		all = append(all, note{e.typ, fmt.Sprintf("%s, %q: %s", e.typ, e.words, e.reason)})
	}
	for ie, reason := range unread {
		all = append(all, note{ie, fmt.Sprintf("%s, not shown: %s", ie, reason)})
	}
	slices.SortFunc(all, func(a, b note) int { return strings.Compare(a.text, b.text) })
	return all
}

// has says that a type, or an IE in a container, can be part of t.
func has(t reflect.Type, part string, seen map[reflect.Type]bool) bool {
	if t.Name() == part {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return has(t.Elem(), part, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); t.Name()+"."+f.Name == part || has(f.Type, part, seen) {
				return true
			}
		}
	}
	return false
}
