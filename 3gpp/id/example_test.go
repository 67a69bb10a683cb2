package id_test

import (
	"fmt"

	"campanile.network/3gpp/id"
)

func ExampleParsePLMN() {
	p, err := id.ParsePLMN("310014")
	fmt.Printf("%v %x %v\n", p, p.Octets(), err)
	// Output: 310/014 134010 <nil>
}

// An identity prints masked, in errors too.
func ExampleParseIMSI() {
	imsi, err := id.ParseIMSI("001010123456780")
	fmt.Println(imsi, err)
	_, err = id.ParseIMSI("0010101234567800")
	fmt.Println(err)
	// Output:
	// 00101········80 <nil>
	// IMSI "00101·········00": 16 digits, want 6 to 15
}

func ExampleDecodeAPN() {
	apn, err := id.DecodeAPN([]byte("\x03ims\x06mnc001\x06mcc001\x04gprs"))
	fmt.Println(apn, err)
	// Output: ims.mnc001.mcc001.gprs <nil>
}

func ExampleParseGlobalENBID() {
	enb, err := id.ParseGlobalENBID("001/01-0x19b")
	fmt.Println(enb, enb.Type.Bits(), err)
	// Output: 001/01-macro-0x19b 20 <nil>
}
