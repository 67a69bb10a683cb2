package sip

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	sipgo "github.com/emiago/sipgo/sip"
)

// TestSipgo: of well-formed messages a stranger's parser, sipgo's, reads the
// same, both as they came and as they are written here. What sipgo is known to
// read wrongly is left out, each with the reason.
func TestSipgo(t *testing.T) {
	wrongly := map[string]string{
		"intmeth":                "refuses escapes in a display name",
		"wsinv":                  "loses the tag of From behind white space",
		"ipv6-bug-abnf-3-colons": "keeps the third colon",
		"novelsc":                "refuses a scheme with a dot",
		"200 with a path":        "keeps the backslashes of a display name",
		"longreq":                "refuses white space around the colon of a name",
	}
	order, messages := published(t)
	for name, text := range samples {
		order = append(order, name)
		messages[name] = lines(text)
	}
	compared := 0
	for _, id := range order {
		m, err := Parse(messages[id], false)
		if err != nil || m.Validate() != nil || wrongly[id] != "" {
			continue
		}
		written, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{messages[id], written} {
			theirs, err := sipgo.ParseMessage(b)
			if err != nil {
				t.Errorf("%s: sipgo: %v", id, err)
				continue
			}
			compared++
			for what, differs := range differences(m, theirs) {
				t.Errorf("%s: %s: %s", id, what, differs)
			}
		}
	}
	if compared < 70 {
		t.Errorf("compared %d messages only", compared)
	}
}

// differences are the parts in which two readings of a message differ.
func differences(m *Message, theirs sipgo.Message) map[string]string {
	d := map[string]string{}
	compare := func(what, ours, theirs string) {
		if ours != theirs {
			d[what] = "ours " + strconv.Quote(ours) + ", sipgo's " + strconv.Quote(theirs)
		}
	}
	from, to := theirs.From(), theirs.To()
	if from == nil || to == nil || theirs.CallID() == nil || theirs.CSeq() == nil || theirs.Via() == nil {
		d["message"] = "sipgo misses a header field"
		return d
	}
	switch r := theirs.(type) {
	case *sipgo.Request:
		compare("method", string(m.Method), string(r.Method))
		compare("Request-URI's host", m.URI.Host, bare(r.Recipient.Host))
	case *sipgo.Response:
		compare("status", strconv.Itoa(m.Status), strconv.Itoa(r.StatusCode))
		compare("reason", m.Reason, r.Reason)
	}
	tag, _ := from.Params.Get("tag")
	compare("From's tag", m.From.Tag(), tag)
	compare("From's name", m.From.Name, from.DisplayName)
	compare("From's host", m.From.URI.Host, bare(from.Address.Host))
	compare("To's host", m.To.URI.Host, bare(to.Address.Host))
	compare("Call-ID", m.CallID, theirs.CallID().Value())
	compare("CSeq", m.CSeq.String(), strconv.Itoa(int(theirs.CSeq().SeqNo))+" "+string(theirs.CSeq().MethodName))
	branch, _ := theirs.Via().Params.Get("branch")
	compare("branch", m.Via[0].Branch(), branch)
	compare("Via's host", m.Via[0].Host, bare(theirs.Via().Host))
	compare("body", string(m.Body), string(theirs.Body()))
	return d
}

// bare is a host without the brackets of an IPv6 address.
func bare(host string) string {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && a.Is6() {
		return strings.Trim(host, "[]")
	}
	return host
}
