package recent

import (
	"slices"
	"testing"
)

func TestTheOldestIsForgotten(t *testing.T) {
	m := New[int, string](3)
	for i, v := range []string{"a", "b", "c", "d"} {
		m.Set(i, v)
	}
	m.Set(1, "B")
	if _, ok := m.Get(0); ok {
		t.Error("the oldest of four is there in a map of three")
	}
	if v, _ := m.Get(1); v != "B" {
		t.Errorf("1 is %q", v)
	}
	m.Set(4, "e")
	if got := slices.Collect(m.Newest()); !slices.Equal(got, []int{4, 3, 2}) {
		t.Errorf("keys %v", got)
	}
}
