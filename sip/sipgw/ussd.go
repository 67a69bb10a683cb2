package sipgw

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

const ussdType = "application/vnd.3gpp.ussd+xml" // TS 24.390 §5.1.2

// maxUSSD is how long what is dialled and what is shown may be, in characters: 182
// septets (TS 23.038 §5).
const maxUSSD = 182

// ussdData is a body of USSD.
type ussdData struct {
	XMLName  xml.Name `xml:"ussd-data"`
	Language string   `xml:"language,omitempty"`
	String   string   `xml:"ussd-string,omitempty"`
	Error    int      `xml:"error-code,omitempty"`
}

// ussdInvite says that an INVITE is no call but what somebody has dialled with *
// and #.
func ussdInvite(m *sip.Message) bool {
	if m.Method != sip.MethodInvite || m.To.Tag() != "" {
		return false
	}
	for _, part := range parts(m) {
		if part.kind == ussdType {
			return true
		}
	}
	return false
}

type part struct {
	kind string
	body []byte
}

// parts are the body of a message, taken apart if it has several.
func parts(m *sip.Message) (all []part) {
	kind, params, err := mime.ParseMediaType(m.ContentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return []part{{kind, m.Body}}
	}
	r := multipart.NewReader(bytes.NewReader(m.Body), params["boundary"])
	for len(all) < 8 {
		p, err := r.NextRawPart()
		if err != nil {
			break
		}
		body, err := io.ReadAll(p)
		if err != nil {
			break
		}
		kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
		all = append(all, part{kind, body})
	}
	return all
}

// ussdText is what was dialled: of the body, or of the Request-URI, where OpenBTS
// leaves a # as it is and others escape it.
func ussdText(m *sip.Message) (string, error) {
	for _, p := range parts(m) {
		var d ussdData
		if p.kind != ussdType || xml.Unmarshal(p.body, &d) != nil {
			continue
		}
		if s := strings.TrimSpace(d.String); s != "" && len(s) <= maxUSSD {
			return s, nil
		}
	}
	user, _, _ := strings.Cut(m.URI.User, ";")
	if s, err := url.PathUnescape(user); err == nil {
		user = s
	}
	if user == "" || len(user) > maxUSSD || strings.Trim(user, "0123456789*#+") != "" {
		return "", errors.New("no USSD string")
	}
	return user, nil
}

// ussd answers what a phone has dialled: the INVITE is taken, and the answer stands
// in the BYE that ends it, one exchange (TS 24.390 §4.5.4.2; OpenBTS knows no other).
func (g *Gateway) ussd(ctx context.Context, s *txn.Server, _ *Station) {
	b, ok := g.Caller(ctx, s)
	if !ok {
		return
	}
	if g.o.USSD == nil {
		g.reply(s, 501, "No USSD Here")
		return
	}
	text, err := ussdText(s.Request)
	if err != nil || len(s.Request.Contact) == 0 {
		g.reply(s, 400, "Malformed USSD")
		return
	}
	g.count.ussd.Add(1)
	said, err := g.o.USSD.USSD(ctx, g.sender(b), text)
	d := ussdData{Language: "en", String: said}
	if err != nil {
		g.log.Warn("USSD is not answered", "imsi", b.IMSI, "err", err)
		d = ussdData{Language: "en", Error: 1} // an error, of no particular kind (TS 24.390 §5.1.3)
	}
	if r := []rune(d.String); len(r) > maxUSSD {
		d.String = string(r[:maxUSSD])
	}
	body, err := xml.Marshal(d)
	if err != nil {
		g.reply(s, 500, "")
		return
	}
	m := g.response(s.Request, 200, "")
	m.Contact = []sip.Address{{URI: g.contactFor(s.From)}}
	m.Add("Recv-Info", "g.3gpp.ussd")
	answerNoMedia(s.Request, m)
	acked := make(chan bool, 1)
	s.OnAck(func(_ *sip.Message, err error) { acked <- err == nil })
	g.respond(s, m)
	select {
	case ok = <-acked: // there may be no BYE before it (RFC 3261 §15)
	case <-ctx.Done():
		ok = false
	}
	if !ok {
		return
	}
	g.ussdBye(ctx, s, m, append([]byte(xml.Header), body...))
}

// ussdBye ends the exchange with what the phone is to show.
func (g *Gateway) ussdBye(ctx context.Context, s *txn.Server, ok *sip.Message, body []byte) {
	r := s.Request
	bye := sip.NewRequest(sip.MethodBye, r.Contact[0].URI)
	bye.From, bye.To, bye.CallID, bye.CSeq.Seq = ok.To, r.From, r.CallID, 1
	bye.Route = r.RecordRoute
	bye.ContentType, bye.Body = ussdType, body
	ctx, stop := context.WithTimeout(ctx, 32*time.Second)
	defer stop()
	if _, err := g.o.Endpoint.Request(ctx, bye, txn.To(s.From)).Final(ctx); err != nil {
		g.log.Info("an answer to USSD has not reached its phone", "err", err)
	}
}

// contactFor is where requests within a dialog reach this host.
func (g *Gateway) contactFor(f txn.Flow) sip.URI {
	host, port := g.o.Endpoint.SentBy(txn.To(f))
	u := sip.URI{Scheme: "sip", Host: host, Port: port}
	if f.Transport != txn.UDP {
		u.Params.Set("transport", strings.ToLower(f.Transport))
	}
	return u
}

// answerNoMedia answers a session description, where there is one, with all its
// media refused (RFC 3264 §6).
func answerNoMedia(r, m *sip.Message) {
	for _, p := range parts(r) {
		if p.kind != "application/sdp" {
			continue
		}
		var sdp strings.Builder
		host := "0.0.0.0"
		sdp.WriteString("v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host + "\r\nt=0 0\r\n")
		for line := range strings.Lines(string(p.body)) {
			f := strings.Fields(line)
			if len(f) >= 4 && strings.HasPrefix(f[0], "m=") {
				f[1] = "0"
				sdp.WriteString(strings.Join(f, " ") + "\r\n")
			}
		}
		m.ContentType, m.Body = "application/sdp", []byte(sdp.String())
		return
	}
}
