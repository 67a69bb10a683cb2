package nassec_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/nassec"
)

func FuzzUnprotect(f *testing.F) {
	p := newPair(f, state(nassec.EEA2, nassec.EIA2))
	good := mustProtect(f, p.phone, nassec.IntegrityCiphered, []byte("\x07\x41 attach"))
	sr, err := p.phone.AppendServiceRequest(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(sr)
	f.Add([]byte{0x27})
	f.Add(append([]byte{0x37}, good[1:]...))
	f.Fuzz(func(t *testing.T, pdu []byte) {
		p := newPair(t, state(nassec.EEA2, nassec.EIA2))
		before := p.network.State()
		if _, err := p.network.Unprotect(nil, pdu); err == nil {
			// The first octet is outside what the code covers (TS 24.301 §4.4.3.3): the
			// type of header may be another, and the text then stays ciphered.
			if !bytes.Equal(pdu[1:], good[1:]) {
				t.Errorf("forged %x accepted", pdu)
			}
			return
		}
		if p.network.State() != before {
			t.Error("a refused message changed the state")
		}
		// 16 bits can be guessed by a fuzzer; only the absence of a panic counts here.
		_, _ = p.network.VerifyServiceRequest(pdu)
	})
}
