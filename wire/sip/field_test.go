package sip

import "testing"

// TestNames: every name of a field of Message is known in any case and in its
// compact form, and no other name is.
func TestNames(t *testing.T) {
	for name, want := range map[string]field{"From": from, "fROM": from, "f": from, "F": from, "To": to, "t": to, "Call-ID": callID, "CALL-ID": callID, "i": callID,
		"CSeq": cseq, "cseq": cseq, "Max-Forwards": maxForwards, "Expires": expires, "content-type": contentType, "c": contentType, "Content-Length": contentLength, "l": contentLength,
		"via": via, "v": via, "Contact": contact, "m": contact, "ROUTE": route, "record-route": recordRoute,
		"Fro": other, "Date": other, "Froms": other, "Vi": other, "Via-": other, "Contacts": other, "Context": other, "Min-Expires": other, "g": other, "Call ID": other, "*": other, "": other} {
		f, long := known(name)
		if f != want || f != other && long != names[f] {
			t.Errorf("%s: %d, %s", name, f, long)
		}
	}
	for name, want := range map[string]string{"s": "Subject", "K": "Supported", "e": "Content-Encoding", "o": "Event", "u": "Allow-Events", "r": "Refer-To", "b": "Referred-By",
		"x": "Session-Expires", "y": "Identity", "a": "Accept-Contact", "j": "Reject-Contact", "d": "Request-Disposition", "n": "Identity-Info", "z": "z", "subject": "subject"} {
		if _, long := known(name); long != want {
			t.Errorf("%s: %s", name, long)
		}
	}
}

// TestHeaders: what is looked up, added, set and removed, and that a copy of the
// message keeps what it had.
func TestHeaders(t *testing.T) {
	m := &Message{}
	m.Add("Supported", "path, , 100rel")
	m.Add("X", "")
	m.Add("supported", "timer")
	c := *m
	if got := m.List("SUPPORTED"); !same(got, []string{"path", "100rel", "timer"}) {
		t.Errorf("%q", got)
	}
	if v, ok := m.Lookup("x"); !ok || v != "" {
		t.Error("an empty value is not found")
	}
	m.Set("Supported", "outbound")
	m.Del("x")
	if got := m.Values("supported"); !same(got, []string{"outbound"}) || len(m.Header) != 1 {
		t.Errorf("%q", m.Header)
	}
	if len(c.Header) != 3 || c.Get("Supported") != "path, , 100rel" {
		t.Errorf("the copy has %q", c.Header)
	}
	var p Params
	p.Set("Expires", "60")
	p.SetFlag("lr")
	q := p
	p.Set("expires", "0")
	p.Del("LR")
	if q.Get("expires") != "60" || !q.Has("lr") || p.Get("Expires") != "0" || p.Has("lr") || len(p) != 1 {
		t.Errorf("%+v and %+v", p, q)
	}
}

// TestResponse: what RFC 3261 §8.2.6 and §12.1.1 take over of a request, and that
// neither changes the other.
func TestResponse(t *testing.T) {
	m, err := Parse(lines(with("From", "Record-Route: <sip:p;lr>\nTimestamp: 54\nFrom")), false)
	if err != nil {
		t.Fatal(err)
	}
	trying, ok, no := m.Response(100, ""), m.Response(200, "Fine"), m.Response(404, "")
	if trying.Get("Timestamp") != "54" || trying.RecordRoute != nil || trying.Reason != "Trying" {
		t.Errorf("%+v", trying)
	}
	if ok.Reason != "Fine" || len(ok.RecordRoute) != 1 || ok.CallID != m.CallID || ok.CSeq != m.CSeq || !same(ok.Via, m.Via) || ok.MaxForwards != -1 || ok.IsRequest() {
		t.Errorf("%+v", ok)
	}
	if no.RecordRoute != nil || no.Reason != "Not Found" {
		t.Errorf("%+v", no)
	}
	ok.To.SetTag("a")
	ok.Via[0].Params.Set("received", "192.0.2.1")
	if m.To.Tag() != "" || m.Via[0].Received() != "" || no.To.Tag() != "" {
		t.Error("the answer's tag and Via are the request's")
	}
	for status, want := range map[int]string{199: "Early Dialog Terminated", 150: "Session Progress", 299: "OK", 399: "Multiple Choices", 499: "Bad Request", 599: "Server Internal Error", 699: "Global Failure"} {
		if got := Phrase(status); got != want {
			t.Errorf("%d: %s", status, got)
		}
	}
}
