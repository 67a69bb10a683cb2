package conformance

import "testing"

func TestReplace(t *testing.T) {
	const in = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
	got, err := replace(in, "x", "new\n")
	if err != nil || got != "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := replace(in, "y", ""); err == nil {
		t.Error("a page without the marks was accepted")
	}
}

func TestNotes(t *testing.T) {
	if got := Notes([]string{"this", "that"}); got != "1. this\n2. that\n" {
		t.Errorf("%q", got)
	}
	odd := func(i int) bool { return i%2 == 0 }
	if got := Count("200", 3, odd) + ", " + Count("200", 0, odd); got != "200 [1, 3], 200" {
		t.Errorf("%q", got)
	}
}

func TestTable(t *testing.T) {
	got := table([]string{"A", "B", "C", "D", "E", "F", "G"}, []Row{{"§", "2", "3", "4", "5", "6", "long"}})
	const want = "| A | B | C | D | E | F | G    |\n|---|---|---|---|---|---|------|\n| § | 2 | 3 | 4 | 5 | 6 | long |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
