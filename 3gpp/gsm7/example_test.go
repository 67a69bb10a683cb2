package gsm7_test

import (
	"fmt"

	"campanile.network/3gpp/gsm7"
)

func ExampleAlphabet() {
	septets, err := gsm7.Alphabet{}.Append(nil, "Grüße, 5 €")
	if err != nil {
		fmt.Println(err)
		return
	}
	octets := gsm7.Pack(nil, septets, 0)
	fmt.Printf("%d septets, % x\n", len(septets), octets)

	back, err := gsm7.Unpack(nil, octets, 0, len(septets))
	fmt.Println(gsm7.Alphabet{}.Text(back), err)
	// Output:
	// 11 septets, 47 b9 df 53 66 81 6a a0 4d 19
	// Grüße, 5 € <nil>
}

func ExampleChoose() {
	for _, text := range []string{"Yarın görüşürüz, ağabey", "नमस्ते", "早上好"} {
		a, ok := gsm7.Choose(text)
		fmt.Println(ok, a.Locking, a.Single)
	}
	// Output:
	// true Turkish default
	// true Hindi default
	// false default default
}
