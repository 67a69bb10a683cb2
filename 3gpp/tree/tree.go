// Package tree is a decoded message as names and values: what the packages of
// the standards give to whoever shows messages to people, as text or JSON.
//
// It is a view, not a model: nothing is encoded from it, and a name in it is the
// specification's own, not this library's.
package tree

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Node is an element of a message: a leaf with a Value, or a branch with Nodes.
type Node struct {
	Name  string // as the specification writes it
	Value any    // of a leaf: string, bool, integer, []byte (shown as hex) or what prints itself; nil of a branch
	// Masked stands in place of the value of an identity or key wherever such
	// things are hidden; "" says that Value may always be shown.
	Masked string
	Nodes  []Node
	List   bool // Nodes are the elements of a list: an array in JSON
}

// Leaf makes a node with a value.
func Leaf(name string, value any) Node { return Node{Name: name, Value: value} }

// Branch makes a node with named parts.
func Branch(name string, nodes ...Node) Node { return Node{Name: name, Nodes: nodes} }

// View says how nodes are shown.
type View struct {
	Mask bool // hide identities and keys: show Masked where there is one
}

// Text gives n as indented lines, a leaf to a line, without a final newline.
func (v View) Text(n Node) string {
	var s strings.Builder
	v.text(&s, n, "", n.Name)
	return strings.TrimSuffix(s.String(), "\n")
}

func (v View) text(s *strings.Builder, n Node, indent, name string) {
	s.WriteString(indent + name)
	if n.Value != nil || n.Masked != "" {
		s.WriteString(": " + line(v.value(n)))
	} else if len(n.Nodes) == 0 && n.List {
		s.WriteString(": none")
	}
	s.WriteByte('\n')
	for i := range n.Nodes {
		name := n.Nodes[i].Name
		if n.List {
			name = strings.TrimSuffix("["+strconv.Itoa(i)+"] "+name, " ")
		}
		v.text(s, n.Nodes[i], indent+"  ", name)
	}
}

// line keeps a value that a peer sent on one line of printable characters.
func line(value any) string {
	t := fmt.Sprint(value)
	for _, r := range t {
		if !strconv.IsPrint(r) {
			q := strconv.Quote(t)
			return q[1 : len(q)-1]
		}
	}
	return t
}

// value is what is shown of a leaf.
func (v View) value(n Node) any {
	if v.Mask && n.Masked != "" {
		return n.Masked
	}
	switch x := n.Value.(type) {
	case []byte:
		return hex.EncodeToString(x)
	case bool, string, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return x
	}
	return fmt.Sprint(n.Value)
}

// AppendJSON appends what n holds, without its name, to dst: a branch is an
// object, a list an array, octets a string of hex digits. Parts that share a
// name become an array under it, where the first of them stands.
func (v View) AppendJSON(dst []byte, n Node) []byte {
	switch {
	case n.List:
		return v.array(dst, n.Nodes)
	case n.Value == nil && n.Masked == "":
		dst = append(dst, '{')
		dst = v.AppendMembers(dst, n.Nodes)
		return append(dst, '}')
	}
	return appendValue(dst, v.value(n))
}

// appendValue appends a string, bool or integer, with < > & as they are.
func appendValue(dst []byte, value any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return append(dst, "null"...) // of no kind that value gives
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

func (v View) array(dst []byte, nodes []Node) []byte {
	dst = append(dst, '[')
	for i, n := range nodes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.AppendJSON(dst, n)
	}
	return append(dst, ']')
}

// AppendMembers appends nodes as the members of an object, without its braces.
func (v View) AppendMembers(dst []byte, nodes []Node) []byte {
	named := make(map[string][]Node, len(nodes))
	for _, n := range nodes {
		named[n.Name] = append(named[n.Name], n)
	}
	first := true
	for _, n := range nodes {
		same := named[n.Name]
		if same == nil {
			continue // stands with the first of its name
		}
		delete(named, n.Name)
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendValue(dst, n.Name), ':')
		if len(same) == 1 {
			dst = v.AppendJSON(dst, n)
		} else {
			dst = v.array(dst, same)
		}
	}
	return dst
}
