package decode_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/decode"
	"campanile.network/decode/observer"
)

var ip4 = netip.AddrFrom4([4]byte{10, 0, 0, 1})

// pdu is an S1AP message as a line of digits.
func pdu(t *testing.T, m s1ap.Message) string {
	t.Helper()
	b, err := s1ap.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b) + "\n"
}

// Two phones of one MME are kept apart, one of them through a path switch that
// gives it another eNB's id: the context follows the MME's id.
func TestPathSwitch(t *testing.T) {
	plmn, err := id.ParsePLMN("001/01")
	if err != nil {
		t.Fatal(err)
	}
	tai, cell := id.TAI{PLMN: plmn, TAC: 7}, id.ECGI{PLMN: plmn, ECI: 1}
	phones := map[int]*nassec.Context{}
	o := observer.Options{}
	for i := 1; i <= 2; i++ {
		k := secret.Key256{byte(i)}
		o.KASME = append(o.KASME, k)
		if phones[i], err = nassec.New(nassec.State{Role: nassec.Phone, KASME: k, EEA: nassec.EEA2, EIA: nassec.EIA2}); err != nil {
			t.Fatal(err)
		}
	}
	up := func(who int, mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID) string {
		plain, err := eps.Append(nil, &eps.EMMStatus{Cause: 97})
		if err != nil {
			t.Fatal(err)
		}
		b, err := phones[who].Protect(nil, nassec.IntegrityCiphered, plain)
		if err != nil {
			t.Fatal(err)
		}
		return pdu(t, &s1ap.UplinkNASTransport{MMEUES1APID: mme, ENBUES1APID: enb, NASPDU: b, TAI: s1ap.FromTAI(tai), EUTRANCGI: s1ap.FromECGI(cell)})
	}
	in := up(1, 10, 1) + up(2, 20, 2) + pdu(t, &s1ap.PathSwitchRequest{ENBUES1APID: 3, SourceMMEUES1APID: 10, TAI: s1ap.FromTAI(tai), EUTRANCGI: s1ap.FromECGI(cell),
		ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(ip4), GTPTEID: s1ap.FromTEID(1)}}})
	for range 300 { // beyond eight bits: only the context that went along can know the COUNT
		in += up(1, 10, 3)
	}
	in += up(2, 20, 2)
	out, notes, err := run(t, decode.Options{Format: decode.JSON, Keys: o}, []byte(in))
	if err != nil || len(notes) > 0 {
		t.Errorf("%v %q", err, notes)
	}
	if n := strings.Count(out, `"MAC":"verified","NAS COUNT"`); n != 303 {
		t.Errorf("%d codes verified", n)
	}
	if !strings.Contains(out, `"NAS COUNT":300,`) || strings.Count(out, `"NAS COUNT":1,`) != 2 {
		t.Error("the counts went astray")
	}
}
