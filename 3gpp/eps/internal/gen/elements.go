package main

import (
	"bytes"
	"fmt"
	"strconv"
)

func writeElements(all []*element) []byte {
	var b bytes.Buffer
	b.WriteString(header + "import \"fmt\"\n")
	done := map[string]bool{}
	for _, e := range all {
		if e.shape == "hand" || done[e.goType] {
			continue
		}
		done[e.goType] = true
		switch e.shape {
		case "half", "octet":
			writeNumber(&b, e)
		default:
			writeOctets(&b, e)
		}
	}
	return b.Bytes()
}

// writeOctets writes the types whose value is what stands on the wire.
func writeOctets(b *bytes.Buffer, e *element) {
	t := e.goType
	var underlying, shape, decode, encode string
	text, says := `inline(v.node(""))`, "names the parts"
	switch e.shape {
	case "array":
		underlying, shape = fmt.Sprintf("[%d]byte", e.size), fmt.Sprintf("%d octets as they stand on the wire", e.size)
		decode, encode = "return fixed(v[:], b)", "v[:]..."
		if e.kind != "parts" {
			text, says = `fmt.Sprintf("%x", v[:])`, "is hexadecimal"
		}
	case "octets":
		underlying, shape = "[]byte", "octets as they stand on the wire"
		decode, encode = "*v = b; return nil", "*v..."
		if e.kind == "checked" {
			decode = fmt.Sprintf("if err := %s(b).check(); err != nil { return err }; %s", t, decode)
		}
	case "word":
		underlying, shape = "uint16", "a number of two octets"
		decode, encode = "return word((*uint16)(v), b)", "byte(*v>>8), byte(*v)"
		text, says = "fmt.Sprint(uint16(v))", "is decimal"
	}
	fmt.Fprintf(b, "\n// %s is the %s element (TS 24.301 §%s), %s.%s\n", t, e.name, e.clause, shape, e.note)
	fmt.Fprintf(b, "type %s %s\n", t, underlying)
	fmt.Fprintf(b, "func (v *%s) decode(b []byte) error { %s }\n", t, decode)
	fmt.Fprintf(b, "func (v *%s) encode(dst []byte) []byte { return append(dst, %s) }\n", t, encode)
	fmt.Fprintf(b, "// String %s.\nfunc (v %s) String() string { return %s }\n", says, t, text)
}

// writeNumber writes the types of half an octet or one, with constants: values,
// or bits of which any may be set.
func writeNumber(b *bytes.Buffer, e *element) {
	size := "an octet"
	if e.shape == "half" {
		size = "a half octet"
	}
	value := func(v string) string { return v }
	of := "values"
	if e.kind == "flags" {
		of = "bits"
		value = func(v string) string {
			if n, _ := strconv.Atoi(v); n > 0 {
				return fmt.Sprintf("1 << %d", n-1)
			}
			return "0"
		}
	}
	fmt.Fprintf(b, "\n// %s is the %s element (TS 24.301 §%s), %s.%s\n", e.goType, e.name, e.clause, size, e.note)
	fmt.Fprintf(b, "type %s uint8\n", e.goType)
	if len(e.values) > 0 {
		fmt.Fprintf(b, "\n// The %s of TS 24.301 §%s.\nconst (\n", of, e.clause)
		for _, v := range e.values {
			fmt.Fprintf(b, "%s%s %s = %s // %s\n", e.goType, v[1], e.goType, value(v[0]), v[2])
		}
		b.WriteString(")\n")
	}
	fmt.Fprintf(b, "func (v *%s) decode(b []byte) error { return octet((*uint8)(v), b, %#x) }\n", e.goType, 1<<e.size-1)
	fmt.Fprintf(b, "func (v *%s) encode(dst []byte) []byte { return append(dst, byte(*v)) }\n", e.goType)
	if e.kind == "flags" {
		writeFlagText(b, e)
		return
	}
	fmt.Fprintf(b, "// String is the meaning in the spec's words and the number.\nfunc (v %s) String() string {\n", e.goType)
	if len(e.values) > 0 {
		b.WriteString("switch v {\n")
		for _, v := range e.values {
			fmt.Fprintf(b, "case %s%s: return %q\n", e.goType, v[1], v[2]+" (#"+v[0]+")")
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(b, "return fmt.Sprintf(\"#%%d\", uint8(v))\n}\n")
}

func writeFlagText(b *bytes.Buffer, e *element) {
	fmt.Fprintf(b, "// Has says whether all bits of f are set.\nfunc (v %s) Has(f %s) bool { return v&f == f }\n", e.goType, e.goType)
	words := make([]string, 9) // of no bit, bit 1 ...
	for _, v := range e.values {
		n, _ := strconv.Atoi(v[0])
		words[n] = v[2]
	}
	fmt.Fprintf(b, "// String is the meanings of the bits that are set, in the spec's words.\nfunc (v %s) String() string { return flagText(uint8(v), %#v) }\n", e.goType, words[:e.size+1])
}
