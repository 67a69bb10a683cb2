package gtpu_test

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/internal/conformance"
	"campanile.network/3gpp/internal/testkit"
)

// goldens reads what others built, wants it to be built again to the octet, and
// counts by message and maker.
func goldens(t *testing.T) map[gtpu.Type]map[string]int {
	t.Helper()
	found := make(map[gtpu.Type]map[string]int)
	for maker, file := range map[string]string{"srsRAN": "testdata/srsran-gtpu.txt", "pycrate": "testdata/pycrate-gtpu.txt"} {
		for _, f := range testkit.Rows(t, file) {
			datagram := unhex(t, f[len(f)-1])
			m, err := gtpu.Parse(datagram)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if maker == "pycrate" && m.Type.String() != strings.ReplaceAll(f[0], "_", " ") {
				t.Errorf("%s: read as %v", f, m.Type)
			}
			if err := m.Check(); err != nil && m.Type != gtpu.TunnelStatus { // pycrate's have no status
				t.Errorf("%s: %v", f, err)
			}
			if again, err := m.Append(nil); err != nil || !bytes.Equal(again, datagram) {
				t.Errorf("%s: built %x, %v", f, again, err)
			}
			if found[m.Type] == nil {
				found[m.Type] = make(map[string]int)
			}
			found[m.Type][maker]++
		}
	}
	return found
}

// TestConformance establishes what docs/conformance.md says of GTP-U.
func TestConformance(t *testing.T) {
	clauses := map[gtpu.Type]string{
		gtpu.EchoRequest: "7.2.1", gtpu.EchoResponse: "7.2.2", gtpu.SupportedHeaders: "7.2.3",
		gtpu.ErrorIndication: "7.3.1", gtpu.EndMarker: "7.3.2", gtpu.TunnelStatus: "7.3.3", gtpu.GPDU: "5.1, TS 29.281 §6.1",
	}
	seeded := make(map[gtpu.Type]bool)
	for _, s := range seeds(t) {
		if m, err := gtpu.Parse(s); err == nil {
			seeded[m.Type] = true
		}
	}
	made, read := goldens(t), tsharkReads(t)
	var rows []conformance.Row
	for _, typ := range messageTypes() {
		row := conformance.Row{Message: typ.String(), Clause: "TS 29.281 §" + clauses[typ]}
		n := roundTrips(t, typ)
		row.Parse, row.Append = strconv.Itoa(n), strconv.Itoa(n)
		if seeded[typ] {
			row.Fuzz = "FuzzParse"
		}
		row.Tshark = conformance.Count(strconv.Itoa(read[typ]), len(exceptions()), func(i int) bool { return slices.Contains(exceptions()[i].messages, typ) })
		for _, maker := range []string{"srsRAN", "pycrate"} {
			if n := made[typ][maker]; n > 0 {
				row.Golden = strings.TrimPrefix(fmt.Sprintf("%s, %s %d", row.Golden, maker, n), ", ")
			}
		}
		rows = append(rows, row)
	}
	var notes []string
	for _, e := range exceptions() {
		notes = append(notes, e.why)
	}
	conformance.Check(t, "gtpu", `A random instance has sequence and N-PDU numbers, every extension header of TS 29.281 §5.2.2 and headers of the future where its
message can carry them, and every information element of TS 29.281 §8: Recovery Time Stamp in Echo Response and Error Indication. What tshark
reads is compared field by field. pycrate's Tunnel Status has no GTP-U Tunnel Status Information, which is mandatory: it is parsed
and built again, and Check reports it. An exception is what tshark 4.0 does not read; the test fails when one is no longer needed:

`+conformance.Notes(notes), rows)
}
