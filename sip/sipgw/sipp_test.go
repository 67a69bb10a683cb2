package sipgw

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/sms"
	"campanile.network/wire/home"
	"campanile.network/wire/sip/digest"
)

// sipp finds the stranger of these tests, SIPp 3.6.
func sippPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is not installed: .ci/run installs sip-tester")
		}
		t.Skip("sipp is not installed (Debian: sip-tester)")
	}
	return path
}

// sipp plays one of testdata/sipp once, from an address, and fails unless the
// gateway says all that the scenario wants.
func (w *world) sipp(scenario string, at netip.AddrPort, keys map[string]string) {
	w.t.Helper()
	if err := w.runSIPP(scenario, at, keys); err != nil {
		w.t.Errorf("%s: %v", scenario, err)
	}
}

func (w *world) runSIPP(scenario string, at netip.AddrPort, keys map[string]string) error {
	dir := w.t.TempDir()
	xml, err := filepath.Abs(filepath.Join("testdata", "sipp", scenario+".xml"))
	if err != nil {
		return err
	}
	args := []string{w.at.String(), "-sf", xml, "-i", at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-m", "1", "-nostdin",
		"-timeout", "60s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors")}
	for k, v := range keys {
		args = append(args, "-key", k, v)
	}
	ctx, stop := context.WithTimeout(context.Background(), 90*time.Second)
	defer stop()
	cmd := exec.CommandContext(ctx, sippPath(w.t), args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		errors, _ := os.ReadFile(filepath.Join(dir, "errors"))
		tail := out.String()
		return fmt.Errorf("%w\n%s\n%s", err, tail[max(0, len(tail)-300):], errors)
	}
	return nil
}

// next is what the home will draw next for somebody.
func (w *world) next(imsi string) aka.Vector {
	w.t.Helper()
	w.home.mu.Lock()
	defer w.home.mu.Unlock()
	for i, s := range w.home.by {
		if i.Digits() == imsi {
			sqn, err := aka.MakeSQN(s.seq+1, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			return aka.Generate(s.card, randOfDraw(w.home.drawn+1), sqn, aka.AMF{})
		}
	}
	w.t.Fatalf("%s is nobody", imsi)
	return aka.Vector{}
}

// simKeys are what a scenario of a GSM phone needs.
func (w *world) simKeys(imsi string) map[string]string {
	v := w.next(imsi)
	sres := v.Triplet().SRES
	return map[string]string{"imsi": imsi, "realm": testRealm, "rand": hex.EncodeToString(v.RAND[:]), "rand64": digest.AKANonce(v.RAND, nil), "sres": hex.EncodeToString(sres[:])}
}

// appKeys are what a scenario of an app needs.
func (w *world) appKeys(imsi, user, password string, a digest.Algorithm) map[string]string {
	w.t.Helper()
	v := w.next(imsi)
	name, nonce := user, digest.HexNonce(v.RAND)
	if a == digest.AKAv1MD5 {
		autn := [16]byte(v.AUTN)
		name, nonce, password = user+"@ims.mnc001.mcc001.3gppnetwork.org", digest.AKANonce(v.RAND, &autn), string(v.XRES.Bytes())
	}
	c, err := digest.Challenge{Realm: testRealm, Nonce: nonce, Algorithm: a, QOP: digest.Auth}.Respond(digest.Request{Username: name, Password: password, Method: "REGISTER", URI: "sip:" + testRealm, CNonce: "0a4f113b"})
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{"user": user, "realm": testRealm, "nonce": nonce, "response": c.Response, "algorithm": a.String()}
}

// A stranger, SIPp, registers by each dialect.
func TestSIPPRegisters(t *testing.T) {
	sippPath(t)
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations, o.Policy.MD5 = []Station{s}, true }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.home.add(t, bob, "4915100002", "secret of bob")
		elsewhere := netip.AddrPortFrom(w.host("app", noAddr).at.Addr(), 5070)
		for _, scenario := range []string{"openbts", "openbts-old"} {
			w.sipp(scenario, at, w.simKeys(alice))
		}
		keys := w.simKeys(alice)
		keys["sres"] = realmResponse(alice, keys["rand"], keys["sres"])
		w.sipp("openbts-realm", at, keys)
		w.home.do(func() { w.home.by[mustIMSI(t, alice)].gsmOnly = true })
		w.sipp("yatebts", at, w.simKeys(alice))
		w.sipp("app", elsewhere, w.appKeys(bob, "4915100002", "secret of bob", digest.SHA256))
		w.sipp("ims", elsewhere, w.appKeys(bob, bob, "", digest.AKAv1MD5))
		if n := len(w.g.Registrations(9)); n != 2 {
			t.Errorf("%d registrations are left, not those of YateBTS's phone and of bob's contact", n)
		}
	})
}

// realmResponse is what OpenBTS says with SIP.Realm set.
func realmResponse(imsi, rand, sres string) string {
	a := digest.Credentials{Username: "IMSI" + imsi, Realm: "gsm.example", Nonce: rand, URI: "sip:gsm.example"}.For("REGISTER", nil)
	return a.Compute(digest.MD5.HA1(a.Username, a.Realm, sres))
}

// What SIPp is refused, as the RFC or the cell wants it.
func TestSIPPIsRefused(t *testing.T) {
	sippPath(t)
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.home.add(t, bob, "4915100002", "secret of bob")
		elsewhere := netip.AddrPortFrom(w.host("app", noAddr).at.Addr(), 5070)
		keys := w.simKeys(alice)
		keys["sres"] = "12345678"
		if w.runSIPP("openbts", at, keys) == nil {
			t.Fatal("SIPp does not see a refusal")
		}
		keys = w.simKeys(alice)
		keys["sres"] = "12345678"
		w.sipp("openbts-wrong", at, keys)
		w.sipp("refused", at, map[string]string{"imsi": "001010000000009"})
		w.home.do(func() { w.home.by[mustIMSI(t, alice)].refuse = home.ForeignRange })
		w.sipp("refused", at, map[string]string{"imsi": alice})
		w.home.do(func() { w.home.by[mustIMSI(t, alice)].refuse = home.Unavailable })
		w.sipp("refused", at, map[string]string{"imsi": alice})
		w.sipp("app-wrong", elsewhere, w.appKeys(bob, "4915100002", "guess", digest.SHA256))
		w.sipp("app-brief", elsewhere, w.appKeys(bob, "4915100002", "secret of bob", digest.SHA256))
		w.sipp("stranger", elsewhere, map[string]string{"imsi": bob, "rpdu": "00"})
		if n := len(w.g.Registrations(9)); n != 0 {
			t.Errorf("%d are registered", n)
		}
	})
}

// Messages and USSD with SIPp as the cell.
func TestSIPPMessages(t *testing.T) {
	sippPath(t)
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.attach(alice)
		bts.conn.Close()
		w.sipp("openbts-message", at, map[string]string{"imsi": alice, "rpdu": hex.EncodeToString(submit(t, "+4915100002", "hello"))})
		w.sipp("ussd", at, map[string]string{"imsi": alice})
		done := w.bring(delivery(t, alice, "+4915100002", "hello"))
		w.sipp("deliver", at, nil)
		r := <-done
		if _, ok := r.rp.(*sms.RPAck); !ok || r.err != nil {
			t.Errorf("%+v", r)
		}
		if rps, texts, _ := w.centre.took(); len(rps) != 1 || len(texts) != 1 || strings.TrimSpace(texts[0]) != "4915100002: Hello" {
			t.Errorf("the centre got %d messages and %q", len(rps), texts)
		}
	})
}
