package sipgw

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

const (
	rpduType = "application/vnd.3gpp.sms" // TS 24.341 §5.3.1.2
	textType = "text/plain"
)

// maxText is how long a text/plain body may be, in octets: ten parts of a
// concatenated message and some.
const maxText = 4096

// message takes a short message of a phone or an app (RFC 3428 §7).
func (g *Gateway) message(ctx context.Context, s *txn.Server, station *Station) {
	b, ok := g.Caller(ctx, s)
	if !ok {
		return
	}
	m := s.Request
	kind, params, err := mime.ParseMediaType(m.ContentType)
	switch {
	case g.o.Messages == nil:
		g.refuseMessage(s, 503, "No Short Messages Here")
	case m.Get("Content-Encoding") != "" && !strings.EqualFold(m.Get("Content-Encoding"), "identity"):
		g.refuseMessage(s, 415, "", sip.Header{Name: "Accept-Encoding", Value: "identity"})
	case err == nil && kind == rpduType:
		g.rpdu(ctx, s, b)
	case err == nil && kind == textType && utf8Text(params["charset"], m.Body):
		g.text(ctx, s, b)
	default:
		g.refuseMessage(s, 415, "", sip.Header{Name: "Accept", Value: rpduType + ", " + textType})
	}
}

func (g *Gateway) refuseMessage(s *txn.Server, status int, reason string, more ...sip.Header) {
	g.count.add(&g.count.messages, "from phone: "+sip.Phrase(status))
	g.reply(s, status, reason, more...)
}

// utf8Text says that a body is text that can be read.
func utf8Text(charset string, body []byte) bool {
	switch strings.ToLower(charset) {
	case "", "utf-8", "us-ascii":
		return utf8.Valid(body)
	}
	return false
}

// ReadRPDU gives the octets of an RPDU in a body: OpenBTS writes hexadecimal
// digits, others the octets themselves. The content decides: the first octet of an
// RPDU is no digit (TS 24.011 §8.2.2).
func ReadRPDU(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, errors.New("no RPDU")
	}
	if body[0] < '0' {
		return body, nil
	}
	b := make([]byte, hex.DecodedLen(len(body)))
	n, err := hex.Decode(b, bytes.TrimRight(body, "\r\n \x00"))
	return b[:n], err
}

// rpdu takes a message of the relay layer.
func (g *Gateway) rpdu(ctx context.Context, s *txn.Server, b *Binding) {
	octets, err := ReadRPDU(s.Request.Body)
	if err != nil {
		g.refuseMessage(s, 400, "Malformed RPDU")
		return
	}
	rp, err := sms.ParseRP(sms.Uplink, octets)
	if err != nil {
		g.refuseMessage(s, 400, "Malformed RPDU")
		return
	}
	var reference uint8
	switch m := rp.(type) {
	case *sms.RPData:
		reference = m.Reference
	case *sms.RPSMMA:
		reference = m.Reference
	default: // a phone's answer to a message that was sent to it
		g.report(s, b, rp)
		return
	}
	answer, err := g.o.Messages.Submit(ctx, g.sender(b), rp)
	switch {
	case err != nil:
		g.log.Warn("the message centre does not answer", "imsi", b.IMSI, "err", err)
		answer = &sms.RPError{Cause: sms.RPCauseNetworkOutOfOrder}
	case answer == nil:
		answer = &sms.RPAck{}
	}
	g.submitted(ctx, s, b, answer, reference)
}

func (g *Gateway) sender(b *Binding) smsc.Sender { return smsc.Sender{IMSI: b.IMSI, MSISDN: b.MSISDN} }

// submitted answers a phone what the message centre said: OpenBTS knows only
// whether it was taken, YateBTS reads the RPDU in the answer, and an IMS phone
// waits for one in a MESSAGE of its own (TS 24.341 §5.3.3.4).
func (g *Gateway) submitted(ctx context.Context, s *txn.Server, b *Binding, answer sms.RP, reference uint8) {
	status := 202
	switch a := answer.(type) {
	case *sms.RPAck:
		a.Direction, a.Reference = sms.Downlink, reference
		g.took(b)
	case *sms.RPError:
		a.Direction, a.Reference = sms.Downlink, reference
		g.count.add(&g.count.messages, "from phone: "+a.Cause.String())
		status = statusOf(a.Cause)
	}
	octets, err := sms.Append(nil, answer)
	if err != nil {
		g.log.Error("the message centre's answer cannot be written", "err", err)
		g.reply(s, 500, "")
		return
	}
	switch b.Kind {
	case YateBTS:
		m := g.response(s.Request, 200, "")
		m.ContentType, m.Body = rpduType, octets
		g.respond(s, m)
	case IMS:
		g.reply(s, 202, "")
		g.submitReport(ctx, s.Request, b, octets)
	default:
		g.reply(s, status, "")
	}
}

// took counts a message that a phone has sent.
func (g *Gateway) took(b *Binding) {
	g.count.in.Add(1)
	g.tally(b.IMSI, b.Stay)
}

// tally counts a message at its phone's cell, if that is where it went.
func (g *Gateway) tally(imsi id.IMSI, at Stay) {
	if at == nil {
		return
	}
	if err := at.Message(1); err != nil {
		g.count.uncounted.Add(1)
		g.log.Error("a message at a cell is counted, and not on disk yet", "imsi", imsi, "err", err)
	}
}

// statusOf is the status of a cause (TS 24.011 §8.2.5.4) for who reads no RPDU.
func statusOf(c sms.RPCause) int {
	switch c {
	case sms.RPCauseUnassignedNumber, sms.RPCauseUnknownSubscriber, sms.RPCauseUnidentifiedSubscriber:
		return 404
	case sms.RPCauseOperatorDeterminedBarring, sms.RPCauseCallBarred, sms.RPCauseTransferRejected, sms.RPCauseFacilityNotSubscribed:
		return 403
	case sms.RPCauseDestinationOutOfOrder:
		return 480
	case sms.RPCauseNetworkOutOfOrder, sms.RPCauseTemporaryFailure, sms.RPCauseCongestion, sms.RPCauseResourcesUnavailable, sms.RPCauseMemoryCapacityExceeded:
		return 503
	case sms.RPCauseFacilityRejected, sms.RPCauseFacilityNotImplemented, sms.RPCauseInterworking:
		return 501
	}
	return 400
}

// text takes a text for the number in the Request-URI.
func (g *Gateway) text(ctx context.Context, s *txn.Server, b *Binding) {
	m := s.Request
	to := m.URI.Number()
	switch {
	case to == "" || len(to) > 24:
		g.refuseMessage(s, 404, "No Number in the Request-URI")
		return
	case len(m.Body) > maxText:
		g.refuseMessage(s, 413, "")
		return
	}
	sum := keyed(nil, b.IMSI.Digits(), m.CallID, m.CSeq.String(), m.From.Tag())
	err := g.o.Messages.SubmitText(ctx, g.sender(b), to, string(m.Body), smsc.Key(sum[:16]))
	var refused *smsc.Refused
	switch {
	case err == nil:
		g.took(b)
		g.reply(s, 202, "")
	case errors.As(err, &refused):
		g.refuseMessage(s, statusOf(refused.Cause), "")
	default:
		g.log.Warn("the message centre does not answer", "imsi", b.IMSI, "err", err)
		g.refuseMessage(s, 503, "", sip.Header{Name: "Retry-After", Value: "30"})
	}
}

// reportWait is how long an IMS phone may take to say whether it took a message
// (TR2M of TS 24.011 §10).
const reportWait = 45 * time.Second
