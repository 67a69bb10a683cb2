package sdp

import (
	"net/netip"
	"testing"
)

const openBTSOffer = "v=0\r\no=IMSI001010002220002 0 0 IN IP4 127.0.0.1\r\ns=Talk Time\r\nt=0 0\r\nm=audio 16484 RTP/AVP 3 101\r\nc=IN IP4 127.0.0.1\r\na=rtpmap:3 GSM/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"

// TestAnswer: the codec of the offer that comes first with us is chosen, with
// the offer's payload types, and offer and answer agree on the ways.
func TestAnswer(t *testing.T) {
	offer, err := Parse([]byte(openBTSOffer))
	if err != nil {
		t.Fatal(err)
	}
	ours := []Line{{Addr: netip.MustParseAddrPort("192.0.2.1:4000"), Codecs: []Codec{{PT: 0, Name: "PCMU", Clock: 8000}, {PT: 3, Name: "GSM", Clock: 8000}, {PT: 96, Name: "telephone-event", Clock: 8000, FMTP: "0-15"}}}}
	answer, agreed := Answer(offer, Origin{ID: "1", Version: "1"}, ours)
	a := agreed[0]
	if s, ok := a.Speech(); !ok || s.Name != "GSM" || s.Send != 3 || s.Ours != 1 || a.Remote.String() != "127.0.0.1:16484" || a.Direction != SendRecv {
		t.Errorf("%+v", a)
	}
	if e, ok := a.Events(8000); !ok || e.Send != 101 || e.Receive != 101 {
		t.Errorf("events %+v", e)
	}
	b, err := answer.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const want = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3 101\r\na=rtpmap:3 GSM/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
	if string(b) != want {
		t.Errorf("got\n%s", b)
	}
}
