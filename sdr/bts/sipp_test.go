package bts_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/loopback"
)

// A stranger computes the answers: SIPp, from a password by MD5, and from K and OP by
// Milenage and AKAv1-MD5 (RFC 3310). Home and gateway take them.
func TestAnswersOfAStranger(t *testing.T) {
	sipp, err := exec.LookPath("sipp")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("sipp is not installed")
	case err != nil:
		t.Skip("sipp is not installed (Debian: sip-tester)")
	}
	w := newWorld(t)
	w.policy.MD5, w.policy.OnlyMD5 = true, true // which is all that SIPp knows
	w.gateway()
	op := secret.Key128{9, 8, 7}
	s := subscription("2102", true)
	s.OPc = milenage.OPc(s.K, op)
	recs := w.subscribe(s)
	imsi := s.IMSI.Digits()
	register := func(fields string) error { return w.sipp(sipp, fields) }
	aka := func(k secret.Key128) string {
		impi := imsi + "@ims.mnc070.mcc999.3gppnetwork.org"
		return fmt.Sprintf(`%s;%s;[authentication username=%s aka_K=0x%s aka_OP=0x%s aka_AMF=0x0000];Authorization: Digest username="%s", realm="%s", uri="sip:%s", nonce="", response=""`,
			imsi, domain, impi, hex.EncodeToString(k[:]), hex.EncodeToString(op[:]), impi, domain, domain)
	}
	// SIPp takes an SQN whose last octet is above one of its own, and answers AUTS to
	// one in eight: then it is asked again.
	err = register(aka(s.K))
	for range 5 {
		if err == nil {
			break
		}
		err = register(aka(s.K))
	}
	if err != nil {
		t.Errorf("AKAv1-MD5: %v", err)
	}
	wrong := s.K
	wrong[0] ^= 1
	if register(aka(wrong)) == nil {
		t.Error("a card with another key is registered")
	}

	password, hash, epoch, err := w.hss.AmendApp(s.IMSI)
	if err != nil {
		t.Fatal(err)
	}
	recs[0].Version, recs[0].BlobHash, recs[0].Epoch = 2, hash, epoch
	w.block(ledger.Update{Subscribers: recs})
	app := func(password string) string {
		return fmt.Sprintf("2102;%s;[authentication username=2102 password=%s];Subject: none", domain, password)
	}
	if err := register(app(password)); err != nil {
		t.Errorf("a password by MD5: %v", err)
	}
	if register(app("guess")) == nil {
		t.Error("a guess is registered")
	}
}

// sipp has SIPp register once, with the fields of the scenario.
func (w *world) sipp(sipp, fields string) error {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "fields.csv")
	if err := os.WriteFile(file, []byte("SEQUENTIAL\n"+fields+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	scenario, err := filepath.Abs("testdata/register.xml")
	if err != nil {
		w.t.Fatal(err)
	}
	at := loopback.Addr(w.t, 5062)
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, sipp, "-sf", scenario, "-inf", file, "-i", at.String(), "-p", "5062", "-m", "1", "-nostdin", "-auth_uri", domain, "-timeout", "30s", "-timeout_error", "-recv_timeout", "20000", w.at.String())
	cmd.Dir = w.t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil && testing.Verbose() {
		w.t.Logf("%s", out)
	}
	return err
}
