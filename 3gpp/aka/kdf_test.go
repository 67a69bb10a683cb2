package aka_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/secret"
)

var unhex = testkit.Unhex

func TestDerivationsAsOpenAirInterface(t *testing.T) {
	seen := map[string]int{}
	for _, f := range testkit.Rows(t, "testdata/oai-kdf.txt") {
		seen[f[0]]++
		switch f[0] {
		case "kasme":
			plmn, err := id.DecodePLMN([3]byte(unhex(t, f[1])))
			if err != nil {
				t.Fatal(err)
			}
			var autn aka.AUTN
			sqn, ak := unhex(t, f[2]), unhex(t, f[3])
			for i := range sqn {
				autn[i] = sqn[i] ^ ak[i]
			}
			got := aka.KASME(secret.Key128(unhex(t, f[4])), secret.Key128(unhex(t, f[5])), plmn, autn)
			if !bytes.Equal(got[:], unhex(t, f[6])) {
				t.Errorf("%v: K_ASME %x", f, got[:])
			}
		case "kenb":
			count, err := strconv.ParseUint(f[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			got := aka.KeNB(secret.Key256(unhex(t, f[2])), uint32(count))
			if !bytes.Equal(got[:], unhex(t, f[3])) {
				t.Errorf("%v: K_eNB %x", f, got[:])
			}
		case "knas":
			alg, k := f[1][0]-'0', secret.Key256(unhex(t, f[2]))
			enc, mac := aka.AlgorithmKey(k, aka.NASEnc, alg), aka.AlgorithmKey(k, aka.NASInt, alg)
			if !bytes.Equal(enc[:], unhex(t, f[3])[16:]) || !bytes.Equal(mac[:], unhex(t, f[4])[16:]) {
				t.Errorf("%v: K_NASenc %x, K_NASint %x", f, enc[:], mac[:])
			}
		}
	}
	if seen["kasme"] != 6 || seen["kenb"] != 6 || seen["knas"] != 9 {
		t.Errorf("rows read: %v", seen)
	}
}

// TestHandoverDerivations spells the input strings of TS 33.401 §A.4, §A.5, §A.7
// to §A.15 and §I.2 out again; no published values exist for them.
func TestHandoverDerivations(t *testing.T) {
	var key, sync secret.Key256
	for i := range key {
		key[i], sync[i] = byte(i), byte(200-i)
	}
	plain := func(s string) []byte {
		h := hmac.New(sha256.New, key[:])
		h.Write(unhex(t, s))
		return h.Sum(nil)
	}
	if got := aka.NH(key, sync); !bytes.Equal(got[:], plain("12"+hex.EncodeToString(sync[:])+"0020")) {
		t.Errorf("NH %x", got[:])
	}
	if got := aka.KeNBStar(key, 0x1f7, 3400); !bytes.Equal(got[:], plain("13"+"01f7"+"0002"+"0d48"+"0002")) {
		t.Errorf("K_eNB* %x", got[:])
	}
	if got := aka.KeNBStar(key, 1, 66436); !bytes.Equal(got[:], plain("13"+"0001"+"0002"+"010384"+"0003")) {
		t.Errorf("K_eNB* with a long EARFCN %x", got[:])
	}
	for _, tc := range []struct {
		name string
		got  func() (a, b secret.Key128)
		want string
	}{
		{"CK', IK' at handover", func() (a, b secret.Key128) { return aka.HandoverCKIK(key, 0x00fedcba) }, "16" + "00fedcba" + "0004"},
		{"CK_SRVCC, IK_SRVCC", func() (a, b secret.Key128) { return aka.SRVCCKeys(key, 0x00abcdef) }, "1a" + "00abcdef" + "0004"},
		{"CK', IK' in idle mode", func() (a, b secret.Key128) { return aka.IdleCKIK(key, 0x00012345) }, "1b" + "00012345" + "0004"},
	} {
		if ck, ik := tc.got(); !bytes.Equal(append(ck[:], ik[:]...), plain(tc.want)) {
			t.Errorf("%s: %x %x", tc.name, ck[:], ik[:])
		}
	}
	if got := aka.NASToken(key, 7); !bytes.Equal(got[:], plain("17"+"00000007"+"0004")) {
		t.Errorf("NAS token %x", got[:])
	}
	ck, ik := secret.Key128(key[:16]), secret.Key128(key[16:])
	if got := aka.HandoverKASME(ck, ik, [4]byte{9, 8, 7, 6}); !bytes.Equal(got[:], plain("18"+"09080706"+"0004")) {
		t.Errorf("K'_ASME at handover %x", got[:])
	}
	if got := aka.IdleKASME(ck, ik, [4]byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}); !bytes.Equal(got[:], plain("19"+"01020304"+"0004"+"05060708"+"0004")) {
		t.Errorf("K'_ASME %x", got[:])
	}
	if got := aka.SKeNB(key, 0x0203); !bytes.Equal(got[:], plain("1c"+"0203"+"0002")) {
		t.Errorf("S-K_eNB %x", got[:])
	}
	h := hmac.New(sha256.New, make([]byte, 32))
	h.Write([]byte("attach"))
	if got := aka.HashMME([]byte("attach")); !bytes.Equal(got[:], h.Sum(nil)[24:]) {
		t.Errorf("HASH_MME %x", got)
	}
	for use, number := range map[aka.Use]string{aka.RRCEnc: "03", aka.RRCInt: "04", aka.UPEnc: "05", aka.UPInt: "06"} {
		if got := aka.AlgorithmKey(key, use, 2); !bytes.Equal(got[:], plain("15" + number + "0001" + "02" + "0001")[16:]) {
			t.Errorf("use %v: %x", use, got[:])
		}
	}
}
