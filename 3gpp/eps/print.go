package eps

import (
	"fmt"
	"strings"
)

// tree prints m and the messages in its containers.
func tree(m Message) string {
	var s strings.Builder
	printMessage(&s, m, "", 0)
	return strings.TrimSuffix(s.String(), "\n")
}

// nesting bounds how many messages inside messages are printed: a NAS message
// container in a NAS message container means nothing.
const nesting = 3

func printMessage(s *strings.Builder, m Message, indent string, depth int) {
	t := m.table()
	s.WriteString(indent + t.name + "\n")
	indent += "  "
	if e, ok := m.(ESM); ok {
		ebi, pti := e.Header()
		fmt.Fprintf(s, "%sEPS bearer identity: %d\n%sProcedure transaction identity: %d\n", indent, ebi, indent, pti)
	}
	for i := range t.rows {
		row := &t.rows[i]
		if row.get == nil {
			continue
		}
		el, has := row.get(m)
		if has != nil && !*has {
			continue
		}
		var inner Message
		switch c := el.(type) {
		case *ESMContainer:
			inner, _ = Parse(t.direction(), *c)
		case *EMMContainer:
			inner, _ = Parse(t.direction(), *c)
		}
		if inner == nil || depth >= nesting {
			fmt.Fprintf(s, "%s%s: %v\n", indent, row.name, el)
			continue
		}
		fmt.Fprintf(s, "%s%s:\n", indent, row.name)
		printMessage(s, inner, indent+"  ", depth+1)
	}
	// No content: a broken element may hold an identity.
	if u := m.rest(); u.Count() > 0 {
		fmt.Fprintf(s, "%sunparsed: %d octets, elements unknown %d, repeated %d, out of sequence %d, malformed %d\n",
			indent, len(u.Octets), u.Unknown, u.Repeated, u.OutOfSequence, u.Malformed)
	}
}

// direction is how messages inside this one are read.
func (t *table) direction() Direction { return Direction(t.downlink) }
