package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"campanile.network/3gpp/secret"
)

func TestKeysDoNotPrint(t *testing.T) {
	j := secret.Key64{0xde, 0xad, 0xbe, 0xef}
	k := secret.Key128{0xde, 0xad, 0xbe, 0xef}
	l := secret.Key256{0xde, 0xad, 0xbe, 0xef}
	r := secret.RES64([8]byte{0xde, 0xad, 0xbe, 0xef})
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, j, k, l, r)
		fmt.Fprintf(&out, verb, struct {
			K secret.Key128
			R secret.RES
		}{k, r})
		fmt.Fprintf(&out, verb, &l)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("k", "kc", j, "key", k, "key2", l, "res", r)
	for _, leak := range []string{"dead", "DEAD", "222", "0xde", "\xde"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("printed %q in %q", leak, out.String())
		}
	}
	for _, v := range []any{j, k, l, r, map[string]any{"k": k}, struct{ K secret.Key256 }{l}} {
		if _, err := json.Marshal(v); !errors.Is(err, secret.ErrRefused) {
			t.Errorf("json of %T: %v", v, err)
		}
	}
	if j.Equal(secret.Key64{}) || !j.Equal(j) || k.Equal(secret.Key128{}) || !k.Equal(k) || l.Equal(secret.Key256{}) || !l.Equal(l) {
		t.Error("Equal is wrong")
	}
}

func TestRESHasFourToSixteenOctets(t *testing.T) {
	octets := []byte("0123456789abcdefg")
	for n := range len(octets) + 1 {
		r, err := secret.MakeRES(octets[:n])
		if ok := n >= 4 && n <= 16; ok != (err == nil) {
			t.Errorf("%d octets: %v", n, err)
		}
		if err != nil {
			if r != (secret.RES{}) || r.Equal(octets[:n]) {
				t.Errorf("%d octets: an error and %d octets of RES", n, r.Len())
			}
			continue
		}
		padded := r.Padded()
		if r.Len() != n || !bytes.Equal(r.Bytes(), octets[:n]) || !bytes.Equal(padded[:], append(bytes.Clone(octets[:n]), make([]byte, 16-n)...)) {
			t.Errorf("%d octets came back as %x", n, r.Bytes())
		}
		if !r.Equal(octets[:n]) || r.Equal(octets[:n-1]) || r.Equal(octets[:n+1]) || r.Equal(nil) {
			t.Errorf("%d octets: Equal is wrong", n)
		}
		r.Bytes()[0] ^= 1
		if !r.Equal(octets[:n]) {
			t.Errorf("%d octets: Bytes is no copy", n)
		}
	}
	if r := secret.RES64([8]byte(octets[:8])); !r.Equal(octets[:8]) {
		t.Errorf("RES64 %x", r.Bytes())
	}
	if (secret.RES{}).Equal(nil) {
		t.Error("no RES equals no response")
	}
}
