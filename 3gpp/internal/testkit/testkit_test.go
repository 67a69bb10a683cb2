package testkit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

var sink []byte

func TestHelpers(t *testing.T) {
	if b := testkit.Unhex(t, "00 ff"); !bytes.Equal(b, []byte{0, 255}) {
		t.Errorf("%x", b)
	}
	file := filepath.Join(t.TempDir(), "rows.txt")
	if err := os.WriteFile(file, []byte("# who made it\n1 a\n\n#2 b\n3  c"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rows := testkit.Rows(t, file); !slices.EqualFunc(rows, [][]string{{"1", "a"}, {"3", "c"}}, slices.Equal) {
		t.Errorf("%q", rows)
	}
	if n := testkit.Allocated(func() { sink = make([]byte, 5000) }); n < 5000 || n > 10000 {
		t.Errorf("%d bytes for 5000", n)
	}
}
