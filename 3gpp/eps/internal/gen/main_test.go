package main

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The committed files are what the tables give.
func TestGenerated(t *testing.T) {
	dir := filepath.Join("..", "..")
	elements, err := readElements(filepath.Join(dir, "elements.md"))
	if err != nil {
		t.Fatal(err)
	}
	messages, err := readMessages(filepath.Join(dir, "messages.md"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := writeMessages(messages, elements)
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string][]byte{"messages_gen.go": src, "elements_gen.go": writeElements(elements)} {
		want, err := format.Source(src)
		if err != nil {
			t.Fatal(name, err)
		}
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the tables give; run go generate (%v)", name, err)
		}
	}
}

// A mistake in a table is named with its file and line.
func TestMistakes(t *testing.T) {
	const head = "### A = EMM 0x41 uplink: A (§8.2.1)\n| IEI | Information element | Type | Pres. | Format | Length | Field |\n|-|-|-|-|-|-|-|\n"
	elements := []*element{{goType: "Octets", shape: "hand", name: "Known"}}
	for text, want := range map[string]string{
		"### A is EMM\n":                                  "m.md:1: heading",
		head + "| 50 | short |":                           "m.md:4: 2 columns",
		head + "| 50 | X | Unknown | O | TLV | 3 | X |":   `A: X: type "Unknown"`,
		head + "| 50 | X | Known | O | TLW | 3 | X |":     `A: X: format "TLW"`,
		head + "| 5Z | X | Known | O | TLV | 3 | X |":     `A: X: IEI "5Z"`,
		head + "| 50 | X | Known | O | TLV | three | X |": `A: X: length "three"`,
		head + "| 50 | X | Known | O | TLV | 3-m | X |":   `A: X: length "3-m"`,
	} {
		name := filepath.Join(t.TempDir(), "m.md")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		messages, err := readMessages(name)
		if err == nil {
			_, err = writeMessages(messages, elements)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every entry of elements.md is the type of an element of some message, and
// what stays raw says why.
func TestElementsAreUsed(t *testing.T) {
	elements, err := readElements(filepath.Join("..", "..", "elements.md"))
	if err != nil {
		t.Fatal(err)
	}
	messages, err := readMessages(filepath.Join("..", "..", "messages.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range messages {
		for _, r := range m.rows {
			used[r.typ] = true
		}
	}
	for _, e := range elements {
		if !used[e.name] {
			t.Errorf("no message has the element %s", e.name)
		}
		if e.goType == "Octets" && !strings.Contains(e.note, "Raw: ") {
			t.Errorf("%s is raw without a reason", e.name)
		}
	}
}
