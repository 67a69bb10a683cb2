package eps

import (
	"bytes"
	"fmt"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

// heard are PDUs of real phones and networks, published by others.
func heard(tb testing.TB) (all []pdu) {
	tb.Helper()
	for _, file := range []string{"testdata/pcapr-iphone6-volte.txt", "testdata/pycrate-test-nas.txt"} {
		for _, w := range testkit.Rows(tb, file) {
			b := unhex(tb, w[2])
			p := pdu{origin: fmt.Sprintf("%s number %s", file, w[0]), dir: Direction(w[1] == "down"), whole: b, plain: b}
			if h, _ := HeaderOf(b); h != HeaderPlain && h != HeaderServiceRequest {
				e, err := ParseProtected(b)
				if err != nil {
					tb.Fatal(p.origin, err)
				}
				p.plain = e.Payload
			}
			if len(w) > 3 && w[3] == "ciphered" {
				p.plain = nil
			}
			all = append(all, p)
		}
	}
	return all
}

// slips are octets their sender got wrong: we read them, and write them right.
var slips = map[string][2]string{
	// TS 24.008 §10.5.1.4: the half octet before a TMSI is 1111.
	"testdata/pcapr-iphone6-volte.txt number 8": {"230504", "2305f4"},
}

// TestStrangerPhones: what phones and networks have sent is read whole and
// written the same.
func TestStrangerPhones(t *testing.T) {
	all := heard(t)
	if len(all) < 40 {
		t.Errorf("%d PDUs", len(all))
	}
	for _, p := range all {
		if !bytes.Equal(p.whole, p.plain) {
			e, err := ParseProtected(p.whole)
			if err != nil || !bytes.Equal(e.Append(nil), p.whole) {
				t.Errorf("%s: envelope %+v, %v", p.origin, e, err)
			}
		}
		if slip, ok := slips[p.origin]; ok {
			m, err := Parse(p.dir, p.plain)
			if err != nil {
				t.Errorf("%s: %v", p.origin, err)
				continue
			}
			wrong, right := unhex(t, slip[0]), unhex(t, slip[1])
			out, err := Append(nil, m)
			if err != nil || !bytes.Contains(p.plain, wrong) || !bytes.Equal(out, bytes.Replace(p.plain, wrong, right, 1)) {
				t.Errorf("%s: %x, %v", p.origin, out, err)
			}
			p.plain = out
		}
		if p.plain != nil {
			roundTrip(t, p.origin, p.dir, p.plain)
		}
	}
}
