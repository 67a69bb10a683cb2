package decode_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"campanile.network/3gpp/secret"
	"campanile.network/decode"
	"campanile.network/decode/observer"
)

// ownCapture is campanile up with its virtual phone, on the loopback: S1AP on
// both sides of the tower's agent, S11, the first four packets of GTP-U.
const ownCapture = "testdata/campanile_up_sctp_in_udp_eea2_s11.pcap"

// ownSIM is the SIM that campanile init made for it.
func ownSIM(t testing.TB) observer.Options {
	t.Helper()
	b, err := hex.DecodeString("0c7f908898139e7c7af107e7ce95319f2d8a6f7075bc6951b2deb9d2c35133d2")
	if err != nil {
		t.Fatal(err)
	}
	return observer.Options{Subscribers: []observer.Subscriber{{K: secret.Key128(b[:16]), OPc: secret.Key128(b[16:])}}}
}

// What our own core ciphers with 128-EEA2 is deciphered, on both sides of the
// relay; without keys it is not, and said so.
func TestOwnCiphering(t *testing.T) {
	out, notes, err := run(t, decode.Options{Format: decode.JSON, Keys: ownSIM(t)}, file(t, ownCapture))
	if err != nil || len(notes) > 0 {
		t.Errorf("%v %q", err, notes)
	}
	all := objects(t, out)
	verdicts := map[any]int{}
	keys, protocols := 0, map[any]int{}
	for _, m := range all {
		protocols[m["protocol"]]++
		for _, s := range securities(m) {
			verdicts[s["MAC"]]++
			if header := s["Security header type"].(string); strings.Contains(header, "ciphered") && s["ciphering"] != "128-EEA2" {
				t.Errorf("frame %v: %v", m["frame"], s)
			}
		}
		if ies, _ := m["ies"].(map[string]any); ies["K_eNB"] == "SecurityKey is the one derived for uplink NAS COUNT 0" {
			keys++
		}
	}
	if verdicts["verified"] != 8 || verdicts["verified, heard before"] != 8 || len(verdicts) != 2 || keys != 2 {
		t.Errorf("codes %v, %d keys", verdicts, keys)
	}
	if protocols["S1AP"] != 32 || protocols["GTPv2-C"] != 6 || protocols["GTP-U"] != 4 || len(protocols) != 3 {
		t.Errorf("messages %v", protocols)
	}
	if n := strings.Count(out, `"message":"ATTACH ACCEPT"`); n != 2 {
		t.Errorf("ATTACH ACCEPT %d times", n)
	}

	out, notes, err = run(t, decode.Options{}, file(t, ownCapture))
	if err != nil || len(notes) != 1 || notes[0] != "NAS messages that stay ciphered: 14 (--keys or --kasme deciphers them)" || strings.Contains(out, "ATTACH ACCEPT") {
		t.Errorf("%v %q", err, notes)
	}
	wrong := observer.Options{KASME: []secret.Key256{{1}}}
	_, notes, err = run(t, decode.Options{Keys: wrong}, file(t, ownCapture))
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "no key given fits them") {
		t.Errorf("%v %q", err, notes)
	}
}

// Of one UE, by the eNB's id or the MME's, all is shown from when it is known.
func TestOneUE(t *testing.T) {
	id := uint32(4)
	out, _, err := run(t, decode.Options{Format: decode.Summary, UE: &id}, file(t, idleCapture))
	if err != nil || strings.Count(out, "\n") != 10 || strings.Contains(out, "MME 1 ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A protocol is shown where others carry it, too.
func TestOnly(t *testing.T) {
	count := func(in []byte, only ...string) int {
		out, _, err := run(t, decode.Options{Format: decode.Summary, Only: only}, in)
		if err != nil {
			t.Error(err)
		}
		return strings.Count(out, "\n")
	}
	all, s1ap, nas, gtpu := count(file(t, linuxSCTP)), count(file(t, linuxSCTP), "s1ap"), count(file(t, linuxSCTP), "nas"), count(file(t, linuxSCTP), "gtpu")
	if nas == 0 || nas >= s1ap || s1ap+gtpu != all || count(file(t, linuxSCTP), "nas", "gtpu") != nas+gtpu || count(file(t, linuxSCTP), "sms") != 0 {
		t.Errorf("all %d, S1AP %d, NAS %d, GTP-U %d", all, s1ap, nas, gtpu)
	}
	if n := count([]byte("07631f19011c00020007913386094000f01001840a816000000000000004d4f29c0e\n074411\n8904"), "sms"); n != 2 {
		t.Errorf("%d messages are or have a short message", n)
	}
}
