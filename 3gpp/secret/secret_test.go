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
	k := secret.Key128{0xde, 0xad, 0xbe, 0xef}
	l := secret.Key256{0xde, 0xad, 0xbe, 0xef}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+verb, k, l)
		fmt.Fprintf(&out, verb, struct{ K secret.Key128 }{k})
		fmt.Fprintf(&out, verb, &l)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("k", "key", k, "key2", l)
	for _, leak := range []string{"dead", "DEAD", "222", "0xde", "\xde"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("printed %q in %q", leak, out.String())
		}
	}
	for _, v := range []any{k, l, map[string]any{"k": k}, struct{ K secret.Key256 }{l}} {
		if _, err := json.Marshal(v); !errors.Is(err, secret.ErrRefused) {
			t.Errorf("json of %T: %v", v, err)
		}
	}
	if k.Equal(secret.Key128{}) || !k.Equal(k) || l.Equal(secret.Key256{}) || !l.Equal(l) {
		t.Error("Equal is wrong")
	}
}
