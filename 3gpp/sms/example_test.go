package sms_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"campanile.network/3gpp/sms"
)

// A message centre takes a short message out of the RPDU that a base station
// sent it in a SIP MESSAGE, and accepts it.
func ExampleParseRP() {
	body, _ := hex.DecodeString("002a0007914477581006f01831070b914411225533f40000a90bc8329bfd06dddf723619")
	rp, err := sms.ParseRP(sms.Uplink, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, ok := rp.(*sms.RPData)
	if !ok {
		return
	}
	tpdu, err := data.TPDU()
	if err != nil {
		fmt.Println(err)
		return
	}
	if m, ok := tpdu.(*sms.Submit); ok {
		text, err := m.User.Text(m.DCS)
		fmt.Printf("%q %v to %v, valid for %v\n", text, err, m.Destination, m.Validity)
	}
	ack, err := sms.Append(nil, &sms.RPAck{Direction: sms.Downlink, Reference: data.Reference})
	fmt.Printf("%x %v\n", ack, err)
	// Output:
	// "Hello world" <nil> to +44·······34, valid for 3 days
	// 032a <nil>
}

// A broken message names what is wrong, and its answer.
func ExampleError() {
	_, err := sms.ParseCP([]byte{0x19, 0x01, 0x30, 0x00})
	fmt.Println(err)
	var e *sms.Error
	if errors.As(err, &e) {
		fmt.Println(e.Answer())
	}
	// Output:
	// CP-DATA: CP-User data at octet 4: cut off: 1 octets, want 48, cause Invalid mandatory information (#96)
	// CP-ERROR
	//   Protocol discriminator: 9
	//   Transaction identifier: 1, to its originator
	//   Message type: 16
	//   CP-Cause: Invalid mandatory information (#96)
}

// A long text goes to a phone in as many messages as it needs.
func ExampleSplit() {
	text := strings.Repeat("Şişli'ye hoş geldiniz. ", 8)
	parts, err := sms.Split(text, sms.SplitOptions{Reference: 7, National: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	from, _ := sms.NewName("Campanile")
	at := sms.NewTimestamp(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	for i, p := range parts {
		pdu, err := sms.Append(nil, &sms.Deliver{
			MoreMessages: i < len(parts)-1,
			Originator:   from,
			DCS:          p.DCS,
			Timestamp:    at,
			User:         p.User,
		})
		h, _ := p.User.Header()
		c, _ := h.Concatenation()
		fmt.Println(len(pdu), "octets, part", c.Number, "of", c.Total, h.Alphabet(), err)
	}
	joined, err := sms.Join(parts)
	fmt.Println(joined == text, err)
	// Output:
	// 161 octets, part 1 of 2 {Turkish default} <nil>
	// 62 octets, part 2 of 2 {Turkish default} <nil>
	// true <nil>
}

// The parts of a long text come in any order; the joiner is told the time.
func ExampleJoiner() {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	from, _ := sms.NewAddress("+4915112345678")
	parts, _ := sms.Split(strings.Repeat("too long ", 20), sms.SplitOptions{Reference: 9})
	j := sms.NewJoiner(sms.JoinLimits{Age: time.Hour})
	for _, i := range []int{1, 0} {
		whole, lost := j.Add(now, sms.Peer{From: from}, parts[i])
		fmt.Println(len(whole), "parts whole,", len(lost), "messages lost,", j.Len(), "parts kept")
	}
	// Output:
	// 0 parts whole, 0 messages lost, 1 parts kept
	// 2 parts whole, 0 messages lost, 0 parts kept
}

// The sender of a message is told what became of it.
func ExampleStatusReport() {
	to, _ := sms.NewAddress("+4915112345678")
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.FixedZone("", 3600))
	m := &sms.StatusReport{Reference: 7, Recipient: to, Timestamp: sms.NewTimestamp(at), Discharge: sms.NewTimestamp(at.Add(time.Minute)), Status: sms.StatusReceived}
	fmt.Println(m)
	fmt.Println(m.Status.Outcome() == sms.Completed)
	// Output:
	// SMS-STATUS-REPORT
	//   TP-Message-Type-Indicator: 2
	//   TP-More-Messages-to-Send: false
	//   TP-Loop-Prevention: false
	//   TP-Status-Report-Qualifier: false
	//   TP-Message-Reference: 7
	//   TP-Recipient-Address: +49·········78
	//   TP-Service-Centre-Time-Stamp: 2026-11-22 12:00:00 +01:00
	//   TP-Discharge-Time: 2026-11-22 12:01:00 +01:00
	//   TP-Status: transaction completed: Short message received by the SME (0x00)
	//   TP-Parameter-Indicator: 0x00
	// true
}
