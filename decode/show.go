package decode

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"campanile.network/3gpp/tree"
)

// origin is where in a capture a message was.
type origin struct {
	frame    int
	time     time.Time // zero: the capture does not say
	src, dst netip.AddrPort
	sctp     bool // stream and ppid are meant
	stream   uint16
	ppid     uint32
}

// message is one that was found, decoded as far as it goes.
type message struct {
	from     *origin // nil: not of a capture
	line     int     // of text, 0 if there is one message only
	took     string  // what text was taken for: hex or base64
	protocol string
	name     string
	detail   []string    // for the one line of a summary
	head     []tree.Node // what stands before the name in JSON
	aside    string      // the same in text, behind the name
	body     []tree.Node // the information elements
	err      error
	ue       *leg // of S1AP
	nas, sms bool // there is such a message in it
}

// printer writes messages.
type printer struct {
	w      *bufio.Writer
	format Format
	view   tree.View
	buf    []byte
	shown  int
	broken int
	first  time.Time // of what was shown
	err    error     // of writing
}

func (p *printer) print(m *message) {
	p.shown++
	if m.err != nil {
		p.broken++
	}
	var err error
	switch p.format {
	case JSON:
		p.buf = append(p.json(p.buf[:0], m), '\n')
		_, err = p.w.Write(p.buf)
	case Summary:
		_, err = fmt.Fprintln(p.w, p.summary(m))
	default:
		_, err = fmt.Fprintln(p.w, p.text(m))
	}
	if p.err == nil {
		p.err = err
	}
}

// json appends the message as one object.
func (p *printer) json(b []byte, m *message) []byte {
	var n []tree.Node
	add := func(name string, v any) { n = append(n, tree.Leaf(name, v)) }
	if o := m.from; o != nil {
		if o.frame > 0 {
			add("frame", o.frame)
		} else if m.line > 0 {
			add("line", m.line)
		}
		if !o.time.IsZero() {
			add("time", o.time.Format(time.RFC3339Nano))
		}
		if o.src.IsValid() {
			add("src", o.src.String())
			add("dst", o.dst.String())
		}
		if o.sctp {
			add("stream", o.stream)
			add("ppid", o.ppid)
		}
	} else {
		if m.line > 0 {
			add("line", m.line)
		}
		add("input", m.took)
	}
	add("protocol", m.protocol)
	n = append(n, m.head...)
	if m.name != "" {
		add("message", m.name)
	}
	if len(m.body) > 0 {
		n = append(n, tree.Branch("ies", m.body...))
	}
	if m.err != nil {
		add("error", m.err.Error())
	}
	b = append(b, '{')
	b = p.view.AppendMembers(b, n)
	return append(b, '}')
}

// text is the message as a header line and a tree, with an empty line behind.
func (p *printer) text(m *message) string {
	var s strings.Builder
	if o := m.from; o != nil {
		if o.frame > 0 || m.line == 0 {
			fmt.Fprintf(&s, "#%d", o.frame)
		} else {
			fmt.Fprintf(&s, "line %d", m.line)
		}
		if !o.time.IsZero() {
			s.WriteString(" " + o.time.Format("2006-01-02 15:04:05.000000"))
		}
		if o.src.IsValid() {
			fmt.Fprintf(&s, " %v > %v", o.src, o.dst)
		}
		if o.sctp {
			fmt.Fprintf(&s, " stream %d", o.stream)
		}
	} else {
		if m.line > 0 {
			fmt.Fprintf(&s, "line %d ", m.line)
		}
		fmt.Fprintf(&s, "(%s)", m.took)
	}
	fmt.Fprintf(&s, " %s", m.protocol)
	if m.name != "" {
		s.WriteString(" " + m.name)
	}
	if m.aside != "" {
		s.WriteString(" (" + m.aside + ")")
	}
	s.WriteByte('\n')
	for _, n := range m.body {
		for line := range strings.Lines(p.view.Text(n)) {
			s.WriteString("  " + line)
		}
		s.WriteByte('\n')
	}
	if m.err != nil {
		fmt.Fprintf(&s, "  malformed: %s\n", oneLine(m.err.Error()))
	}
	return s.String()
}

// summary is the message on one line.
func (p *printer) summary(m *message) string {
	var s strings.Builder
	if o := m.from; o != nil {
		fmt.Fprintf(&s, "%6d", max(o.frame, m.line)) // one of them is 0
		if !o.time.IsZero() {
			if p.first.IsZero() {
				p.first = o.time
			}
			fmt.Fprintf(&s, " %11.6f", o.time.Sub(p.first).Seconds())
		}
		if o.src.IsValid() {
			fmt.Fprintf(&s, "  %v > %v", o.src.Addr(), o.dst.Addr())
		}
	} else {
		fmt.Fprintf(&s, "%6d", m.line)
	}
	fmt.Fprintf(&s, "  %-7s", m.protocol)
	parts := append([]string{m.name}, m.detail...)
	if m.err != nil {
		parts = append(parts, "malformed: "+oneLine(m.err.Error()))
	}
	return s.String() + " " + strings.Join(parts, " | ")
}

// oneLine keeps what a peer may have had a hand in on one line.
func oneLine(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return "?"
	}
	return strings.ReplaceAll(strings.Trim(string(b), `"`), `\"`, `"`)
}
