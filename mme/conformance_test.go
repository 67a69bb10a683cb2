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
var notOurs = map[string]string{
	"TS 24.301 §5.4.2.7 f to i, k": "the phone's",
	"TS 24.301 §5.6.1.6":           "the phone's; the network's are §5.6.1.7",
}

// abnormal are the clauses whose letters are listed, with the last of each.
var abnormal = map[string]rune{"5_4_2_7": 'j', "5_4_3_7": 'e', "5_5_1_2_7": 'h', "5_5_3_2_7": 'g', "5_6_1_7": 'e',
	"6_4_1_6": 'a', "6_4_2_6": 'b', "6_4_3_6": 'b', "6_4_4_5": 'b', "6_5_1_7": 'a', "6_5_3_6": 'a', "6_5_4_6": 'a', "6_6_1_2_6": 'a', "7_3_1": 'a', "7_3_2": 'a'}

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
	var s strings.Builder
	s.WriteString("| Clause | What happens | Test |\n|---|---|---|\n")
	for _, x := range tests {
		fmt.Fprintf(&s, "| %s | %s | %s |\n", strings.TrimSpace(x.spec+" §"+strings.ReplaceAll(x.clause, "_", ".")+" "+x.letter), x.says, x.name)
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range notOurs {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Fprintf(&s, "| %s | %s | |\n", k, notOurs[k])
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
