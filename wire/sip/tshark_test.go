package sip_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
)

// built are messages as the gateway and its towers say them, made by hand.
func built(t *testing.T) (list []*sip.Message) {
	uri := func(s string) sip.URI {
		u, err := sip.ParseURI(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	request := func(method sip.Method, to string) *sip.Message {
		m := sip.NewRequest(method, uri(to))
		m.Via = []sip.Via{{Transport: "UDP", Host: "2001:db8::5", Port: 5062, Params: sip.Params{{Name: "rport"}}}}
		m.Via[0].Params.Set("branch", "z9hG4bK-"+strings.ToLower(string(method)))
		m.From = sip.Address{Name: `A "quoted" name \ of Zoë`, URI: uri("sip:IMSI001010000000001@192.0.2.1")}
		m.From.SetTag("from-1")
		m.To = sip.Address{URI: uri(to)}
		m.CallID, m.CSeq.Seq = "call-1@192.0.2.1", 7
		m.Contact = []sip.Address{{URI: uri("sip:IMSI001010000000001@192.0.2.1:5062;transport=udp")}}
		return m
	}
	register := request(sip.MethodRegister, "sip:192.0.2.9")
	register.Contact[0].Params.Set("expires", "5400")
	register.Contact[0].Params.Set("+sip.instance", "<urn:gsma:imei:35714500-123456-0>")
	register.Add("P-Access-Network-Info", "3GPP-GERAN; cgi-3gpp=0010103ef000a")
	challenge := register.Response(401, "")
	challenge.To.SetTag("to-1")
	challenge.Add("WWW-Authenticate", `Digest realm="campanile", nonce="0123456789abcdef0123456789abcdef", algorithm=MD5`)
	done := register.Response(200, "")
	done.To.SetTag("to-1")
	done.Contact = register.Contact
	done.Expires = 3600
	done.Add("P-Associated-URI", "<tel:+4930123456>")

	invite := request(sip.MethodInvite, "sip:*135%23;phone-context=example.net@[2001:db8::9]:5060;user=dialstring")
	invite.Route = []sip.Address{{URI: uri("sip:192.0.2.77;lr")}}
	lines := []sdp.Line{{Addr: netip.MustParseAddrPort("192.0.2.1:4000"), Codecs: []sdp.Codec{{PT: 3, Name: "GSM", Clock: 8000}, {PT: 96, Name: "telephone-event", Clock: 8000, FMTP: "0-15"}}, PTime: 20,
		Cryptos: []sdp.Crypto{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: make([]byte, 30)}}}}
	body, err := sdp.Offer(sdp.Origin{ID: "1", Version: "1"}, lines).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	invite.ContentType, invite.Body = "application/sdp", body
	ringing := invite.Response(183, "")
	ringing.To.SetTag("to-2")
	message := request(sip.MethodMessage, "sip:smsc@192.0.2.9")
	message.ContentType, message.Body = "text/plain", []byte("hello")
	refused := message.Response(503, "")
	refused.To.SetTag("to-3")
	refused.Add("Retry-After", "5")
	bye := request(sip.MethodBye, "tel:+49-30-123456;phone-context=example.net")
	return []*sip.Message{register, challenge, done, invite, ringing, message, refused, bye}
}

// TestTshark: what is built here is to tshark what was meant, and it has nothing
// to warn of.
func TestTshark(t *testing.T) {
	messages := built(t)
	var frames [][]byte
	for _, m := range messages {
		b, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b)
	}
	rows := tshark(t, frames, "sip.Method", "sip.Status-Code", "sip.from.tag", "sip.to.tag", "sip.Via.branch", "sip.Via.sent-by.address", "sip.Via.sent-by.port",
		"sip.Call-ID", "sip.CSeq.seq", "sip.CSeq.method", "sip.contact.uri", "sip.Content-Length", "sdp.media.port", "sdp.mime.type", "_ws.malformed", "_ws.expert.severity")
	if len(rows) != len(messages) {
		t.Fatalf("%d rows for %d messages", len(rows), len(messages))
	}
	for i, m := range messages {
		status, contact, port, codecs := "", "", "", ""
		if !m.IsRequest() {
			status = strconv.Itoa(m.Status)
		}
		if m.Contact != nil {
			contact = m.Contact[0].URI.String()
		}
		if m.ContentType == "application/sdp" {
			port, codecs = "4000", "GSM,telephone-event"
		}
		want := []string{string(m.Method), status, m.From.Tag(), m.To.Tag(), m.Via[0].Branch(), "2001:db8::5", "5062",
			m.CallID, "7", string(m.CSeq.Method), contact, strconv.Itoa(len(m.Body)), port, codecs, ""}
		for k, w := range want {
			if rows[i][k] != w {
				t.Errorf("%s %d: column %d is %q, want %q", m.Method, m.Status, k, rows[i][k], w)
			}
		}
		const warning = 0x00600000
		for s := range strings.SplitSeq(rows[i][len(want)], ",") {
			if n, _ := strconv.Atoi(s); n >= warning {
				t.Errorf("%s %d: tshark warns", m.Method, m.Status)
			}
		}
	}
}

// tshark gives frames to tshark's SIP dissector, in a capture of link type
// WIRESHARK_UPPER_PDU, and returns the fields of each.
func tshark(t *testing.T, frames [][]byte, fields ...string) (rows [][]string) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	var w bytes.Buffer
	w.Write([]byte{0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 252})
	for i, b := range frames {
		pdu := append([]byte{0, 12, 0, 4, 's', 'i', 'p', 0, 0, 0, 0, 0}, b...)
		for _, n := range []int{i, 0, len(pdu), len(pdu)} {
			binary.Write(&w, binary.BigEndian, uint32(n))
		}
		w.Write(pdu)
	}
	name := filepath.Join(t.TempDir(), "sip.pcap")
	if err := os.WriteFile(name, w.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", name, "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return rows
}
