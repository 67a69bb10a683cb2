package nassec_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/nassec"
)

// FuzzParse has what is read before any key is known: nothing panics, and what
// was read is what stands there.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"\x27\xc4\xbc\x82\xa0\x01\x02\x01\xd9", // protected: an ESM information request of srsRAN's core
		"\xc7\x03\xd7\xc9",                     // Service Request of srsRAN's phone
		"\x07\x41\x71",                         // plain
		"\x27\x00\x00\x00\x00\x00",             // nothing behind the header
		"\x02\x01\xd9",                         // ESM
		"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, pdu []byte) {
		kind, err := nassec.TypeOf(pdu)
		if err == nil && (pdu[0]&0x0f != 7 || byte(kind) != pdu[0]>>4) {
			t.Errorf("%x is of type %d", pdu, kind)
		}
		if h, err := nassec.ParseHeader(pdu); err == nil {
			whole := append([]byte{byte(h.Type)<<4 | 7}, h.MAC[:]...)
			whole = append(append(whole, h.Sequence), h.Payload...)
			if !bytes.Equal(whole, pdu) || len(h.Payload) == 0 {
				t.Errorf("%x read as %+v", pdu, h)
			}
		}
		if r, err := nassec.ParseServiceRequest(pdu); err == nil {
			if whole := []byte{pdu[0], r.KSI<<5 | r.Sequence, r.MAC[0], r.MAC[1]}; !bytes.HasPrefix(pdu, whole) {
				t.Errorf("%x read as %+v", pdu, r)
			}
		}
	})
}
