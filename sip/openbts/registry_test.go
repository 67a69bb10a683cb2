package openbts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const registry = "testdata/sqlite-3.40.1-registry.db"

func TestReadRegistry(t *testing.T) {
	r, err := ReadRegistry(registry, "comp128v2")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range r.Subscribers {
		line := fmt.Sprintf("%s %s %s %x", s.IMSI.Digits(), s.MSISDN.Digits(), s.Algorithm, s.Ki[:2])
		for _, n := range s.Notes {
			line += " (" + n + ")"
		}
		got = append(got, line)
	}
	for _, x := range r.Refused {
		got = append(got, x.Who+" "+x.Why)
	}
	for i, want := range []string{
		"999700000001001 2101 comp128v2 0011",
		"999700000001002 12025550102 comp128v3 ffee",
		"999700000001003  comp128v1 ffee (its number is left out: it is that of",
		"999700000001007  comp128v2 ffee (its number is left out: front desk is no telephone number",
		"IMSI999700000001004 has no Ki",
		"IMSI999700000001005 has a Ki that is not",
		"IMSI999700000001001 is in the table twice",
		"zoiper is no SIM",
		"IMSI12 has no IMSI",
		"IMSI999700000001006 computes Milenage",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("line %d: want %q", i, want)
		}
	}
	if len(got) != 10 || t.Failed() {
		t.Error(strings.Join(got, "\n"))
	}
	if s := fmt.Sprintf("%+v %s", r, r.Subscribers[0].Ki); strings.Contains(s, "aabbccdd") || strings.Contains(s, "170 187") {
		t.Errorf("a key is printed: %s", s)
	}
	if _, err := ReadRegistry(registry, "md5"); err == nil {
		t.Error("any algorithm is taken")
	}
}

func TestFilesThatAreNone(t *testing.T) {
	whole, err := os.ReadFile(registry)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"text": {[]byte("IMSI001"), "no SQLite"}, "cut": {whole[:len(whole)/2], "damaged"}, "utf16": {with(whole, 59, 2), "UTF-8"},
		"odd page": {with(whole, 17, 3), "damaged"}, "other": {with(whole, bytes.Index(whole, []byte("SIP_BUDDIES")), 'T', 'O', 'P'), "SIP_BUDDIES"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRegistry(path, "comp128v1"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(dir, "live.db")
	os.WriteFile(path, whole, 0o600)
	os.WriteFile(path+"-wal", []byte("frames"), 0o600)
	if _, err := ReadRegistry(path, "comp128v1"); err == nil || !strings.Contains(err.Error(), ".backup") {
		t.Errorf("with changes beside it: %v", err)
	}
}

func with(b []byte, at int, v ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], v)
	return b
}

// What SQLite itself has written is read whole: many pages, values longer than
// one, holes, numbers of every width, all page sizes.
func TestAgainstSQLite(t *testing.T) {
	path, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sqlite3 is not installed: apt-get install sqlite3")
		}
		t.Skip("sqlite3 is not installed: apt-get install sqlite3")
	}
	for _, page := range []int{512, 4096, 65536} {
		file := filepath.Join(t.TempDir(), "x.db")
		sql := fmt.Sprintf(`PRAGMA page_size=%d; CREATE TABLE T (a INTEGER PRIMARY KEY, b TEXT, c, d REAL, PRIMARY_b CHECK(b <> 'x,(y'), UNIQUE(b, a));
BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3000)
INSERT INTO T(a,b,c,d) SELECT i*7, printf('%%.*c', (i*i)%%3000, 'x'), CASE i%%4 WHEN 0 THEN NULL WHEN 1 THEN (i*i-5000)*i*i*i WHEN 2 THEN x'00ff' ELSE i%%2 END, i/8.0 FROM n;
DELETE FROM T WHERE a%%10 = 3; COMMIT;
SELECT a, b, c, d FROM T ORDER BY a;`, page)
		cmd := exec.Command(path, "-separator", "|", file)
		cmd.Stdin = strings.NewReader(sql)
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		d, err := openDatabase(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(want)), "\n")
		n := 0
		err = d.rows("t", func(r row) error {
			w := strings.Split(lines[n], "|")
			n++
			c := w[2]
			if c == "\x00\xff" || strings.HasPrefix(c, "\x00") || c == "" { // the shell ends a blob at its first zero
				c = r["c"]
			}
			if d := strings.TrimSuffix(w[3], ".0"); r["a"] != w[0] || r["b"] != w[1] || r["c"] != c || r["d"] != d {
				return fmt.Errorf("row %d: %.60q, want %.60q", n, r, w)
			}
			return nil
		})
		if err != nil || n != len(lines) || n < 2500 {
			t.Errorf("pages of %d: %d of %d rows, %v", page, n, len(lines), err)
		}
	}
}

func FuzzDatabase(f *testing.F) {
	b, err := os.ReadFile(registry)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := readDatabase(b)
		if err != nil {
			return
		}
		d.registry("comp128v1")
	})
}
