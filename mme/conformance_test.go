package mme

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notOurs are the letters of clauses with abnormal cases that have no test here, and
// why.
var notOurs = []struct{ clause, why string }{
	{"TS 24.301 §5.4.2.7 f to i, k", "the phone's"},
	{"TS 24.301 §5.6.1.6", "the phone's; the network's are §5.6.1.7"},
	{"TS 36.413 §8.2.1.4, §8.2.2.4, §8.2.3.4", "the eNB's: what it makes of an E-RAB that a request has twice, that is there already or that is not. This MME never asks so, and takes what the eNB failed as failed (§8.2.1.2)"},
	{"TS 36.413 §8.2.4.4", "of E-RAB MODIFICATION INDICATION, which is for dual connectivity; this MME does not have it, and says so (§10.3.4.1)"},
	{"TS 36.413 §8.3.1.4, §8.3.4.4", "the eNB's: what it makes of a context setup or modification that it cannot follow. Its answer is §8.3.1.3 and §8.3.4.3"},
	{"TS 36.413 §8.3.5 to §8.3.10", "procedures that this MME does not have: radio capability match, modification indication, suspend, resume, connection establishment indication, retrieval of UE information. Those that an eNB begins are answered by §10.3.4.1"},
	{"TS 36.413 §8.4.1.4, §8.4.5.4", "the source eNB's: its timers and an acknowledgement that does not come"},
	{"TS 36.413 §8.4.2.4, §8.4.7.4", "the target eNB's: a request, or the status of a phone, of which it can make nothing"},
	{"TS 36.413 §8.4.3, §8.4.6", "name no abnormal conditions of an MME; a HANDOVER NOTIFY or ENB STATUS TRANSFER without a handover is dropped and counted (§10.4 below)"},
	{"TS 36.413 §8.5", "names none: paging has no answer; what follows if the phone does not come is TS 24.301 §5.6.2"},
	{"TS 36.413 §8.6.2.2, §8.6.2.3", "name none; a message for ids that are not a phone's is §10.6"},
	{"TS 36.413 §8.7.1.3.2", "the eNB's"},
	{"TS 36.413 §8.7.2", "names none of its own; who answers an ERROR INDICATION is §10.5"},
	{"TS 36.413 §8.7.6, §8.7.7", "name none: overload start and stop have no answer"},
	{"TS 36.413 §8.8, §8.10, §8.12 to §8.14, §8.17", "procedures that this MME does not have (cdma2000, trace, warnings, RIM, LPPa); those that an eNB begins are answered or dropped by §10.3.4.1"},
	{"TS 36.413 §8.9", "names none: the capability that came last is the one"},
	{"TS 36.413 §8.11", "a report that the eNB cannot make is LOCATION REPORTING FAILURE INDICATION, TestLocationReporting"},
	{"TS 36.413 §10.3.1 to §10.3.3", "say what the others mean"},
	{"TS 36.413 §10.4, of procedures without an answer", "not answered with ERROR INDICATION but dropped and counted: where two S1 associations and a phone between them cross, such a message is everyday and nobody's error"},
}

// abnormal are the clauses whose letters are listed, with the last of each.
var abnormal = map[string]rune{"5_4_2_7": 'j', "5_4_3_7": 'e', "5_5_1_2_7": 'h', "5_5_3_2_7": 'g', "5_6_1_7": 'e',
	"6_4_1_6": 'a', "6_4_2_6": 'b', "6_4_3_6": 'b', "6_4_4_5": 'b', "6_5_1_7": 'a', "6_5_3_6": 'a', "6_5_4_6": 'a', "6_6_1_2_6": 'a', "7_3_1": 'a', "7_3_2": 'a'}

// s1apAbnormal are the clauses of TS 36.413 §8 and §10 that ask something of an MME
// when things go wrong: unsuccessful operation and abnormal conditions.
var s1apAbnormal = []string{"8_3_1_3", "8_3_2_2", "8_3_3_2", "8_3_4_3", "8_4_1_3", "8_4_2_3", "8_4_4_3", "8_4_4_4", "8_4_5_2", "8_6_2_1", "8_6_2_4",
	"8_7_1_3_1", "8_7_1_3_3", "8_7_3_3", "8_7_3_4", "8_7_4_3", "8_7_4_4", "8_7_5_3", "8_7_5_4",
	"10_2", "10_3_4_1", "10_3_4_2", "10_3_5", "10_3_6", "10_4", "10_5", "10_6"}

// clauseTest is a test named by its clause and letter, and what its comment says. A
// clause of TS 36.413, which has no letters, has 36413 before it.
type clauseTest struct{ spec, clause, letter, name, says string }

var testName = regexp.MustCompile(`^TestAbnormal_(?:36413_((?:\d+_)*\d+)|((?:\d+_)*\d+)_([a-z]))(?:_[A-Za-z]\w*)?$`)

// TestConformance writes which test plays which abnormal case into
// docs/conformance.md, and fails where a letter has none.
func TestConformance(t *testing.T) {
	tests := clauseTests(t)
	has := map[string]bool{}
	for _, x := range tests {
		has[x.clause+x.letter] = true
	}
	for clause, last := range abnormal {
		for l := 'a'; l <= last; l++ {
			phones := clause == "5_4_2_7" && l >= 'f' && l <= 'i'
			if name := "TestAbnormal_" + clause + "_" + string(l); !phones && !has[clause+string(l)] {
				t.Errorf("no %s", name)
			}
		}
	}
	for _, clause := range s1apAbnormal {
		if !has[clause] {
			t.Errorf("no TestAbnormal_36413_%s", clause)
		}
	}
	var s strings.Builder
	s.WriteString("| Clause | What happens | Test |\n|---|---|---|\n")
	for _, x := range tests {
		fmt.Fprintf(&s, "| %s | %s | %s |\n", strings.TrimSpace(x.spec+" §"+strings.ReplaceAll(x.clause, "_", ".")+" "+x.letter), x.says, x.name)
	}
	for _, n := range notOurs {
		fmt.Fprintf(&s, "| %s | %s | |\n", n.clause, n.why)
	}
	section(t, "mme", s.String())
}

// clauseTests reads this package's tests.
func clauseTests(t *testing.T) (out []clauseTest) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "TestAbnormal_") {
				continue
			}
			m := testName.FindStringSubmatch(fn.Name.Name)
			_, says, found := strings.Cut(strings.Join(strings.Fields(fn.Doc.Text()), " "), ": ")
			if m == nil || !found {
				t.Errorf("%s: %s is not named by clause and letter, or its comment does not begin with them and a colon", f, fn.Name.Name)
				continue
			}
			spec := "TS 24.301"
			if m[1] != "" {
				spec = "TS 36.413"
			}
			out = append(out, clauseTest{spec, m[1] + m[2], m[3], fn.Name.Name, says})
		}
	}
	slices.SortFunc(out, func(a, b clauseTest) int { return cmp.Or(cmp.Compare(a.spec, b.spec), cmp.Compare(a.name, b.name)) })
	return out
}

// section checks a section of docs/conformance.md, or writes it, as the packages
// under 3gpp do.
func section(t *testing.T, name, body string) {
	t.Helper()
	const page = "../docs/conformance.md"
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(old), begin)
	was, after, ok2 := strings.Cut(rest, end)
	switch {
	case !ok || !ok2:
		t.Errorf("%s: no marks %s and %s", page, strings.TrimSpace(begin), end)
	case was == body || t.Failed():
	case os.Getenv("CONFORMANCE") != "update":
		t.Errorf("%s: the section %s is not what the tests say; make generate writes it", page, name)
	default:
		if err := os.WriteFile(page, []byte(before+begin+body+end+after), 0o644); err != nil {
			t.Error(err)
		}
	}
}
