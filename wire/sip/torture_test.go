package sip

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// torture reads a published set of messages. In the file a line of a message
// ends in LF for CRLF; \xHH is an octet, \\ a backslash, <repeat N text> N times
// the text, and lines of <hex HH..> are those octets with one CRLF behind all.
func torture(t testing.TB, name string) (order []string, messages map[string][]byte) {
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	messages = map[string][]byte{}
	for _, part := range sections.Split(string(text), -1)[1:] {
		head, body, _ := strings.Cut(part, "\n")
		id, _, _ := strings.Cut(head, " ")
		order = append(order, id)
		messages[id] = octets(body)
	}
	return order, messages
}

var (
	sections = regexp.MustCompile(`(?m)^=== `)
	repeat   = regexp.MustCompile(`<repeat (\d+) (.*?)>`)
	hexes    = regexp.MustCompile(`(?:<hex [0-9a-f]+>\n)+`)
	pairs    = regexp.MustCompile(`..`)
	escapes  = regexp.MustCompile(`\\\\|\\x[0-9a-f]{2}`)
)

func octets(s string) []byte {
	s = repeat.ReplaceAllStringFunc(s, func(r string) string {
		m := repeat.FindStringSubmatch(r)
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	})
	s = hexes.ReplaceAllStringFunc(s, func(lines string) string {
		digits := strings.NewReplacer("<hex ", "", ">", "", "\n", "").Replace(lines)
		return pairs.ReplaceAllString(digits, `\x$0`) + "\n"
	})
	s = strings.ReplaceAll(s, "\n", "\r\n")
	s = escapes.ReplaceAllStringFunc(s, func(e string) string {
		if e == `\\` {
			return `\`
		}
		n, _ := strconv.ParseUint(e[2:], 16, 8)
		return string([]byte{byte(n)})
	})
	return []byte(s)
}

// drop is the verdict on what is not answered.
const drop = -1

// phone is an element that does what the messages of RFC 4475 ask for, as far
// as anybody does.
var phone = Capabilities{
	Methods:    []Method{MethodInvite, MethodAck, MethodBye, MethodCancel, MethodOptions, MethodRegister, MethodMessage},
	Schemes:    []string{"sip", "sips"},
	Extensions: []string{},
	Bodies:     []string{"application/sdp", "text/plain", "multipart/mixed"},
	Answers:    []string{"application/sdp"},
}

// verdicts are what RFC 4475 §3 and RFC 5118 §4 want: the status that answers, 0 for
// well-formed, drop. Where two are allowed, the one that is stricter with a message.
var verdicts = []struct {
	name, section string
	parse         int    // by Parse and Validate
	check         int    // by Check, of phone
	where         string // what is blamed
}{
	{"wsinv", "RFC 4475 §3.1.1.1", 0, 0, ""},
	{"intmeth", "RFC 4475 §3.1.1.2", 0, 501, "request line"},
	{"esc01", "RFC 4475 §3.1.1.3", 0, 0, ""},
	{"escnull", "RFC 4475 §3.1.1.4", 0, 0, ""},
	{"esc02", "RFC 4475 §3.1.1.5", 0, 501, "request line"},
	{"lwsdisp", "RFC 4475 §3.1.1.6", 0, 0, ""},
	{"longreq", "RFC 4475 §3.1.1.7", 0, 0, ""},
	{"dblreq", "RFC 4475 §3.1.1.8", 0, 0, ""},
	{"semiuri", "RFC 4475 §3.1.1.9", 0, 0, ""},
	{"transports", "RFC 4475 §3.1.1.10", 0, 0, ""},
	{"mpart01", "RFC 4475 §3.1.1.11", 0, 0, ""},
	{"unreason", "RFC 4475 §3.1.1.12", 0, 0, ""},
	{"noreason", "RFC 4475 §3.1.1.13", 0, 0, ""},
	{"badinv01", "RFC 4475 §3.1.2.1", 400, 400, "Via"},
	{"clerr", "RFC 4475 §3.1.2.2", 400, 400, "Content-Length"},
	{"ncl", "RFC 4475 §3.1.2.3", 400, 400, "Content-Length"},
	{"scalar02", "RFC 4475 §3.1.2.4", 400, 400, "CSeq"},
	{"scalarlg", "RFC 4475 §3.1.2.5", drop, drop, "CSeq"},
	{"quotbal", "RFC 4475 §3.1.2.6", 400, 400, "To"},
	{"ltgtruri", "RFC 4475 §3.1.2.7", 400, 400, "request line"},
	{"lwsruri", "RFC 4475 §3.1.2.8", 400, 400, "request line"},
	{"lwsstart", "RFC 4475 §3.1.2.9", 400, 400, "request line"},
	{"trws", "RFC 4475 §3.1.2.10", 400, 400, "request line"},
	{"escruri", "RFC 4475 §3.1.2.11", 400, 400, "request line"},
	{"baddate", "RFC 4475 §3.1.2.12", 0, 0, ""}, // Date is nothing to us: ignored
	{"regbadct", "RFC 4475 §3.1.2.13", 400, 400, "Contact"},
	{"badaspec", "RFC 4475 §3.1.2.14", 400, 400, "To"},
	{"baddn", "RFC 4475 §3.1.2.15", 400, 400, "From"},
	{"badvers", "RFC 4475 §3.1.2.16", 505, 505, "request line"},
	{"mismatch01", "RFC 4475 §3.1.2.17", 400, 400, "CSeq"},
	{"mismatch02", "RFC 4475 §3.1.2.18", 400, 501, "CSeq"}, // 501 is preferred
	{"bigcode", "RFC 4475 §3.1.2.19", drop, drop, "status line"},
	{"badbranch", "RFC 4475 §3.2.1", 0, 0, ""}, // by the rules of RFC 2543: see Via.Transaction
	{"insuf", "RFC 4475 §3.3.1", 400, 400, "From"},
	{"unkscm", "RFC 4475 §3.3.2", 0, 416, "request line"},
	{"novelsc", "RFC 4475 §3.3.3", 0, 416, "request line"},
	{"unksm2", "RFC 4475 §3.3.4", 0, 400, "To"},
	{"bext01", "RFC 4475 §3.3.5", 0, 420, "Require"},
	{"invut", "RFC 4475 §3.3.6", 0, 415, "Content-Type"},
	{"regaut01", "RFC 4475 §3.3.7", 0, 0, ""}, // 401 by whoever asks for a digest
	{"multi01", "RFC 4475 §3.3.8", 400, 400, "CSeq"},
	{"mcl01", "RFC 4475 §3.3.9", 400, 400, "Content-Length"},
	{"bcast", "RFC 4475 §3.3.10", 0, drop, "Via"},
	{"zeromf", "RFC 4475 §3.3.11", 0, 0, ""}, // 483 where it would go on: TestForwards
	{"cparam01", "RFC 4475 §3.3.12", 0, 0, ""},
	{"cparam02", "RFC 4475 §3.3.13", 0, 0, ""},
	{"regescrt", "RFC 4475 §3.3.14", 0, 0, ""},
	{"sdp01", "RFC 4475 §3.3.15", 0, 406, "Accept"},
	{"inv2543", "RFC 4475 §3.4.1", 0, 0, ""},
	{"ipv6-good", "RFC 5118 §4.1", 0, 0, ""},
	{"ipv6-bad", "RFC 5118 §4.2", 400, 400, "request line"},
	{"port-ambiguous", "RFC 5118 §4.3", 0, 0, ""},
	{"port-unambiguous", "RFC 5118 §4.4", 0, 0, ""},
	{"via-received-param-with-delim", "RFC 5118 §4.5", 0, 0, ""},
	{"via-received-param-no-delim", "RFC 5118 §4.5", 0, 0, ""},
	{"ipv6-in-sdp", "RFC 5118 §4.6", 0, 0, ""},
	{"mult-ip-in-header", "RFC 5118 §4.7", 0, 0, ""},
	{"mult-ip-in-sdp", "RFC 5118 §4.8", 0, 0, ""},
	{"ipv4-mapped-ipv6", "RFC 5118 §4.9", 0, 0, ""},
	{"ipv6-bug-abnf-3-colons", "RFC 5118 §4.10", 0, 0, ""},
	{"ipv6-correct-abnf-2-colons", "RFC 5118 §4.10", 0, 0, ""},
}

// published are all messages of both sets, in their order.
func published(t testing.TB) (order []string, messages map[string][]byte) {
	order, messages = torture(t, "rfc4475.txt")
	more, others := torture(t, "rfc5118.txt")
	for id, b := range others {
		messages[id] = b
	}
	return append(order, more...), messages
}

// verdict is what becomes of a message that is read and then judged.
func verdict(t *testing.T, b []byte, judge func(*Message) error) (status int, err *Error) {
	m, e := Parse(b, false)
	if e == nil {
		e = judge(m)
	}
	if e == nil {
		return 0, nil
	}
	if !errors.As(e, &err) {
		t.Fatalf("%T: %v", e, e)
	}
	answer := err.Response(m)
	if answer == nil {
		return drop, err
	}
	text, e := answer.Bytes()
	if e != nil {
		t.Errorf("the answer cannot be written: %v", e)
	}
	if !bytes.HasPrefix(text, []byte("SIP/2.0 "+strconv.Itoa(err.Status)+" ")) || !bytes.Contains(text, []byte("\r\nVia: ")) {
		t.Errorf("the answer is %q", text)
	}
	return err.Status, err
}

func TestTorture(t *testing.T) {
	order, messages := published(t)
	if len(order) != 49+12 || len(verdicts) != len(order) {
		t.Fatalf("%d messages, %d verdicts", len(order), len(verdicts))
	}
	for i, v := range verdicts {
		if v.name != order[i] {
			t.Fatalf("message %d is %s, the verdict is on %s", i, order[i], v.name)
		}
		for _, way := range []struct {
			name  string
			want  int
			judge func(*Message) error
		}{
			{"Validate", v.parse, (*Message).Validate},
			{"Check", v.check, func(m *Message) error { return Check(m, phone) }},
		} {
			got, err := verdict(t, messages[v.name], way.judge)
			if got != way.want {
				t.Errorf("%s (%s): %s says %d (%v), want %d", v.name, v.section, way.name, got, err, way.want)
			} else if err != nil && err.Where != v.where && v.name != "mismatch02" {
				t.Errorf("%s (%s): %s blames %v, want %s", v.name, v.section, way.name, err, v.where)
			}
		}
	}
}

// TestTortureRoundTrip: what is well-formed says the same after it was written anew.
func TestTortureRoundTrip(t *testing.T) {
	order, messages := published(t)
	for _, id := range order {
		m, err := Parse(messages[id], false)
		if err != nil {
			continue
		}
		b, err := m.Bytes()
		if id == "insuf" {
			if err == nil {
				t.Error("insuf can be written")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		again, err := Parse(b, false)
		if err != nil {
			t.Errorf("%s: %v in\n%s", id, err, b)
		} else if !reflect.DeepEqual(m, again) {
			t.Errorf("%s: got %+v\nwant %+v", id, again, m)
		}
		streamed, err := ReadStream(bufio.NewReader(bytes.NewReader(b)), Limits{})
		if err != nil || !reflect.DeepEqual(m, streamed) {
			t.Errorf("%s: as a stream %+v, %v", id, streamed, err)
		}
	}
}
