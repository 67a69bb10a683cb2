package observer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/decode/observer"
)

func TestReadKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.toml")
	write := func(s string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(name, []byte(s), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	const k, op = "00112233445566778899aabbccddeeff", "63bfa50ee6523365ff14c1f45f88737d"
	write("[[subscriber]]\nimsi='001010123456780'\nk='"+k+"'\nopc='"+op+"'\n[[subscriber]]\nk='"+k+"'\nop='"+op+"'\n[[session]]\nkasme='"+k+op+"'\n", 0o600)
	var o observer.Options
	if warning, err := o.ReadKeys(name); err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	if len(o.Subscribers) != 2 || len(o.KASME) != 1 || o.Subscribers[0].IMSI.Digits() != "001010123456780" || o.KASME[0][31] != 0x7d {
		t.Errorf("%+v", o)
	}
	if s := o.Subscribers; s[1].OPc != milenage.OPc(s[0].K, secret.Key128(s[0].OPc)) || s[1].K[1] != 0x11 {
		t.Error("OPc was not made of OP")
	}
	write("[[session]]\nkasme='"+k+op+"'\n", 0o644)
	if warning, err := o.ReadKeys(name); err != nil || !strings.Contains(warning, "chmod 600") {
		t.Error(warning, err)
	}
	for in, want := range map[string]string{
		"": "no [[subscriber]] and no [[session]]", "[[subscriber]]\nk='12'\n": "subscriber 1: k: want 32",
		"[[subscriber]]\nk='" + k + "'\n":                                    "subscriber 1: opc: want 32",
		"[[subscriber]]\nk='" + k + "'\nop='" + op + "'\nopc='" + op + "'\n": "one of them is enough",
		"[[subscriber]]\nimsi='x'\nk='" + k + "'\nop='" + op + "'\n":         "subscriber 1",
		"[[subscriber]]\nalgorithm='xor'\nk='" + k + "'\nop='" + op + "'\n":  "xor has neither",
		"[[subscriber]]\nalgorithm='tuak'\nk='" + k + "'\n":                  "want milenage or xor",
		"[[session]]\nkasme='" + k + "'\n":                                   "session 1: K_ASME: want 64",
		"[[subscriber]]\nk=" + k + "\n":                                      "keys are in quotation marks; campanile decode --help",
		"[[subscriber]]\nk='" + k + "\n":                                     "campanile decode --help",
		"[[subscriber]]\nki='" + k + "'\n":                                   "ki",
	} {
		write(in, 0o600)
		_, err := new(observer.Options).ReadKeys(name)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), k) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := o.ReadKeys(name + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}
