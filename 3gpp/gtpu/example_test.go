package gtpu_test

import (
	"fmt"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/tree"
)

func ExampleParse() {
	m, err := gtpu.Parse([]byte{0x34, 0xff, 0x00, 0x09, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xc0, 0x01, 0x00, 0x07, 0x00, 0x45})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Type, m.TEID)
	for t, content := range m.Extensions {
		n, _ := t.Number(content)
		fmt.Println(t, n)
	}
	// Output:
	// G-PDU 0x00000001
	// PDCP PDU Number 7
}

// A message with whatever it may carry is a Message whose Payload are elements.
func ExampleMessage_Append() {
	elements, err := gtpu.AppendPrivate(nil, 10415, []byte("bell"))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := gtpu.Message{Type: gtpu.EndMarker, TEID: 7, Payload: elements}
	datagram, err := m.Append(nil)
	fmt.Printf("%x %v\n", datagram, err)
	// Output: 30fe000900000007ff000628af62656c6c <nil>
}

func ExampleTree() {
	m, err := gtpu.Parse([]byte{0x32, 31, 0, 7, 0, 0, 0, 0, 0, 9, 0, 0, 141, 1, 0x40})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tree.View{}.Text(gtpu.Tree(m)))
	// Output:
	// Supported Extension Headers Notification
	//   Message Type: 31
	//   Tunnel Endpoint Identifier: 0x00000000
	//   Sequence Number: 9
	//   Extension Header Type List
	//     [0]: UDP Port
}
