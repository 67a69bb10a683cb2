package eps

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/conformance"
)

// TestConformance writes what the tests of this package establish, message by
// message. It makes the random instances anew and looks for goldens in
// testdata; tshark's column is what TestTsharkReadsRandomInstances and
// TestTsharkExceptions would fail without.
func TestConformance(t *testing.T) {
	clauses, goldens := clausesOf(t), goldensOf(t)
	var rows []conformance.Row
	index := map[reflect.Type]int{}
	directions := map[reflect.Type]int{}
	for _, k := range kinds() {
		directions[reflect.TypeOf(k.new())]++
	}
	for _, k := range kinds() {
		thereAndBack(t, k)
		kind := reflect.TypeOf(k.new())
		if _, ok := index[kind]; ok {
			continue
		}
		index[kind] = len(rows)
		name, count := k.new().table().name, fmt.Sprint(perMessage)
		switch {
		case k.new().MessageType() == TypeDetachRequest && k.dir == Uplink:
			name += ", from the UE"
		case k.new().MessageType() == TypeDetachRequest:
			name += ", from the network"
		case directions[kind] == 2:
			count += " each way"
		}
		rows = append(rows, conformance.Row{Message: name, Clause: clauses[kind.Elem().Name()],
			Parse: count, Append: count, Fuzz: "FuzzParse", Tshark: tsharkCount(count, k.new().table()), Golden: strings.Join(goldens[kind], ", ")})
	}
	if len(rows) < 61 {
		t.Errorf("%d messages, TS 24.301 §8.2 and §8.3 have 61 tables", len(rows))
	}
	slices.SortStableFunc(rows, func(a, b conformance.Row) int { return compareClauses(a.Clause, b.Clause) })
	conformance.Check(t, "eps", conformanceText(), rows)
}

// thereAndBack appends and parses random instances of k.
func thereAndBack(t *testing.T, k kind) {
	t.Helper()
	r := rand.New(rand.NewPCG(24, 303))
	for i := range perMessage {
		in := valid(t, r, k, i%11, func(*table, *row) bool { return false })
		b, err := Append(nil, in.m)
		if err != nil {
			t.Fatalf("%v: %v", k, err)
		}
		back, err := Parse(k.dir, b)
		if err != nil || !reflect.DeepEqual(back, in.m) {
			t.Fatalf("%v: %x: %v\n got %v\nwant %v", k, b, err, back, in.m)
		}
		if again, err := Append(nil, back); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v: %v\n got %x\nwant %x", k, err, again, b)
		}
	}
}

// clausesOf are the clauses of messages.md by Go type.
func clausesOf(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("messages.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^### (\w+) = .* \((§[0-9A-Z.]+)\)$`).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = "TS 24.301 " + m[2]
	}
	return all
}

// compareClauses sorts §8.2.9 before §8.2.10, and §8.3.12 before §8.3.12A.
func compareClauses(a, b string) int {
	pad := func(s string) string {
		return regexp.MustCompile(`\d+`).ReplaceAllStringFunc(s, func(n string) string { return fmt.Sprintf("%04s", n) })
	}
	return strings.Compare(pad(a), pad(b))
}

// goldensOf are the origins of the messages in testdata, also of those in
// containers.
func goldensOf(t *testing.T) map[reflect.Type][]string {
	t.Helper()
	all := map[reflect.Type][]string{}
	var add func(origin string, dir Direction, b []byte)
	add = func(origin string, dir Direction, b []byte) {
		m, err := Parse(dir, b)
		if err != nil {
			return
		}
		if kind := reflect.TypeOf(m); !slices.Contains(all[kind], origin) {
			all[kind] = append(all[kind], origin)
		}
		for i := range m.table().rows {
			if row := &m.table().rows[i]; row.get != nil {
				if el, has := row.get(m); has == nil || *has {
					if c, ok := el.(*ESMContainer); ok {
						add(origin, dir, *c)
					}
				}
			}
		}
	}
	for _, p := range captured(t) {
		add("srsRAN", p.dir, p.plain)
	}
	for _, p := range heard(t) {
		if p.plain != nil && strings.Contains(p.origin, "iphone6") {
			add("iPhone 6", p.dir, p.plain)
		} else if p.plain != nil {
			add("phones", p.dir, p.plain)
		}
	}
	for _, file := range pycrateFiles {
		for _, f := range foreigners(t, file) {
			add("pycrate", f.dir, f.octets)
		}
	}
	return all
}

// tsharkCount says which exceptions a message needs.
func tsharkCount(count string, tab *table) string {
	return conformance.Count(count, len(exceptions), func(i int) bool {
		return slices.ContainsFunc(tab.rows, func(row row) bool { return row.name == exceptions[i].element })
	})
}

func conformanceText() string {
	var notes []string
	for _, e := range exceptions {
		notes = append(notes, e.element+": "+e.reason)
	}
	return fmt.Sprintf(`All messages of TS 24.301 §8.2 and TS 24.301 §8.3, Release 17. A random instance has from none to all of its optional elements,
and random messages in its containers. What tshark shows is compared with what was put there for elements of %d names: all but some of
the exceptions. An exception is an element that tshark 4.0 misreads: the instances counted are without it, and others with it alone must draw
just the complaint expected, so that no exception outlives its reason:

`, len(tsharkFields)) + conformance.Notes(notes) + `
Goldens: *srsRAN* is attach, service request, paging and detach between srsRAN's phone and core; *iPhone 6* the attach of a
phone to a network with voice, published on pcapr.net; *phones* the messages of phones and networks in pycrate's test suite;
*pycrate* octets that this Python library wrote when given values by name, compared value by value. Where pycrate differs from the
specification the files say so and leave the element out. One message is not written again as it came: that network puts 0 before
a TMSI in a mobile identity, and we put the 1111 of TS 24.008 §10.5.1.4.
`
}
