package sdp

import (
	"reflect"
	"strings"
	"testing"
)

func read(t testing.TB, name string) *Session {
	s, err := Parse(crlf(samples[name]))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// TestRoundTrip: what was read is written and read as the same, also with LF alone.
func TestRoundTrip(t *testing.T) {
	for name, text := range samples {
		s := read(t, name)
		bare, err := Parse([]byte(text))
		if err != nil || !reflect.DeepEqual(s, bare) {
			t.Errorf("%s: with LF %+v, %v", name, bare, err)
		}
		b, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

// TestReading: where media go, who sends, in what.
func TestReading(t *testing.T) {
	for _, c := range []struct {
		name      string
		line      int
		addr      string
		rtcp      string
		direction Direction
		codecs    string
	}{
		{"openbts", 0, "127.0.0.1:16484", "127.0.0.1:16485", SendRecv, "3=GSM/8000 101=telephone-event/8000(0-15)"},
		{"openbts amr", 0, "192.0.2.20:16486", "192.0.2.20:16487", SendRecv, "96=AMR/8000(octet-align=1;mode-set=0,2,4,7) 3=GSM/8000"},
		{"openbts ussd", 0, "127.0.0.1:0", "", SendRecv, "3=GSM/8000"},
		{"yatebts", 0, "192.0.2.21:25678", "192.0.2.21:25679", SendRecv, "3=GSM/8000 8=PCMA/8000 0=PCMU/8000 101=telephone-event/8000"},
		{"baresip", 0, "192.0.2.30:20044", "192.0.2.30:20045", SendRecv, "96=opus/48000/2(stereo=1;sprop-stereo=1) 0=PCMU/8000 8=PCMA/8000 97=telephone-event/8000(0-15)"},
		{"linphone", 0, "[2001:db8::31]:7078", "[2001:db8::31]:7079", SendRecv, "96=opus/48000/2(useinbandfec=1) 97=speex/16000(vbr=on) 98=speex/8000 0=PCMU/8000 101=telephone-event/48000 99=telephone-event/8000"},
		{"linphone", 1, "[2001:db8::30]:0", "", SendRecv, "96=VP8/90000"},
		{"RFC 8866 §5", 2, "[2001:db8::2]:51372", "[2001:db8::2]:51373", SendRecv, "99=h263-1998/90000"},
		{"multicast", 0, "", "", RecvOnly, "0=PCMU/8000"},
	} {
		s := read(t, c.name)
		m := &s.Media[c.line]
		var addr, rtcp string
		if a, ok := s.Addr(m); ok {
			addr = a.String()
		}
		if a, ok := s.RTCP(m); ok {
			rtcp = a.String()
		}
		var codecs []string
		for _, k := range m.Codecs() {
			text := itoa(int(k.PT)) + "=" + k.String()
			if k.FMTP != "" {
				text += "(" + k.FMTP + ")"
			}
			codecs = append(codecs, text)
		}
		if addr != c.addr || rtcp != c.rtcp || s.Direction(m) != c.direction || strings.Join(codecs, " ") != c.codecs {
			t.Errorf("%s, line %d: %s, RTCP %s, %v, %s", c.name, c.line, addr, rtcp, s.Direction(m), strings.Join(codecs, " "))
		}
	}
	if p := read(t, "baresip").Media[0].PTime(); p != 20 {
		t.Errorf("ptime %d", p)
	}
	held, err := Parse(crlf(strings.Replace(samples["openbts"], "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1)))
	if err != nil || held.Direction(&held.Media[0]) != SendOnly {
		t.Errorf("0.0.0.0 is not hold: %v", err)
	}
}

func TestRefused(t *testing.T) {
	const head = "v=0\no=- 1 1 IN IP4 h\n"
	for name, text := range map[string]string{
		"nothing":                        "",
		"no version":                     "o=- 1 1 IN IP4 h\n",
		"another version":                "v=1\no=- 1 1 IN IP4 h\n",
		"no origin":                      "v=0\ns=-\n",
		"a second origin":                head + "o=- 1 1 IN IP4 h\n",
		"a short origin":                 "v=0\no=- 1 1 IN IP4\n",
		"no line":                        head + "hello\n",
		"an unknown line":                head + "x=1\n",
		"a NUL":                          head + "s=a\x00b\n",
		"a CR":                           head + "s=a\rb\n",
		"an attribute without a name":    head + "a=:x\n",
		"a connection of no network":     head + "c=ATM NSAP x\n",
		"a short m=":                     head + "m=audio 1 RTP/AVP\n",
		"a large port":                   head + "m=audio 65536 RTP/AVP 0\n",
		"a port that is none":            head + "m=audio x RTP/AVP 0\n",
		"time in media":                  head + "m=audio 1 RTP/AVP 0\nt=0 0\n",
		"many lines":                     head + strings.Repeat("a=x\n", maxLines),
		"many media":                     head + strings.Repeat("m=audio 1 RTP/AVP 0\n", maxMedia+1),
		"many formats":                   head + "m=audio 1 RTP/AVP" + strings.Repeat(" 0", maxFormat+1) + "\n",
		"more octets than are ever sent": head + strings.Repeat("x", MaxSize),
	} {
		if s, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
}

// TestOddAttributes: attributes that say nothing that can be used are passed over.
func TestOddAttributes(t *testing.T) {
	media := func(attributes string) *Session {
		s, err := Parse(crlf("v=0\no=- 1 1 IN IP4 h\nc=IN IP4 192.0.2.9\nm=audio 5000 RTP/SAVP 0 96 x 200\n" + attributes))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for attributes, want := range map[string]string{
		"":                               "192.0.2.9:5001",
		"a=rtcp:7\n":                     "192.0.2.9:7",
		"a=rtcp:7 IN IP4 192.0.2.10\n":   "192.0.2.10:7",
		"a=rtcp:7 IN IP6 2001:db8::1\n":  "[2001:db8::1]:7",
		"a=rtcp-mux\na=rtcp:7\n":         "192.0.2.9:7",
		"a=rtcp:7 IN IP4 host.example\n": "",
		"a=rtcp:7 IN\n":                  "",
		"a=rtcp:x\n":                     "",
		"a=rtcp:0\n":                     "",
	} {
		s := media(attributes)
		got := ""
		if a, ok := s.RTCP(&s.Media[0]); ok {
			got = a.String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", attributes, got, want)
		}
	}
	for attributes, want := range map[string]int{"": 1, "a=rtpmap:96 AMR/8000\n": 2, "a=rtpmap:96 AMR\n": 1, "a=rtpmap:96 AMR/0\n": 1, "a=rtpmap:96 AMR/8000/x\n": 1,
		"a=rtpmap:96 AMR/8000/0\n": 1, "a=rtpmap:200 AMR/8000\n": 1, "a=rtpmap:9600 AMR/8000\n": 1} {
		if got := len(media(attributes).Media[0].Codecs()); got != want {
			t.Errorf("%q: %d codecs, want %d", attributes, got, want)
		}
	}
	for attributes, want := range map[string]int{"a=ptime:20\n": 20, "a=ptime: 30\n": 30, "a=ptime:0\n": 0, "a=ptime:x\n": 0, "a=ptime:NaN\n": 0, "a=ptime:100000\n": 0, "a=ptime\n": 0} {
		if got := media(attributes).Media[0].PTime(); got != want {
			t.Errorf("%q: %d ms, want %d", attributes, got, want)
		}
	}
	const key = "AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for line, want := range map[string]bool{"1 " + key: true, "1 " + key + "|2^31": true, "1 " + key + "|1:4": false, "1 " + key + "|2^31|1:4": false, "1 " + key + " UNENCRYPTED_SRTP": false,
		"x " + key: false, "1 AES_CM_128_HMAC_SHA1_80": false, "1 AES_CM_128_HMAC_SHA1_80 inline:": false, "1 AES_CM_128_HMAC_SHA1_80 inline:****": false, "1 AES_CM_128_HMAC_SHA1_80 uri:x": false,
		"1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==": true, "1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": true, "1 NEW_SUITE inline:AAAA": true} {
		list := media("a=crypto:" + line + "\n").Media[0].Cryptos()
		if got := len(list) == 1 && list[0].goes(); got != want {
			t.Errorf("%s: %t (%v)", line, got, list)
		}
		if len(list) == 1 {
			var m Media
			m.AddCrypto(list[0])
			if again := m.Cryptos(); !reflect.DeepEqual(list, again) {
				t.Errorf("%s: written as %v", line, m.Attributes)
			}
		}
	}
}

// TestErrors: an error names its line.
func TestErrors(t *testing.T) {
	_, err := Parse([]byte("v=0\no=- 1 1 IN IP4 h\nm=audio\n"))
	if err == nil || err.Error() != "sdp: line 3: is not m=kind port proto and up to 64 formats" {
		t.Error(err)
	}
	if _, err = Parse(nil); err == nil || err.Error() != "sdp: no line v=" {
		t.Error(err)
	}
}

// TestInjection: nothing that is put into a description makes lines of its own.
func TestInjection(t *testing.T) {
	for _, bad := range []string{"a\r\nm=audio 1 RTP/AVP 0", "a\n", "a\x00", "a\r"} {
		for name, s := range map[string]*Session{
			"name":       {Name: bad},
			"origin":     {Origin: Origin{User: bad}},
			"address":    {Connection: Connection{bad}},
			"attribute":  {Attributes: Attributes{{Name: "x", Value: bad, HasValue: true}}},
			"flag":       {Attributes: Attributes{{Name: bad}}},
			"format":     {Media: []Media{{Kind: "audio", Proto: "RTP/AVP", Formats: []string{bad}}}},
			"bandwidth":  {Bandwidth: []string{bad}},
			"extra line": {Extra: []string{bad}},
		} {
			if b, err := s.Bytes(); err == nil {
				t.Errorf("%s: %q", name, b)
			}
		}
	}
	for name, m := range map[string]Media{
		"space in a kind":    {Kind: "audio 1", Proto: "RTP/AVP", Formats: []string{"0"}},
		"space in a proto":   {Kind: "audio", Proto: "RTP/AVP 3", Formats: []string{"0"}},
		"no formats":         {Kind: "audio", Proto: "RTP/AVP"},
		"port out of bounds": {Kind: "audio", Port: 65536, Proto: "RTP/AVP", Formats: []string{"0"}},
	} {
		if b, err := (&Session{Media: []Media{m}}).Bytes(); err == nil {
			t.Errorf("%s: %q", name, b)
		}
	}
}

// FuzzSDP: a description or an *Error; what is read is written and read as the
// same; any offer has an answer, with its lines in its order, that can be read.
func FuzzSDP(f *testing.F) {
	for _, text := range samples {
		f.Add(crlf(text))
	}
	ours := phone()
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			if _, ok := err.(*Error); !ok {
				t.Fatalf("%T", err)
			}
			return
		}
		text, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%v: %q\n%+v\n%+v", err, text, s, again)
		}
		for i := range s.Media {
			s.RTCP(&s.Media[i])
			s.Media[i].PTime()
		}
		answer, agreed := Answer(s, Origin{ID: "1", Version: "1"}, ours)
		text, err = answer.Bytes()
		if err != nil {
			t.Fatalf("the answer: %v", err)
		}
		if again, err = Parse(text); err != nil || len(again.Media) != len(s.Media) || len(agreed) != len(s.Media) {
			t.Fatalf("the answer: %v in %q", err, text)
		}
		Accept(s, ours)
	})
}
