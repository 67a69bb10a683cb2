// Package testkit is what the tests of the standards have in common: octets
// written as hex digits, files of testdata, and what a function allocates.
//
// It is for tests alone, and knows no standard.
package testkit

import (
	"encoding/hex"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Unhex returns the octets of hex digits, which may have spaces between them.
func Unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// Rows returns the words of the lines of a file, but for comments: lines that
// begin with #.
func Rows(t testing.TB, file string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); len(w) > 0 && !strings.HasPrefix(w[0], "#") {
			rows = append(rows, w)
		}
	}
	return rows
}

// Allocated returns the bytes that f allocates, the least of a few runs: other
// goroutines of the test binary allocate, too.
func Allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// Number returns the number that s is in a base; base 0 goes by its prefix.
func Number(t testing.TB, s string, base int) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
