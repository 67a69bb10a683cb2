// Package config reads strict TOML: an unknown key, a wrong type or a missing
// secret file is an error that names file, line and remedy. It knows files and
// lines, not what any setting means; the struct that is filled is the
// reference, its comment tags the documentation.
package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Error is a mistake in a file that a person can mend. Its text is one line:
// file, line, what is wrong, what to do.
type Error struct {
	File   string
	Line   int // 0 when the mistake is the whole file
	What   string
	Remedy string
}

func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Remedy == "" {
		return at + ": " + e.What
	}
	return at + ": " + e.What + "; " + e.Remedy
}

// Load fills into, a pointer to a struct, from the TOML file. Settings that
// the file leaves out keep what into had. Errors are *Error.
func Load(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &Error{file, 0, "no such file", "make one with: campanile init --home " + filepath.Dir(file) + " (for one role: --role)"}
		}
		return &Error{file, 0, err.Error(), "make it readable"}
	}
	return Parse(file, b, into)
}

// Parse is Load of octets already read; file is for error texts.
func Parse(file string, b []byte, into any) error {
	d := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	err := decode(d, into)
	if err == nil {
		return nil
	}
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := strict.Errors[0]
		line, _ := e.Position()
		key := strings.Join(e.Key(), ".")
		return &Error{file, line, fmt.Sprintf("unknown key %q", key), remedy(key, into)}
	}
	if e := misfit(file, b, into); e != nil {
		return e
	}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ := de.Position()
		what := strings.TrimPrefix(de.Error(), "toml: ")
		if key := strings.Join(de.Key(), "."); key != "" {
			what = key + ": " + what
		}
		return &Error{file, line, what, "see the comments that campanile init writes"}
	}
	return &Error{file, 0, strings.TrimPrefix(err.Error(), "toml: "), ""}
}

// decode is Decode, which panics at a header that goes on into an array with nothing in
// it, such as [[gateway.apns.static]].
func decode(d *toml.Decoder, into any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a header, [...] or [[...]], names something in a list that has nothing yet (%v)", r)
		}
	}()
	return d.Decode(into)
}

// remedy names the known key most like the unknown one.
func remedy(key string, into any) string {
	best, least := "", 4
	for _, k := range keys(reflect.TypeOf(into), "") {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return "remove it; campanile init writes every key there is"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

func keys(t reflect.Type, prefix string) (out []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			out = append(out, keys(t.Field(i).Type, prefix)...)
			continue
		}
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name == "" {
			continue
		}
		out = append(out, prefix+name)
		out = append(out, keys(t.Field(i).Type, prefix+name+".")...)
	}
	return out
}

// distance counts the letters to change, add or drop between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Write renders v, a struct with toml and comment tags, to a file that must
// not exist yet.
func Write(file string, v any) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).SetIndentTables(false).Encode(v); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return WriteNew(file, b.Bytes(), 0o644)
}

// WriteNew writes a file that must not exist yet, and its folders.
func WriteNew(file string, b []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// Secret reads a file of 2*n hexadecimal digits that nobody but its owner may
// read. Errors are *Error.
func Secret(file string, n int) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, &Error{file, 0, "secret file is missing", ""}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &Error{file, 0, fmt.Sprintf("others may read this secret (mode %04o)", info.Mode().Perm()), "run: chmod 600 " + file}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{file, 0, "secret file cannot be read", "check its owner"}
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != n {
		return nil, &Error{file, 1, fmt.Sprintf("%d characters: want %d hexadecimal digits", len(strings.TrimSpace(string(b))), 2*n), ""}
	}
	return key, nil
}

// WriteSecret writes what Secret reads, mode 0600, to a file that must not
// exist yet.
func WriteSecret(file string, b []byte) error {
	return WriteNew(file, []byte(hex.EncodeToString(b)+"\n"), 0o600)
}

// Duration is a time span as people write it: "10s", "1h30m".
type Duration time.Duration

// MarshalText writes "10s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "10s"; a negative span is an error.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no time span: write such as \"10s\" or \"1h30m\"", b)
	}
	*d = Duration(v)
	return nil
}

// Line finds the line on which a key such as "mme.address" is set in a TOML
// file, to point at it: 0 when the file does not say. "sip.trunks[2].name" is
// the key of the second [[sip.trunks]]; without it that section's line counts.
func Line(file, key string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return lineOf(string(b), key)
}

// lineOf is Line in a file's text.
func lineOf(text, key string) int {
	table, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	now, n, begins, seen := "", 0, 0, map[string]int{}
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "[["); ok {
			now, _, _ = strings.Cut(head, "]")
			seen[now]++
			if now = fmt.Sprintf("%s[%d]", now, seen[now]); now == table {
				begins = n
			}
			continue
		}
		if head, ok := strings.CutPrefix(line, "["); ok {
			now, _, _ = strings.Cut(head, "]")
			continue
		}
		if k, _, ok := strings.Cut(line, "="); ok && now == table && strings.TrimSpace(k) == name {
			return n
		}
	}
	return begins
}

// Section finds the line on which a table such as "mme" begins in a TOML file:
// 0 when the file has none.
func Section(file, table string) int {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if head, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			if now, _, _ := strings.Cut(head, "]"); strings.TrimSpace(now) == table {
				return n
			}
		}
	}
	return 0
}
