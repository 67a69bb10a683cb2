package observer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/xor"
	"campanile.network/decode/observer"
)

var (
	simK   = secret.Key128{1, 2, 3}
	simOPc = secret.Key128{4, 5, 6}
)

// conversation is a phone and a network, both ours, that an observer hears.
type conversation struct {
	t              *testing.T
	plmn           id.PLMN
	guti           id.GUTI
	network, phone *nassec.Context
	kasme          secret.Key256
	w              *observer.Observer
	p              *observer.Phone
}

func converse(t *testing.T, o observer.Options) *conversation {
	t.Helper()
	plmn, err := id.ParsePLMN("999/70")
	if err != nil {
		t.Fatal(err)
	}
	c := &conversation{t: t, plmn: plmn, w: observer.New(o)}
	c.guti = id.GUTI{GUMMEI: id.GUMMEI{PLMN: plmn, Group: 1, Code: 2}, TMSI: 0x1234}
	c.p = c.w.NewPhone(plmn)
	return c
}

func octets(t *testing.T, m eps.Message) []byte {
	t.Helper()
	b, err := eps.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hear lets the observer hear a message as it is on the wire.
func (c *conversation) hear(dir eps.Direction, b []byte) observer.Heard {
	c.t.Helper()
	before := bytes.Clone(b)
	h, p := c.w.Hear(c.p, dir, b)
	c.p = p
	if !bytes.Equal(before, b) {
		c.t.Fatal("the observer changed what it heard")
	}
	return h
}

// expect hears a protected message and checks what is made of it.
func (c *conversation) expect(v observer.Verdict, dir eps.Direction, b, plain []byte) observer.Heard {
	c.t.Helper()
	h := c.hear(dir, b)
	if h.Err != nil || h.Verdict != v || !bytes.Equal(h.Plain, plain) {
		c.t.Fatalf("%v: plain %x, want %x (%v), error %v", h.Verdict, h.Plain, plain, v, h.Err)
	}
	return h
}

// say protects a message, without the observer hearing it.
func (c *conversation) say(dir eps.Direction, h nassec.HeaderType, m eps.Message) (wire, plain []byte) {
	c.t.Helper()
	plain = octets(c.t, m)
	from, to := c.phone, c.network
	if dir == eps.Downlink {
		from, to = to, from
	}
	wire, err := from.Protect(nil, h, plain)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := to.Unprotect(nil, wire); err != nil {
		c.t.Fatal(err)
	}
	return wire, plain
}

func (c *conversation) protected(v observer.Verdict, dir eps.Direction, h nassec.HeaderType, m eps.Message) observer.Heard {
	c.t.Helper()
	wire, plain := c.say(dir, h, m)
	if v == observer.NoKey || v == observer.Wrong {
		plain = nil
	}
	return c.expect(v, dir, wire, plain)
}

// authenticate is the challenge and what follows from it.
func (c *conversation) authenticate() {
	c.t.Helper()
	c.authenticateBy(milenage.New(simK, simOPc))
}

func (c *conversation) authenticateBy(f aka.Algorithm) {
	c.t.Helper()
	sqn, err := aka.MakeSQN(77, 3)
	if err != nil {
		c.t.Fatal(err)
	}
	v := aka.Generate(f, aka.RAND{9, 9}, sqn, aka.AMFEPS())
	c.kasme = v.KASME(c.plmn)
	c.hear(eps.Downlink, octets(c.t, &eps.AuthenticationRequest{KSI: 1, RAND: eps.RAND(v.RAND), AUTN: eps.AUTN(v.AUTN)}))
}

// secure makes both ends' contexts and says the Security Mode Command.
func (c *conversation) secure(eea nassec.EEA, eia nassec.EIA) (wire, plain []byte) {
	c.t.Helper()
	s := nassec.State{KSI: 1, KASME: c.kasme, EEA: eea, EIA: eia}
	var err error
	if c.network, err = nassec.New(s); err != nil {
		c.t.Fatal(err)
	}
	s.Role = nassec.Phone
	if c.phone, err = nassec.New(s); err != nil {
		c.t.Fatal(err)
	}
	return c.say(eps.Downlink, nassec.IntegrityNewContext, &eps.SecurityModeCommand{KSI: 1,
		Algorithms: eps.Algorithms{Ciphering: eps.EEA(eea), Integrity: eps.EIA(eia)},
		Capability: eps.NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11).Security(eps.Opt[eps.MSNetworkCapability]{})})
}

func (c *conversation) accept() *eps.AttachAccept {
	inner := octets(c.t, &eps.ESMInformationRequest{PTI: 1})
	return &eps.AttachAccept{Result: eps.AttachResultEPSOnly, TAIs: eps.NewTAIList(id.TAI{PLMN: c.plmn, TAC: 7}), ESM: inner,
		GUTI: eps.Some(eps.FromGUTI(c.guti))}
}

var sims = observer.Options{Subscribers: []observer.Subscriber{{K: secret.Key128{7}}, {K: simK, OPc: simOPc}}}

// Under every pair of algorithms, all is verified and deciphered, counts
// beyond eight bits included, and so is what follows an idle time.
func TestDeciphersUnderEveryAlgorithm(t *testing.T) {
	for _, eea := range []nassec.EEA{nassec.EEA0, nassec.EEA1, nassec.EEA2, nassec.EEA3} {
		for _, eia := range []nassec.EIA{nassec.EIA1, nassec.EIA2, nassec.EIA3} {
			c := converse(t, sims)
			c.authenticate()
			wire, plain := c.secure(eea, eia)
			c.expect(observer.Verified, eps.Downlink, wire, plain)
			h := c.protected(observer.Verified, eps.Uplink, nassec.CipheredNewContext, &eps.SecurityModeComplete{})
			if !h.HasEEA || h.EEA != eea || h.EIA != eia || h.Count != 0 {
				t.Errorf("%v %v: %+v", eea, eia, h)
			}
			if count, equal, known := c.p.KeNB(c.network.KeNB(0)); count != 0 || !equal || !known {
				t.Errorf("K_eNB: %v %v %v", count, equal, known)
			}
			if _, equal, _ := c.p.KeNB(secret.Key256{1}); equal {
				t.Error("any key is K_eNB")
			}
			c.protected(observer.Verified, eps.Downlink, nassec.IntegrityCiphered, c.accept())
			for range 300 {
				h = c.protected(observer.Verified, eps.Uplink, nassec.IntegrityCiphered, &eps.EMMStatus{Cause: 97})
			}
			if h.Count != 300 {
				t.Errorf("COUNT %d", h.Count)
			}
			c.idle(eia)
		}
	}
}

// A test USIM's keys are found among those of others, and in a file.
func TestXOR(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.toml")
	file := "[[subscriber]]\nk='01020300000000000000000000000000'\nopc='04050600000000000000000000000000'\n" +
		"[[subscriber]]\nalgorithm='xor'\nk='01020300000000000000000000000000'\n"
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var o observer.Options
	if _, err := o.ReadKeys(name); err != nil {
		t.Fatal(err)
	}
	f, err := xor.New(simK, 16)
	if err != nil {
		t.Fatal(err)
	}
	c := converse(t, o)
	c.authenticateBy(f)
	wire, plain := c.secure(nassec.EEA2, nassec.EIA2)
	c.expect(observer.Verified, eps.Downlink, wire, plain)
	c.protected(observer.Verified, eps.Uplink, nassec.CipheredNewContext, &eps.SecurityModeComplete{})
}

// idle lets the phone come back by its S-TMSI, with a SERVICE REQUEST.
func (c *conversation) idle(eia nassec.EIA) {
	c.t.Helper()
	if c.p = c.w.Find(c.guti.STMSI()); c.p == nil {
		c.t.Fatal("nobody has the S-TMSI of the Attach Accept")
	}
	sr, err := c.phone.AppendServiceRequest(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.network.AcceptServiceRequest(sr); err != nil {
		c.t.Fatal(err)
	}
	if h := c.expect(observer.Verified, eps.Uplink, sr, sr); h.Count != 301 || h.EIA != eia {
		c.t.Errorf("COUNT %d, %v", h.Count, h.EIA)
	}
	if count, equal, known := c.p.KeNB(c.network.KeNB(301)); count != 301 || !equal || !known {
		c.t.Errorf("K_eNB: %v %v %v", count, equal, known)
	}
	c.expect(observer.Repeated, eps.Uplink, sr, sr)
	sr[3] ^= 1
	c.expect(observer.Wrong, eps.Uplink, sr, sr)
}

// A GUTI attach or tracking area update on a new connection finds its phone.
func TestComesBackByGUTI(t *testing.T) {
	c := converse(t, sims)
	c.authenticate()
	c.hear(eps.Downlink, first(c.secure(nassec.EEA2, nassec.EIA2)))
	c.protected(observer.Verified, eps.Uplink, nassec.CipheredNewContext, &eps.SecurityModeComplete{})
	c.protected(observer.Verified, eps.Downlink, nassec.IntegrityCiphered, c.accept())
	known := c.p
	c.p = c.w.NewPhone(c.plmn)
	c.protected(observer.Verified, eps.Uplink, nassec.IntegrityProtected, &eps.AttachRequest{Type: eps.AttachTypeEPS, KSI: 1,
		Identity: eps.FromGUTI(c.guti), Capability: eps.NewUENetworkCapability(0, 9), ESM: octets(t, &eps.PDNConnectivityRequest{PTI: 1, Request: 1, PDNType: 1})})
	if c.p != known {
		t.Error("it is another phone")
	}
	if count, equal, _ := c.p.KeNB(c.network.KeNB(1)); count != 1 || !equal {
		t.Error("its K_eNB is not that of the attach request")
	}
}

func first(wire, _ []byte) []byte { return wire }

// Without keys the algorithms are known and nothing is deciphered; what was
// tampered with is wrong; what was missed does not matter.
func TestWithoutKeysAndWithFaults(t *testing.T) {
	c := converse(t, observer.Options{})
	c.authenticate()
	wire, plain := c.secure(nassec.EEA2, nassec.EIA2)
	c.expect(observer.NoKey, eps.Downlink, wire, plain)
	if h := c.protected(observer.NoKey, eps.Uplink, nassec.CipheredNewContext, &eps.SecurityModeComplete{}); h.EEA != nassec.EEA2 || !h.HasEEA {
		t.Errorf("%+v", h)
	}
	wire, plain = c.secure(nassec.EEA0, nassec.EIA2)
	c.expect(observer.NoKey, eps.Downlink, wire, plain)
	wire, plain = c.say(eps.Uplink, nassec.CipheredNewContext, &eps.SecurityModeComplete{})
	c.expect(observer.NoKey, eps.Uplink, wire, plain)

	c = converse(t, sims)
	c.authenticate()
	wire, plain = c.secure(nassec.EEA1, nassec.EIA1)
	c.expect(observer.Verified, eps.Downlink, wire, plain)
	c.expect(observer.Repeated, eps.Downlink, wire, plain)
	for range 200 {
		c.say(eps.Uplink, nassec.IntegrityCiphered, &eps.EMMStatus{Cause: 97})
	}
	h := c.protected(observer.Verified, eps.Uplink, nassec.IntegrityCiphered, &eps.EMMStatus{Cause: 97})
	if h.Count != 200 {
		t.Errorf("COUNT %d", h.Count)
	}
	wire, _ = c.say(eps.Uplink, nassec.IntegrityCiphered, &eps.EMMStatus{Cause: 97})
	wire[len(wire)-1] ^= 0x80
	if h := c.hear(eps.Uplink, wire); h.Verdict != observer.Wrong || h.Plain != nil {
		t.Errorf("tampered: %+v", h)
	}
}

// A conversation heard from its middle is understood with K_ASME alone, and
// so is the phone's next connection.
func TestFromTheMiddle(t *testing.T) {
	for _, eea := range []nassec.EEA{nassec.EEA0, nassec.EEA1, nassec.EEA2, nassec.EEA3} {
		c := converse(t, observer.Options{KASME: []secret.Key256{{5, 5, 5}, {1, 2, 3}}})
		c.kasme = secret.Key256{1, 2, 3}
		c.secure(eea, nassec.EIA3)
		for range 700 {
			c.say(eps.Uplink, nassec.IntegrityCiphered, &eps.EMMStatus{Cause: 97})
		}
		h := c.protected(observer.Verified, eps.Uplink, nassec.IntegrityCiphered, &eps.IdentityResponse{Identity: eps.MobileIMSI(imsi(t))})
		if h.Count != 700 || h.EEA != eea || c.p.IMSI != imsi(t) {
			t.Errorf("%v: COUNT %d, %v", eea, h.Count, h.EEA)
		}
		c.p = c.w.NewPhone(c.plmn)
		c.protected(observer.Verified, eps.Uplink, nassec.IntegrityProtected, &eps.EMMStatus{Cause: 97})
	}
}

func imsi(t *testing.T) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI("999700000000001")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// The algorithms and the count may be said, and a wrong K_ASME deciphers
// nothing.
func TestSaidAlgorithms(t *testing.T) {
	eea, eia := nassec.EEA2, nassec.EIA1
	c := converse(t, observer.Options{KASME: []secret.Key256{{1}}, EEA: &eea, EIA: &eia, UL: 100_000, DL: 100_000})
	s := nassec.State{Role: nassec.Phone, KASME: secret.Key256{1}, EEA: eea, EIA: eia, UL: 100_500}
	phone, err := nassec.New(s)
	if err != nil {
		t.Fatal(err)
	}
	plain := octets(t, &eps.EMMStatus{Cause: 97})
	wire, err := phone.Protect(nil, nassec.IntegrityCiphered, plain)
	if err != nil {
		t.Fatal(err)
	}
	if !c.w.Fits(c.p, eps.Uplink, wire) || c.w.Fits(c.p, eps.Downlink, wire) {
		t.Error("the direction is not found")
	}
	if h := c.expect(observer.Verified, eps.Uplink, wire, plain); h.Count != 100_500 {
		t.Errorf("COUNT %d", h.Count)
	}
	c = converse(t, observer.Options{KASME: []secret.Key256{{2}}})
	c.expect(observer.Wrong, eps.Uplink, wire, nil)
}
