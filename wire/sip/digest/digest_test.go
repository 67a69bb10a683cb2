package digest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// Published examples. RFC 7616 §3.9.2 is as erratum 4897 has it: the RFC's own
// figures cut SHA-512 off where FIPS 180-4 has SHA-512/256.
func TestPublishedVectors(t *testing.T) {
	const (
		nonce  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
		opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
		head   = `Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", nonce="` + nonce + `", nc=00000001, cnonce="` + cnonce + `", qop=auth, opaque="` + opaque + `", `
	)
	for _, c := range []struct {
		name, value, method, user, realm, password string
	}{
		{"RFC 2617 §3.5", `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001,
			cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"`, "GET", "Mufasa", "testrealm@host.com", "Circle Of Life"},
		{"RFC 2069 §2.4 by errata", `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html",
			response="1949323746fe6a43ef61f9606e7febea", opaque="5ccc069c403ebaf9f0171e9517f40e41"`, "GET", "Mufasa", "testrealm@host.com", "CircleOfLife"},
		{"RFC 7616 §3.9.1 MD5", head + `algorithm=MD5, response="8ca523f5e9506fed4657c9700eebdbec"`, "GET", "Mufasa", "http-auth@example.org", "Circle of Life"},
		{"RFC 7616 §3.9.1 SHA-256", head + `algorithm=SHA-256, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`, "GET", "Mufasa", "http-auth@example.org", "Circle of Life"},
		{"RFC 7616 §3.9.2", `Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", realm="api@example.org", uri="/doe.json", algorithm=SHA-512-256,
			nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001, cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop=auth,
			response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", userhash=true`,
			"GET", "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?"},
	} {
		cr, err := ParseCredentials(c.value)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if cr.Kind() != Hashed || !cr.For(c.method, nil).VerifyPassword(c.user, c.realm, c.password) {
			t.Errorf("%s: the right password is refused", c.name)
		}
		if cr.For(c.method, nil).VerifyPassword(c.user, c.realm, c.password+" ") || cr.For("POST", nil).VerifyPassword(c.user, c.realm, c.password) ||
			cr.For(c.method, nil).VerifyPassword("mufasa", c.realm, c.password) || cr.For(c.method, nil).VerifyPassword(c.user, "elsewhere", c.password) {
			t.Errorf("%s: something wrong is taken", c.name)
		}
	}
}

// Both ends agree under every algorithm and quality, on what is written and
// read again, and the server's own proof fits too.
func TestClientAndServer(t *testing.T) {
	body := []byte("v=0\r\n")
	for alg := MD5; alg <= AKAv1MD5; alg++ {
		for _, qop := range []QOP{0, Auth, AuthInt, Auth | AuthInt} {
			ch, err := ParseChallenge(Challenge{Realm: `a "realm"`, Nonce: "bm9uY2U=", Opaque: `\`, Algorithm: alg, QOP: qop, Userhash: alg == SHA256}.String())
			if err != nil || ch.Algorithm != alg || ch.QOP != qop || ch.Realm != `a "realm"` || ch.Opaque != `\` {
				t.Fatalf("%v %v: %+v, %v", alg, qop, ch, err)
			}
			sent, err := ch.Respond(Request{Username: "u", Password: "\x00\xff:", Method: "REGISTER", URI: "sip:h", Body: body, CNonce: "c", Count: 7})
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseCredentials(sent.String())
			if err != nil || got != sent {
				t.Fatalf("%v %v: sent %+v, read %+v: %v", alg, qop, sent, got, err)
			}
			if qop == AuthInt && got.For("REGISTER", nil).VerifyPassword("u", `a "realm"`, "\x00\xff:") {
				t.Errorf("%v: another body is taken", alg)
			}
			a := got.For("REGISTER", body)
			if !a.VerifyPassword("u", `a "realm"`, "\x00\xff:") || a.VerifyPassword("u", `a "realm"`, "\x00\xff") {
				t.Errorf("%v %v: passwords", alg, qop)
			}
			if qop != 0 && (got.Count() != 7 || a.RspAuth(alg.HA1("u", a.Realm, "p"), "") == a.Compute(alg.HA1("u", a.Realm, "p"))) {
				t.Errorf("%v %v: nc %s, rspauth", alg, qop, got.NC)
			}
		}
	}
	if _, err := (Challenge{Nonce: "n", QOP: Auth}).Respond(Request{}); !errors.Is(err, ErrMissing) {
		t.Errorf("answered without cnonce: %v", err)
	}
}

// What cells send, and what is read of it.
func TestDialects(t *testing.T) {
	rand := [16]byte{0x00, 0x0a, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}
	autn := [16]byte{9: 1}
	const digits = "000a02030405060708090a0b0c0d0eff"
	card := func(want ...byte) func(*testing.T, Credentials) {
		return func(t *testing.T, c Credentials) {
			if got, ok := c.CardResponse(); !ok || !bytes.Equal(got, want) {
				t.Errorf("the card said %x, %t", got, ok)
			}
		}
	}
	for _, c := range []struct {
		name, value string
		kind        Kind
		user        string
		look        func(*testing.T, Credentials)
	}{
		{"OpenBTS", `Digest nonce="` + digits + `", uri="001010002220002", response="0bad1dea"`, Card, "", card(0x0b, 0xad, 0x1d, 0xea)},
		{"OpenBTS, zeros lost", `Digest nonce="` + digits[3:] + `", uri="001010002220002", response="bad1dea"`, Card, "", card(0x0b, 0xad, 0x1d, 0xea)},
		{"OpenBTS, SRES 0", `Digest nonce="` + digits + `", uri="001010002220002", response="0"`, Card, "", card(0, 0, 0, 0)},
		{"OpenBTS of old", `Digest, nonce=` + digits + `, uri=001010002220002, response=0BAD1DEA`, Card, "", card(0x0b, 0xad, 0x1d, 0xea)},
		{"OpenBTS with a realm", `Digest realm="R", username="IMSI001010002220002", nonce="` + digits + `", uri="sip:R", response="446cbe55a6b29360122b38daba9401d9", algorithm=MD5, qop="auth" `, Hashed, "IMSI001010002220002",
			func(t *testing.T, c Credentials) {
				if !c.For("REGISTER", nil).VerifyPassword("IMSI001010002220002", "R", "0bad1dea") || c.QOP != 0 {
					t.Error("SRES as the password does not fit, or a quality is believed that was not used")
				}
			}},
		{"YateBTS, SIM", `Digest realm="r", uri="001010002220002", nonce="` + AKANonce(rand, nil) + `", response="0bad1dea", algorithm=AKAv1-MD5`, Card, "", card(0x0b, 0xad, 0x1d, 0xea)},
		{"YateBTS, USIM", `Digest uri="001010002220002", nonce="` + AKANonce(rand, &autn) + `", response="0102030405060708", algorithm=AKAv1-MD5`, Card, "", card(1, 2, 3, 4, 5, 6, 7, 8)},
		{"YateBTS, AUTS", `Digest uri="001010002220002", nonce="` + AKANonce(rand, &autn) + `", auts="` + WriteAUTS([14]byte{13: 5}) + `", algorithm=AKAv1-MD5`, Resync, "",
			func(t *testing.T, c Credentials) {
				if r, a, ok := c.Resynchronisation(); !ok || r != rand || a != [14]byte{13: 5} {
					t.Errorf("AUTS %x for %x, %t", a, r, ok)
				}
			}},
		{"RFC 3310 §4", `Digest username="jon.dough@mobile.biz", realm="RoamingUsers@mobile.biz", nonce="` + AKANonce(rand, &autn) + `", uri="sip:home.mobile.biz",
			qop=auth-int, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"`, Hashed, "jon.dough@mobile.biz", nil},
		{"an encoded name", `digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm="r", nonce=` + digits + `, uri="sip:h", response="6629fae49393a05397450978507c4ef1"`, Hashed, "J\u00e4s\u00f8n Doe", nil},
		{"Kc asked by nobody", "Digest\tnonce =\t\"" + digits + "\" ,, ,response= \"1\"", Card, "", card(0, 0, 0, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cr, err := ParseCredentials(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if r, a, err := ReadNonce(cr.Nonce); err != nil || r != rand || a != nil && *a != autn {
				t.Errorf("nonce %x %x: %v", r, a, err)
			}
			if cr.Kind() != c.kind || cr.Username != c.user {
				t.Errorf("kind %d, user %q", cr.Kind(), cr.Username)
			}
			if c.look != nil {
				c.look(t, cr)
			}
		})
	}
}

// What is written to cells is what they read.
func TestWhatCellsRead(t *testing.T) {
	rand := [16]byte{0x0a, 15: 0xff}
	if got := Bare(rand); got != "Digest nonce=0a0000000000000000000000000000ff" {
		t.Error(got)
	}
	if got := BareInfo([8]byte{1, 7: 0xfe}); got != "cnonce=01000000000000fe" {
		t.Error(got)
	}
	if i, err := ParseInfo(BareInfo([8]byte{1})); err != nil || i.CNonce != "0100000000000000" {
		t.Errorf("%+v %v", i, err)
	}
	want := Info{NextNonce: "n", RspAuth: "ab", CNonce: "c", NC: "00000001", QOP: Auth}
	if i, err := ParseInfo(want.String()); err != nil || i != want {
		t.Errorf("%+v %v", i, err)
	}
	// YateBTS takes everything to the next space for the algorithm.
	if got := (Challenge{Realm: "r", Nonce: AKANonce(rand, nil), Algorithm: AKAv1MD5}).String(); !strings.HasSuffix(got, ", algorithm=AKAv1-MD5") {
		t.Error(got)
	}
	if got := (Credentials{Nonce: "n\r\nVia: x", Username: "a\"b\x00", Response: "00"}).String(); strings.ContainsAny(got, "\r\n\x00") {
		t.Errorf("a line of its own: %q", got)
	}
}

// The nonce of RFC 3310 §4 has one sign of padding too many and an octet of the
// server's own behind RAND and AUTN.
func TestNonces(t *testing.T) {
	rand, autn, err := ReadNonce("CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==")
	if err != nil || autn == nil || hex.EncodeToString(rand[:]) != "0a33e4f6646a36e4f6e5e4646a3334f6" {
		t.Errorf("%x %x %v", rand, autn, err)
	}
	for _, bad := range []string{"", "CjPk", strings.Repeat("0", 33), "nonce with spaces and more of them"} {
		if _, _, err := ReadNonce(bad); !errors.Is(err, ErrNonce) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "123456789", "-1", "+1", "0x1", "g"} {
		if _, ok := SRES(bad); ok {
			t.Errorf("SRES %q", bad)
		}
	}
}

func TestMalformed(t *testing.T) {
	ok := `, nonce="n", response="00"`
	for _, c := range []struct {
		value string
		want  error
	}{
		{`Basic dTpw`, ErrScheme}, {`Digestnonce="n"`, ErrScheme}, {``, ErrScheme}, {`Digest`, ErrMissing}, {`Digest nonce="n"`, ErrMissing}, {`Digest response="00"`, ErrMissing},
		{`Digest nonce="n, response="00"`, ErrSyntax}, {`Digest nonce="n" response="00"`, ErrSyntax}, {`Digest nonce`, ErrSyntax}, {`Digest =n` + ok, ErrSyntax},
		{`Digest nonce="n\"`, ErrSyntax}, {`Digest realm="a` + "\x01" + `"` + ok, ErrSyntax}, {`Digest nonce="n", response="0g"`, ErrSyntax},
		{`Digest nonce=n"x, response="00"`, ErrSyntax}, {`Digest nonce="m"` + ok, ErrTwice}, {`Digest algorithm=MD4` + ok, ErrAlgorithm},
		{`Digest qop=auth, nc=00000001` + ok, ErrMissing}, {`Digest qop="auth,auth-int", nc=00000001, cnonce=c` + ok, ErrSyntax}, {`Digest qop=auth, nc=1, cnonce=c` + ok, ErrSyntax},
		{`Digest algorithm=MD5-sess` + ok, ErrMissing}, {`Digest username*=latin1''x` + ok, ErrSyntax}, {`Digest username*=UTF-8''%0a` + ok, ErrSyntax},
		{`Digest realm="` + strings.Repeat("x", 5000) + `"` + ok, ErrTooLong}, {`Digest ` + strings.Repeat("a=1,", 1), ErrMissing},
	} {
		if _, err := ParseCredentials(c.value); !errors.Is(err, c.want) {
			t.Errorf("%.60q: %v, want %v", c.value, err, c.want)
		}
	}
	var many strings.Builder
	for i := range 40 {
		many.WriteString("p" + hex.EncodeToString([]byte{byte(i)}) + "=1,")
	}
	if _, err := ParseChallenge("Digest " + many.String()); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if _, err := ParseChallenge(`Digest realm="r"`); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

func TestBest(t *testing.T) {
	c, ok := Best([]string{`Digest realm="r", nonce="1", algorithm=MD5`, `Basic realm="r"`, `Digest realm="r", nonce="2", algorithm=SHA-256`, `Digest nonce="3", algorithm=SHA-999`})
	if !ok || c.Nonce != "2" {
		t.Errorf("%+v %t", c, ok)
	}
	if _, ok := Best([]string{"Digest"}); ok {
		t.Error("the best of none")
	}
}

// Whatever comes: no panic, no control characters, and what is read is written
// so that it is read again.
func FuzzCredentials(f *testing.F) {
	f.Add(`Digest nonce="00", uri="001010002220002", response="0bad1dea"`)
	f.Add(`Digest, nonce=00, uri=001010002220002, response=0BAD1DEA`)
	f.Add(`Digest username*=UTF-8''J%C3%A4, realm="r\"\\", nonce=n, nc=00000001, cnonce="c", qop=auth, response="00", algorithm=SHA-256-sess, userhash=true`)
	f.Add(`Digest nonce="CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==", auts="AAAAAAAAAAAAAAAAAAU=", algorithm=AKAv1-MD5`)
	f.Fuzz(func(t *testing.T, s string) {
		if i, err := ParseInfo(s); err == nil && !clean(i.String()) {
			t.Errorf("Info %q", i.String())
		}
		if c, err := ParseChallenge(s); err == nil {
			if again, err := ParseChallenge(c.String()); err != nil || again != c {
				t.Errorf("%q: %+v, again %+v: %v", s, c, again, err)
			}
		}
		c, err := ParseCredentials(s)
		if err != nil {
			return
		}
		c.CardResponse()
		c.Resynchronisation()
		c.For("REGISTER", nil).VerifyPassword("u", "r", "p")
		if !clean(c.String()) {
			t.Errorf("%q writes %q", s, c.String())
		}
		again, err := ParseCredentials(c.String())
		if c.QOP == 0 { // nc and cnonce stand for nothing then
			c.NC, c.CNonce, again.NC, again.CNonce = "", "", "", ""
		}
		if err != nil || again != c {
			t.Errorf("%q: %+v, again %+v: %v", s, c, again, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ch := Challenge{Realm: "r", Nonce: "n", QOP: Auth, Algorithm: SHA256}
	c, _ := ch.Respond(Request{Username: "u", Password: "p", Method: "REGISTER", URI: "sip:r", CNonce: "c"})
	s := c.String()
	b.ReportAllocs()
	for b.Loop() {
		c, err := ParseCredentials(s)
		if err != nil || !c.For("REGISTER", nil).VerifyPassword("u", "r", "p") {
			b.Fatal(err)
		}
	}
}
