package sdp

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

var here = netip.MustParseAddrPort("192.0.2.1:4000")

// phone is a line of audio with all codecs a gateway may have.
func phone() []Line {
	return []Line{{Addr: here, PTime: 20, Codecs: []Codec{{PT: 3, Name: "GSM", Clock: 8000}, {PT: 0, Name: "PCMU", Clock: 8000}, {PT: 8, Name: "PCMA", Clock: 8000},
		{PT: 96, Name: "telephone-event", Clock: 8000, FMTP: "0-15"}}}}
}

var us = Origin{ID: "1", Version: "1"}

// said is what was agreed of a line, in short.
func said(a Agreed) string {
	if a.Refused {
		return "refused"
	}
	s := fmt.Sprintf("%v %v", a.Remote, a.Direction)
	for _, m := range a.Codecs {
		s += fmt.Sprintf(" %s>%d<%d", m.Name, m.Send, m.Receive)
	}
	return s
}

// TestAnswers: what each peer's offer is answered with, our order before theirs,
// their payload types before ours.
func TestAnswers(t *testing.T) {
	gsm, amr, secure := phone(), phone(), phone()
	amr[0].Codecs = []Codec{{PT: 100, Name: "amr", Clock: 8000, FMTP: "octet-align=1"}}
	secure[0].Codecs = append(secure[0].Codecs, Codec{PT: 97, Name: "opus", Clock: 48000, Channels: 2})
	secure[0].Cryptos = []Crypto{{Tag: 9, Suite: "AES_CM_128_HMAC_SHA1_80", Key: make([]byte, 30)}, {Tag: 8, Suite: "AES_CM_128_HMAC_SHA1_32", Key: make([]byte, 30)}}
	for _, c := range []struct {
		name  string
		offer string
		ours  []Line
		want  string // of each line
		media string // the answer's, from the first m= on
	}{
		{"OpenBTS", samples["openbts"], gsm, "127.0.0.1:16484 sendrecv GSM>3<3 telephone-event>101<101",
			"m=audio 4000 RTP/AVP 3 101\na=rtpmap:3 GSM/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=sendrecv\n"},
		{"baresip", samples["baresip"], gsm, "192.0.2.30:20044 sendrecv PCMU>0<0 PCMA>8<8 telephone-event>97<97",
			"m=audio 4000 RTP/AVP 0 8 97\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-15\na=ptime:20\na=sendrecv\n"},
		{"OpenBTS with AMR", samples["openbts amr"], amr, "192.0.2.20:16486 sendrecv AMR>96<96",
			"m=audio 4000 RTP/AVP 96\na=rtpmap:96 amr/8000\na=fmtp:96 octet-align=1\na=ptime:20\na=sendrecv\n"},
		{"AMR in another shape", strings.Replace(samples["openbts amr"], "octet-align=1;", "", 1), amr, "refused", "m=audio 0 RTP/AVP 96 3\n"},
		{"USSD has no media", samples["openbts ussd"], gsm, "refused", "m=audio 0 RTP/AVP 3\n"},
		{"two lines of audio, one of ours", samples["RFC 8866 §5"], gsm, "198.51.100.1:49170 sendrecv PCMU>0<0|refused|refused",
			"m=audio 4000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=ptime:20\na=sendrecv\nm=audio 0 RTP/AVP 0\nm=video 0 RTP/AVP 99\n"},
		{"SRTP is not done", samples["linphone"], gsm, "refused|refused", "m=audio 0 RTP/SAVP 96 97 98 0 101 99\nm=video 0 RTP/SAVP 96\n"},
		{"SRTP, the key without MKI", samples["linphone"], secure, "[2001:db8::31]:7078 sendrecv PCMU>0<0 telephone-event>99<99 opus>96<96|refused",
			"m=audio 4000 RTP/SAVP 0 99 96\na=rtpmap:0 PCMU/8000\na=rtpmap:99 telephone-event/8000\na=fmtp:99 0-15\na=rtpmap:96 opus/48000/2\na=ptime:20\na=sendrecv\n" +
				"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nm=video 0 RTP/SAVP 96\n"},
		{"SRTP is insisted on", samples["openbts"], secure, "refused", "m=audio 0 RTP/AVP 3 101\n"},
		{"hold", samples["openbts"] + "a=sendonly\n", gsm, "127.0.0.1:16484 recvonly GSM>3<3 telephone-event>101<101", ""},
		{"hold, and a space behind it", samples["openbts"] + "a=sendonly \n", gsm, "127.0.0.1:16484 recvonly GSM>3<3 telephone-event>101<101", ""},
		{"a user of two words", strings.Replace(samples["openbts"], "o=IMSI", "o=My IMSI", 1), gsm, "127.0.0.1:16484 sendrecv GSM>3<3 telephone-event>101<101", ""},
		{"hold in the old way", strings.Replace(samples["openbts"], "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1), gsm, "0.0.0.0:16484 recvonly GSM>3<3 telephone-event>101<101", ""},
		{"inactive", samples["openbts"] + "a=inactive\n", gsm, "127.0.0.1:16484 inactive GSM>3<3 telephone-event>101<101", ""},
		{"events alone are no call", "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 5 RTP/AVP 101\na=rtpmap:101 telephone-event/8000\n", gsm, "refused", ""},
		{"feedback", strings.Replace(samples["baresip"], "RTP/AVP", "RTP/AVPF", 1), gsm, "192.0.2.30:20044 sendrecv PCMU>0<0 PCMA>8<8 telephone-event>97<97", ""},
		{"a static type that means something else", "v=0\no=- 1 1 IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\nm=audio 5 RTP/AVP 0\na=rtpmap:0 L16/8000\n", gsm, "refused", ""},
		{"names in any case", "v=0\no=- 1 1 IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\nm=audio 5 RTP/AVP 110\na=rtpmap:110 gsm/8000/1\n", gsm, "192.0.2.9:5 sendrecv gsm>110<110", ""},
	} {
		offer, err := Parse(crlf(c.offer))
		if err != nil {
			t.Fatal(c.name, err)
		}
		answer, agreed := Answer(offer, us, c.ours)
		var lines []string
		for _, a := range agreed {
			lines = append(lines, said(a))
		}
		if got := strings.Join(lines, "|"); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
		if !reflect.DeepEqual(answer.Times, offer.Times) {
			t.Errorf("%s: the answer's times are %q", c.name, answer.Times)
		}
		b, err := answer.Bytes()
		if err != nil {
			t.Fatal(c.name, err)
		}
		if i := bytes.Index(b, []byte("m=")); c.media != "" && string(b[i:]) != string(crlf(c.media)) {
			t.Errorf("%s:\n%s", c.name, b[i:])
		}
		again, err := Parse(b)
		if err != nil || !reflect.DeepEqual(again.Media, answer.Media) {
			t.Errorf("%s: the answer is read as %+v, %v", c.name, again, err)
		}
	}
}

// TestBothSides: what the one who answers and the one who offered make of it is
// the same, seen from the other side.
func TestBothSides(t *testing.T) {
	there := netip.MustParseAddrPort("[2001:db8::9]:6000")
	for name, change := range map[string]func(ours, theirs *Line){
		"same":      func(ours, theirs *Line) {},
		"recvonly":  func(ours, theirs *Line) { theirs.Direction = RecvOnly },
		"sendonly":  func(ours, theirs *Line) { ours.Direction = SendOnly },
		"crossed":   func(ours, theirs *Line) { ours.Direction, theirs.Direction = SendOnly, SendOnly },
		"one codec": func(ours, theirs *Line) { theirs.Codecs = theirs.Codecs[1:2] },
		"keys": func(ours, theirs *Line) {
			ours.Cryptos = []Crypto{{Tag: 1, Suite: "AEAD_AES_128_GCM", Key: bytes.Repeat([]byte{1}, 28)}, {Tag: 2, Suite: "AES_CM_128_HMAC_SHA1_80", Key: bytes.Repeat([]byte{2}, 30)}}
			theirs.Cryptos = []Crypto{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: bytes.Repeat([]byte{3}, 30)}}
		},
	} {
		ours, theirs := phone(), phone()
		theirs[0].Addr = there
		change(&ours[0], &theirs[0])
		offer, err := Parse(text(t, Offer(us, ours)))
		if err != nil {
			t.Fatal(err)
		}
		made, answered := Answer(offer, us, theirs)
		answer, err := Parse(text(t, made))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := Accept(answer, ours)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a, b := answered[0], accepted[0]
		if a.Remote != here || b.Remote != there || a.Direction != b.Direction.Reverse() || len(a.Codecs) != len(b.Codecs) {
			t.Errorf("%s: %s and %s", name, said(a), said(b))
		}
		for i := range a.Codecs {
			if a.Codecs[i].Send != b.Codecs[i].Receive || a.Codecs[i].Receive != b.Codecs[i].Send {
				t.Errorf("%s: %s and %s", name, said(a), said(b))
			}
		}
		if (a.Send == nil) != (len(ours[0].Cryptos) == 0) || a.Send != nil && (!bytes.Equal(a.Send.Key, b.Receive.Key) || !bytes.Equal(a.Receive.Key, b.Send.Key) || a.Send.Suite != b.Send.Suite) {
			t.Errorf("%s: keys %v %v, %v %v", name, a.Send, a.Receive, b.Send, b.Receive)
		}
	}
}

func text(t *testing.T, s *Session) []byte {
	b, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAcceptOtherTypes: the one who answers may give dynamic payload types of its
// own; we send with those and receive with ours (RFC 3264 §6.1).
func TestAcceptOtherTypes(t *testing.T) {
	ours := phone()
	answer, err := Parse(crlf("v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 5 RTP/AVP 0 120 77\na=rtpmap:120 telephone-event/8000\na=rtpmap:77 opus/48000/2\na=ptime:30\na=rtcp:1234\n"))
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := Accept(answer, ours)
	if err != nil || said(agreed[0]) != "192.0.2.9:5 sendrecv PCMU>0<0 telephone-event>120<96" || agreed[0].PTime != 30 {
		t.Fatal(agreed, err)
	}
	if at := agreed[0].RTCP.String(); at != "192.0.2.9:1234" {
		t.Errorf("RTCP goes to %s", at)
	}
	if m, _ := agreed[0].Speech(); m.Ours != 1 {
		t.Errorf("%+v", m)
	}
}

func TestAcceptRefuses(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 192.0.2.9\nc=IN IP4 192.0.2.9\n"
	secure := phone()
	secure[0].Cryptos = []Crypto{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: make([]byte, 30)}}
	for name, c := range map[string]struct {
		answer string
		ours   []Line
	}{
		"more lines":                  {head + "m=audio 5 RTP/AVP 0\nm=audio 5 RTP/AVP 0\n", phone()},
		"no line":                     {head, phone()},
		"another kind":                {head + "m=video 5 RTP/AVP 0\n", phone()},
		"another transport":           {head + "m=audio 5 RTP/SAVP 0\n", phone()},
		"a codec that nobody offered": {head + "m=audio 5 RTP/AVP 18\n", phone()},
		"no key":                      {head + "m=audio 5 RTP/SAVP 0\n", secure},
		"a key of another tag":        {head + "m=audio 5 RTP/SAVP 0\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", secure},
		"a short key":                 {head + "m=audio 5 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\n", secure},
	} {
		answer, err := Parse(crlf(c.answer))
		if err != nil {
			t.Fatal(name, err)
		}
		if agreed, err := Accept(answer, c.ours); err == nil {
			t.Errorf("%s: %v", name, agreed)
		}
	}
	refused, err := Parse(crlf(head + "m=audio 0 RTP/AVP 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if agreed, err := Accept(refused, phone()); err != nil || !agreed[0].Refused {
		t.Error(agreed, err)
	}
}

// TestCryptoIsSilent: a key is in the description and nowhere else.
func TestCryptoIsSilent(t *testing.T) {
	c := Crypto{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: []byte("secretsecretsecretsecretsecret")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, c) + fmt.Sprintf(format, &c) + fmt.Sprintf(format, []Crypto{c}); strings.Contains(s, "ecret") && !strings.Contains(s, "(secret)") || strings.Contains(s, "115") {
			t.Errorf("%s prints %s", format, s)
		}
	}
}
