package config

import (
	"slices"
	"testing"
	"time"
)

// What two configurations do not have in common is named as a person writes it.
func TestDifferences(t *testing.T) {
	type inner struct {
		List []string `toml:"list,multiline"`
	}
	type table struct {
		Name string    `toml:"name"`
		At   time.Time `toml:"at"`
		inner
		Table inner `toml:"table"`
		path  string
	}
	type file struct {
		A    table  `toml:"a"`
		B    table  `toml:"b"`
		Home string `toml:"-"`
	}
	now := time.Now()
	a := file{A: table{Name: "one", At: now, inner: inner{[]string{"x"}}, path: "here"}, Home: "here"}
	b := file{A: table{Name: "two", At: now.Add(1), inner: inner{[]string{"y"}}, path: "there"}, B: table{Table: inner{[]string{}}}, Home: "there"}
	if got, want := Differences(a, b, "a.name"), []string{"a.at", "a.list", "b.table.list"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Differences(a, a); got != nil {
		t.Errorf("with itself: %v", got)
	}
}
