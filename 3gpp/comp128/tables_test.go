package comp128

import "testing"

// TestTables checks what is known of the tables: version 1's give each value of
// their range twice (the first in both halves), version 2's are permutations.
func TestTables(t *testing.T) {
	for _, tc := range []struct {
		name   string
		table  []byte
		values int // how many there are
		each   int // how often
	}{
		{"v1T0", v1T0[:], 256, 1},
		{"v1T1", v1T1[:], 128, 2},
		{"v1T2", v1T2[:], 64, 2},
		{"v1T3", v1T3[:], 32, 2},
		{"v1T4", v1T4[:], 16, 2},
		{"v2T0", v2T0[:], 256, 1},
		{"v2T1", v2T1[:], 256, 1},
	} {
		seen := map[byte]int{}
		for i, v := range tc.table {
			seen[v]++
			if got := pick(tc.table, uint32(i)); got != v {
				t.Errorf("%s: picked %#x at %d, want %#x", tc.name, got, i, v)
			}
		}
		for v := range tc.values {
			if seen[byte(v)] != tc.each {
				t.Errorf("%s: value %d stands %d times, want %d", tc.name, v, seen[byte(v)], tc.each)
			}
		}
	}
}
