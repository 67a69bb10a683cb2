package observer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/config"
)

// KeyFile is a file of keys, TOML:
//
//	[[subscriber]]
//	imsi = "001010123456780" # may be left out
//	k    = "00112233445566778899aabbccddeeff"
//	opc  = "63bfa50ee6523365ff14c1f45f88737d" # or op
//
//	[[subscriber]]
//	algorithm = "xor" # a test USIM's, TS 34.108; else it is milenage
//	k         = "000102030405060708090a0b0c0d0e0f"
//
//	[[session]]
//	kasme = "64 hexadecimal digits"
type KeyFile struct {
	Subscriber []struct {
		IMSI      string `toml:"imsi"`
		Algorithm string `toml:"algorithm"`
		K         string `toml:"k"`
		OPc       string `toml:"opc"`
		OP        string `toml:"op"`
	} `toml:"subscriber"`
	Session []struct {
		KASME string `toml:"kasme"`
	} `toml:"session"`
}

// ReadKeys adds the keys of a file to o. Errors are *config.Error. warning is
// for people: who else may read the file.
func (o *Options) ReadKeys(file string) (warning string, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", &config.Error{File: file, What: "no such key file"}
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		warning = fmt.Sprintf("%s: others may read these keys (mode %04o): chmod 600 %s", file, m, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return warning, &config.Error{File: file, What: err.Error()}
	}
	var f KeyFile
	if err := config.Parse(file, b, &f); err != nil {
		return warning, inKeys(err)
	}
	for i, s := range f.Subscriber {
		if err := o.subscriber(s.IMSI, s.Algorithm, s.K, s.OPc, s.OP); err != nil {
			return warning, &config.Error{File: file, What: fmt.Sprintf("subscriber %d: %v", i+1, err)}
		}
	}
	for i, s := range f.Session {
		k, err := ParseKASME(s.KASME)
		if err != nil {
			return warning, &config.Error{File: file, What: fmt.Sprintf("session %d: %v", i+1, err)}
		}
		o.KASME = append(o.KASME, k)
	}
	if len(f.Subscriber)+len(f.Session) == 0 {
		return warning, &config.Error{File: file, What: "no [[subscriber]] and no [[session]] in it"}
	}
	return warning, nil
}

// inKeys is a mistake in TOML with the remedy for a file of keys.
func inKeys(err error) error {
	var e *config.Error
	if !errors.As(err, &e) {
		return err
	}
	wrong := *e
	wrong.Remedy = "campanile decode --help shows such a file"
	if strings.HasPrefix(e.What, "cannot decode TOML") { // it goes on with Go's types
		wrong.What = "not of the type that belongs there: keys are in quotation marks"
	}
	return &wrong
}

func (o *Options) subscriber(imsi, algorithm, k, opc, op string) (err error) {
	var s Subscriber
	if imsi != "" {
		if s.IMSI, err = id.ParseIMSI(imsi); err != nil {
			return err
		}
	}
	if s.K, err = key128("k", k); err != nil {
		return err
	}
	switch s.XOR = algorithm == "xor"; {
	case algorithm != "" && algorithm != "xor" && algorithm != "milenage":
		return fmt.Errorf("algorithm %q: want milenage or xor", algorithm)
	case s.XOR && (opc != "" || op != ""):
		return fmt.Errorf("algorithm xor has neither opc nor op")
	case s.XOR:
	case opc != "" && op != "":
		return fmt.Errorf("opc and op: one of them is enough")
	case op != "":
		var x secret.Key128
		x, err = key128("op", op)
		s.OPc = milenage.OPc(s.K, x)
	default:
		s.OPc, err = key128("opc", opc)
	}
	o.Subscribers = append(o.Subscribers, s)
	return err
}

// key128 reads a key; the error never repeats it.
func key128(name, s string) (k secret.Key128, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("%s: want 32 hexadecimal digits, not %d characters", name, len(s))
	}
	return secret.Key128(b), nil
}

// ParseKASME reads 64 hexadecimal digits; the error never repeats them.
func ParseKASME(s string) (k secret.Key256, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("K_ASME: want 64 hexadecimal digits, not %d characters", len(s))
	}
	return secret.Key256(b), nil
}
