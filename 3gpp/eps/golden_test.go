package eps

import (
	"bytes"
	"path/filepath"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

// A pdu is a NAS PDU as it was captured, and the plain message in it.
type pdu struct {
	origin string
	dir    Direction
	whole  []byte
	plain  []byte
}

// captured reads testdata/captures. All of it was sent with EEA0: payloads
// are in clear.
func captured(tb testing.TB) []pdu {
	tb.Helper()
	files, err := filepath.Glob("testdata/captures/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatal("no captures", err)
	}
	var all []pdu
	for _, name := range files {
		for _, w := range testkit.Rows(tb, name) {
			b := unhex(tb, w[2])
			p := pdu{origin: filepath.Base(name) + " frame " + w[0], dir: Direction(w[1] == "down"), whole: b, plain: b}
			if h, _ := HeaderOf(b); h != HeaderPlain && h != HeaderServiceRequest {
				e, err := ParseProtected(b)
				if err != nil {
					tb.Fatal(p.origin, err)
				}
				p.plain = e.Payload
			}
			all = append(all, p)
		}
	}
	return all
}

func TestCapturesRoundTrip(t *testing.T) {
	all := captured(t)
	if len(all) < 31 {
		t.Fatalf("%d PDUs, want 31", len(all))
	}
	for _, p := range all {
		if h, _ := HeaderOf(p.whole); h != HeaderPlain && h != HeaderServiceRequest {
			e, err := ParseProtected(p.whole)
			if err != nil || !bytes.Equal(e.Append(nil), p.whole) {
				t.Errorf("%s: envelope %+v %v", p.origin, e, err)
			}
		}
		roundTrip(t, p.origin, p.dir, p.plain)
	}
}

func roundTrip(t *testing.T, origin string, dir Direction, b []byte) {
	t.Helper()
	m, err := Parse(dir, b)
	if err != nil {
		t.Errorf("%s: %v", origin, err)
		return
	}
	if m.rest().Count() > 0 {
		t.Errorf("%s: unparsed %+v", origin, *m.rest())
	}
	out, err := Append(nil, m)
	if err != nil || !bytes.Equal(out, b) {
		t.Errorf("%s: %v\n got %x\nwant %x\n%v", origin, err, out, b, m)
	}
	for i := range m.table().rows {
		row := &m.table().rows[i]
		if row.get == nil {
			continue
		}
		if el, has := row.get(m); has == nil || *has {
			if c, ok := el.(*ESMContainer); ok {
				roundTrip(t, origin+" "+row.name, dir, *c)
			}
		}
	}
}
