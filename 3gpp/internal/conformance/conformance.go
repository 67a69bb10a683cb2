// Package conformance writes docs/conformance.md: which message of a standard is
// parsed, appended, fuzzed, shown to tshark and held against octets that others
// made. Tests call it with what they themselves have just established, so that
// the page cannot say more than they do.
//
// It knows no standard; each package under 3gpp has a section of its own.
package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Row is one message. Every cell needs words: an empty one is a hole.
type Row struct {
	Message string // the specification's name
	Clause  string // "TS 36.413 §9.1.4.1"
	Parse   string // how many random instances were read
	Append  string // how many were written
	Fuzz    string // the target that has it as a seed
	Tshark  string // how many tshark read: a Count
	Golden  string // who made octets of this message
}

func (r Row) cells() []string {
	return []string{r.Message, r.Clause, r.Parse, r.Append, r.Fuzz, r.Tshark, r.Golden}
}

// Notes is the numbered list of a section's exceptions.
func Notes(notes []string) string {
	var s strings.Builder
	for i, n := range notes {
		fmt.Fprintf(&s, "%d. %s\n", i+1, n)
	}
	return s.String()
}

// Count is a cell: how many instances, and in brackets the numbers of the notes
// for which apply is true.
func Count(instances string, notes int, apply func(note int) bool) string {
	var numbers []string
	for i := range notes {
		if apply(i) {
			numbers = append(numbers, strconv.Itoa(i+1))
		}
	}
	if numbers == nil {
		return instances
	}
	return instances + " [" + strings.Join(numbers, ", ") + "]"
}

const page = "docs/conformance.md"

// Check fails t where a row has a hole and where the section of the page is not
// these rows below that text. With CONFORMANCE=update in the environment (make
// generate) the section is written instead; the page has to have its two marks,
// <!-- section --> and <!-- /section -->.
func Check(t *testing.T, section, text string, rows []Row) {
	t.Helper()
	head := Row{"Message", "Clause", "Parse", "Append", "Fuzz", "tshark", "Golden"}.cells()
	for _, r := range rows {
		for i, c := range r.cells() {
			if c == "" {
				t.Errorf("%s: no %s for %q", section, strings.ToLower(head[i]), r.Message)
			}
		}
	}
	path := root(t) + "/" + page
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now, err := replace(string(old), section, strings.TrimSpace(text)+"\n\n"+table(head, rows))
	if err != nil {
		t.Fatal(err)
	}
	if now == string(old) || t.Failed() {
		return
	}
	if os.Getenv("CONFORMANCE") != "update" {
		t.Errorf("%s: the section %s is not what the tests establish; make generate writes it", page, section)
		return
	}
	if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
		t.Fatal(err)
	}
}

// root is the module's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

func replace(s, section, body string) (string, error) {
	begin, end := "<!-- "+section+" -->\n", "<!-- /"+section+" -->"
	before, rest, ok := strings.Cut(s, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("%s: no marks %s and %s", page, strings.TrimSpace(begin), end)
	}
	return before + begin + body + end + after, nil
}

func table(head []string, rows []Row) string {
	width := make([]int, len(head))
	all := [][]string{head, nil}
	for _, r := range rows {
		all = append(all, r.cells())
	}
	for _, cells := range all {
		for i, c := range cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var s strings.Builder
	for _, cells := range all {
		for i, w := range width {
			if cells == nil {
				s.WriteString("|" + strings.Repeat("-", w+2))
			} else {
				s.WriteString("| " + cells[i] + strings.Repeat(" ", w-utf8.RuneCountInString(cells[i])+1))
			}
		}
		s.WriteString("|\n")
	}
	return s.String()
}
