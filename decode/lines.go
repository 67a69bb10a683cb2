package decode

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// lines is text that is read line by line: a message in each, or dumps over
// several.
type lines struct {
	x    *run
	n    int    // of the line
	at   int    // where the message began that goes on
	dump []byte // of a hex dump; nil outside one
	open []byte // of a message that goes on over lines
	skip bool   // a dump that is not of a frame
}

// text reads a message in each line, or hex dumps.
func (x *run) text(ctx context.Context, in *bufio.Reader) error {
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	l := &lines{x: x}
	for scan.Scan() && x.p.err == nil && ctx.Err() == nil {
		l.n++
		if err := l.line(uncommented(scan.Bytes())); err != nil {
			return fmt.Errorf("%w: line %d: %w", errInput, l.n, err)
		}
		if in.Buffered() == 0 {
			x.flush()
		}
	}
	l.end()
	if err := scan.Err(); err != nil {
		return fmt.Errorf("%w: line %d: %w", errInput, l.n+1, err)
	}
	return errors.Join(ctx.Err(), x.p.err)
}

// end ends what went on over lines.
func (l *lines) end() {
	if l.dump != nil {
		l.x.alone(&message{took: "hex", line: l.at}, l.dump)
	}
	line := string(l.open)
	l.dump, l.open = nil, l.open[:0]
	if line != "" {
		l.message(line)
	}
}

func (l *lines) line(line string) error {
	if l.skip = l.skip && line != ""; l.skip {
		return nil
	}
	if line == "" || l.x.o.Input == "auto" && modemSays(line) {
		l.end()
		return nil
	}
	if name := source.FindStringSubmatch(line); name != nil {
		l.end()
		l.skip = name[1] != "Frame"
		return nil
	}
	if took, err := l.dumped(line); took || err != nil {
		return err
	}
	if l.dump != nil && strings.TrimLeft(line, "0123456789abcdefABCDEF") == "" && len(line) < 9 {
		l.end() // od's last line: an offset alone
		return nil
	}
	if l.dump != nil {
		l.end()
	}
	if len(l.open) == 0 {
		l.at = l.n
	}
	if len(l.open)+len(line) > maxLine {
		return fmt.Errorf("an array of more than %d characters", maxLine)
	}
	l.open = append(l.open, line...)
	if !goesOn(line) {
		l.end()
	}
	return nil
}

// dumped takes a line of a hex dump; false when it is none.
func (l *lines) dumped(line string) (bool, error) {
	offset, b, ok := dumpLine(line)
	if !ok || l.x.o.Input == "base64" || offset != 0 && l.dump == nil {
		return false, nil
	}
	if offset == 0 {
		l.end()
		l.at, l.dump = l.n, []byte{}
	}
	if offset != len(l.dump) || len(l.dump)+len(b) > maxRaw {
		return true, fmt.Errorf("the dump's offset is %#x behind %#x octets", offset, len(l.dump))
	}
	l.dump = append(l.dump, b...)
	return true, nil
}

// message shows the message of a line, or of the lines of an array.
func (l *lines) message(line string) {
	line = inBraces(line)
	if strings.Trim(line, "{}();,") == "" {
		return // the end of an array
	}
	b, took, err := octets(line, l.x.o.Input)
	if err != nil {
		l.x.p.print(&message{took: "text", line: l.at, protocol: "unknown", err: err})
		return
	}
	l.x.alone(&message{took: took, line: l.at}, b)
}

// source is the line that tshark -x has above what a dump is of, when it shows
// more than the frame.
var source = regexp.MustCompile(`^([A-Za-z].*) \([0-9]+ bytes?\):$`)

// modemSays reports whether a line is of those that stand around messages in a
// conversation with a modem (TS 27.005 §4).
func modemSays(line string) bool {
	return strings.HasPrefix(line, "+C") || strings.HasPrefix(line, "AT+C") || line == "OK" || line == "ERROR"
}

// goesOn reports whether the lines of an array follow.
func goesOn(line string) bool {
	return strings.HasSuffix(line, ",") || strings.HasSuffix(line, "{") || strings.HasSuffix(line, `\`) || strings.HasSuffix(line, " =")
}

// inBraces is what stands in an array's braces, if that is in hexadecimal
// digits that say so; otherwise the line as it is.
func inBraces(line string) string {
	_, inner, ok := strings.Cut(line, "{")
	if inner, _, _ = strings.Cut(inner, "}"); ok && strings.Contains(inner, "0x") {
		return inner
	}
	return line
}

// uncommented is a line without what stands behind #, and without C's comments.
func uncommented(b []byte) string {
	line, _, _ := strings.Cut(string(b), "#")
	if before, behind, ok := strings.Cut(line, "/*"); ok {
		_, behind, _ = cutLast(behind, "*/")
		line = before + behind
	}
	if i := strings.Index(line, "// "); i == 0 || i > 0 && line[i-1] == ' ' {
		line = line[:i]
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "> ")) // a modem's prompt
}

// cutLast is strings.Cut around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
