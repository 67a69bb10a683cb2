package nassec_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

var unhex = testkit.Unhex

// pair is both ends of one context.
type pair struct {
	network, phone *nassec.Context
}

func newPair(t testing.TB, s nassec.State) (p pair) {
	t.Helper()
	var err error
	s.Role = nassec.Network
	if p.network, err = nassec.New(s); err != nil {
		t.Fatal(err)
	}
	s.Role = nassec.Phone
	if p.phone, err = nassec.New(s); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCapturedConversations runs a card, a phone and a network along what
// srsRAN's phone and core said to each other: the card gives the captured RES,
// each side verifies what it received and rebuilds what it sent to the octet, and
// K_eNB is the one in Initial Context Setup.
func TestCapturedConversations(t *testing.T) {
	for file, want := range map[string]int{
		"srsran-attach-idle-service-detach-guti.txt": 24,
		"srsran-attach-detach.txt":                   12,
	} {
		t.Run(file, func(t *testing.T) {
			plmn, err := id.ParsePLMN("00101")
			if err != nil {
				t.Fatal(err)
			}
			card, err := aka.NewUSIM(aka.USIMOptions{
				Algorithm: milenage.New(
					secret.Key128(unhex(t, "00112233445566778899aabbccddeeff")),
					secret.Key128(unhex(t, "63bfa50ee6523365ff14c1f45f88737d"))),
			})
			if err != nil {
				t.Fatal(err)
			}
			r := replay{t: t, card: card, plmn: plmn}
			rows := testkit.Rows(t, "testdata/"+file)
			for _, f := range rows {
				r.frame = f[0]
				r.step(f[1], unhex(t, f[2]))
			}
			if len(rows) != want {
				t.Errorf("%d lines, want %d", len(rows), want)
			}
		})
	}
}

type replay struct {
	t      *testing.T
	frame  string
	card   *aka.USIM
	plmn   id.PLMN
	res    aka.RES
	kasme  secret.Key256
	p      pair
	kenbAt nassec.Count
}

func (r *replay) step(kind string, b []byte) {
	r.t.Helper()
	switch {
	case kind == "kenb":
		if k := r.p.network.KeNB(r.kenbAt); !bytes.Equal(k[:], b) {
			r.t.Errorf("frame %s: K_eNB %x, want %x", r.frame, k[:], b)
		}
	case b[0] == 0x07 && b[1] == 0x52: // Authentication Request: KSI, RAND, length, AUTN
		autn, err := aka.DecodeAUTN(b[20:])
		if err != nil {
			r.t.Fatal(err)
		}
		if r.res, r.kasme, err = r.card.AuthenticateEPS(aka.RAND(b[3:19]), autn, r.plmn); err != nil {
			r.t.Fatalf("frame %s: %v", r.frame, err)
		}
	case b[0] == 0x07 && b[1] == 0x53: // Authentication Response: length, RES
		if !r.res.Equal(b[3:]) {
			r.t.Fatalf("frame %s: RES %x, want %x", r.frame, r.res.Bytes(), b[3:])
		}
	case b[0] == 0x07: // the first Attach Request
	case b[0] == 0xc7:
		r.serviceRequest(b)
	case kind == "ul":
		r.protected(r.p.phone, r.p.network, b)
	default:
		if b[0] == 0x37 { // Security Mode Command: type, then the algorithms
			r.p = newPair(r.t, nassec.State{KASME: r.kasme, EEA: nassec.EEA(b[8] >> 4 & 7), EIA: nassec.EIA(b[8] & 7)})
		}
		r.protected(r.p.network, r.p.phone, b)
	}
}

func (r *replay) protected(from, to *nassec.Context, b []byte) {
	r.t.Helper()
	got, err := to.Unprotect(nil, b)
	if err != nil {
		r.t.Fatalf("frame %s: %v", r.frame, err)
	}
	again, err := from.Protect(nil, got.Type, got.Plain)
	if err != nil || !bytes.Equal(again, b) {
		r.t.Errorf("frame %s: built %x (%v), want %x", r.frame, again, err, b)
	}
	// Security Mode Complete or an Attach Request by GUTI starts a K_eNB.
	if to == r.p.network && (got.Plain[1] == 0x5e || got.Plain[1] == 0x41) {
		r.kenbAt = got.Count
	}
}

func (r *replay) serviceRequest(b []byte) {
	r.t.Helper()
	count, err := r.p.network.AcceptServiceRequest(b)
	if err != nil {
		r.t.Fatalf("frame %s: %v", r.frame, err)
	}
	again, err := r.p.phone.AppendServiceRequest(nil)
	if err != nil || !bytes.Equal(again, b) {
		r.t.Errorf("frame %s: built %x (%v), want %x", r.frame, again, err, b)
	}
	r.kenbAt = count
}
