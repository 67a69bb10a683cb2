package eps_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// An MME reads the first message of a phone.
func ExampleParse() {
	pdu := []byte{0x07, 0x41, 0x71, 0x08, 0x09, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x08, 0x02, 0xf0, 0x70,
		0x00, 0x05, 0x02, 0x01, 0xd0, 0x11, 0xd1}
	m, err := eps.Parse(eps.Uplink, pdu)
	if err != nil {
		fmt.Println(err)
		return
	}
	if m, ok := m.(*eps.AttachRequest); ok {
		_, isIMSI := m.Identity.IMSI()
		fmt.Println("by IMSI:", isIMSI, "- EIA2:", m.Capability.EIA(2))
	}
	fmt.Println(m)
	// Output:
	// by IMSI: true - EIA2: true
	// ATTACH REQUEST
	//   EPS attach type: EPS attach (#1)
	//   NAS key set identifier: no key is available (#7)
	//   EPS mobile identity
	//     IMSI: 00101········80
	//   UE network capability: EEA0 128-EEA1 128-EEA2 128-EEA3 128-EIA1 128-EIA2 128-EIA3
	//   ESM message container
	//     PDN CONNECTIVITY REQUEST
	//       EPS bearer identity: 0
	//       Procedure transaction identity: 1
	//       Request type: initial request (#1)
	//       PDN type: IPv4 (#1)
	//       ESM information transfer flag: security protected ESM information transfer required (#1)
}

// What a decoder shows: the spec's names, identities masked where they are to be.
func ExampleTreePDU() {
	pdu := []byte{0x17, 1, 2, 3, 4, 9, 0x07, 0x56, 0x08, 0x09, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x08}
	n := eps.TreePDU(eps.Uplink, pdu)
	fmt.Println(tree.View{Mask: true}.Text(n))
	fmt.Printf("%s\n", tree.View{}.AppendJSON(nil, n))
	// Output:
	// SECURITY PROTECTED NAS MESSAGE
	//   Security header type: integrity protected (#1)
	//   Message authentication code: 01020304
	//   Sequence number: 9
	//   NAS message
	//     IDENTITY RESPONSE
	//       Mobile identity
	//         IMSI: 00101········80
	// {"Security header type":"integrity protected (#1)","Message authentication code":"01020304","Sequence number":9,"NAS message":{"IDENTITY RESPONSE":{"Mobile identity":{"IMSI":"001010123456780"}}}}
}

// A broken message names its cause, and the answer.
func ExampleError() {
	_, err := eps.Parse(eps.Uplink, []byte{0x07, 0x41, 0x71, 0x02, 0xf6, 0x00})
	fmt.Println(err)
	var e *eps.Error
	if errors.As(err, &e) {
		fmt.Println(e.Status())
	}
	// Output:
	// ATTACH REQUEST: EPS mobile identity at octet 4: 2 octets, want at least 4, cause Invalid mandatory information (#96)
	// EMM STATUS
	//   EMM cause: Invalid mandatory information (#96)
}

// An MME accepts an attach: the bearer's message goes inside.
func ExampleAppend() {
	plmn, _ := id.ParsePLMN("999/70")
	apn, _ := id.ParseAPN("internet")
	bearer, err := eps.Append(nil, &eps.ActivateDefaultEPSBearerContextRequest{
		EBI:     5,
		PTI:     1,
		QoS:     eps.EPSQoS{QCI: 9},
		APN:     apn,
		Address: eps.IPv4Address(netip.MustParseAddr("10.45.0.2")),
		AMBR:    eps.Some(eps.AMBR{DL: 100 * id.Mbps, UL: 50 * id.Mbps}),
		PCO:     eps.Some(eps.PCO{}.WithDNS(netip.MustParseAddr("10.45.0.1"))),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := eps.Append(nil, &eps.AttachAccept{
		Result: eps.AttachResultEPSOnly,
		T3412:  eps.NewGPRSTimer(54 * time.Minute),
		TAIs:   eps.NewTAIList(id.TAI{PLMN: plmn, TAC: 7}),
		ESM:    bearer,
		GUTI:   eps.Some(eps.FromGUTI(id.GUTI{GUMMEI: id.GUMMEI{PLMN: plmn, Group: 1, Code: 1}, TMSI: 0xc0ffee00})),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The envelope; ciphering, and the MAC over octets 6 to the end, are not
	// of this package.
	b := eps.Protected{Header: eps.HeaderIntegrityCiphered, Sequence: 1, Payload: plain}.Append(nil)
	fmt.Printf("%x\n", b)
	// Output:
	// 27000000000107420149060099f907000700255201c101090908696e7465726e657405010a2d00025e04fefe9e6c270880000d040a2d0001500bf699f907000101c0ffee00
}
