package mme

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// asWritten restores sessions without a gateway and tickets without a signature.
var asWritten = restorer{
	ticket:  func(b []byte) (proof.Ticket, error) { return proof.PeekTicket(testChain, b) },
	session: func(st s11.State) (*s11.Session, error) { return &st.Session, nil },
}

// someUE is a phone with whatever it can have.
func someUE(r *rand.Rand) *ue {
	h := newTestHome()
	h.serving = proof.SigningKeyFromSeed([32]byte{7}).Public()
	grant := func() *lease {
		raw := h.ticket()
		p := testProfile()
		p.MSISDN = must(id.ParseMSISDN("4916012345"))
		return &lease{raw: raw, ticket: must(proof.PeekTicket(testChain, raw)), profile: p, segments: r.Uint32()}
	}
	context := func() *keyset {
		s := nassec.State{KSI: uint8(r.IntN(7)), EEA: nassec.EEA(r.IntN(4)), EIA: nassec.EIA(1 + r.IntN(3)), UL: nassec.Count(r.IntN(1 << 24)), DL: nassec.Count(r.IntN(1 << 24))}
		s.KASME[r.IntN(32)] = 1
		k := must(newKeyset(s))
		k.fold()
		return k
	}
	tai := func() id.TAI { return id.TAI{PLMN: testPLMN, TAC: id.TAC(r.Uint32())} }
	u := &ue{imsi: must(id.ParseIMSI(fmt.Sprintf("00101%010d", r.Uint32()))), tmsi: id.MTMSI(r.Uint32() | 1), sec: context(), entered: true}
	u.tais = []id.TAI{tai(), tai()}
	if r.IntN(2) == 0 {
		u.imei, u.formerTMSI, u.formerTAIs = must(id.ParseIMEI("3534900698733153")), id.MTMSI(r.Uint32()|1), []id.TAI{tai()}
		u.next, u.radio, u.drx = context(), bytes.Repeat([]byte{7}, r.IntN(maxRadioCapability)), eps.DRX{1, 2}
		u.next.grant = grant()
	}
	u.capability = must(eps.MakeUESecurityCapability([]byte{0xe0, 0xe0}))
	u.lease = grant()
	session := func(ebi id.EBI) *s11.Session { return someSession(u.imsi, ebi, r.Uint32()) }
	if u.registered = r.IntN(3) > 0; u.registered {
		p := newPDN(session(5), u.lease)
		p.bearers = append(p.bearers, &bearer{ebi: 7, qos: gtpc.QoS{QCI: 1, GBRDL: 64000}, sgw: s11.FTEID{Addr: netip.MustParseAddr("127.0.0.30"), TEID: 9}})
		u.pdns, u.shown, u.served, u.texts = []*pdn{p, newPDN(session(6), nil)}, u.lease, true, true
	}
	if r.IntN(2) == 0 {
		u.saving = saving{eps.Some(eps.GPRSTimer(r.IntN(256))), eps.Some(eps.GPRSTimer3(r.IntN(256))), eps.Some(eps.ExtendedDRX(r.IntN(256)))}
	}
	u.opening, u.closing, u.requests = eps.BearerStatus(r.Uint32()&0xffe0), []*closing{{session: session(5)}}, r.IntN(1000)
	u.heard, u.assigned, u.info.Since = time.Unix(1e9, 3), time.Unix(1e9, 4), time.Unix(1e9, 5)
	u.info.ENB = id.GlobalENBID{PLMN: testPLMN, Type: id.HomeENB, ID: 0xfffffff}
	u.info.Tower, u.info.Cell, u.info.TAI = proof.TowerKey{1}, id.ECGI{PLMN: testPLMN, ECI: 0xfffffff}, tai()
	return u
}

func someSession(imsi id.IMSI, ebi id.EBI, n uint32) *s11.Session {
	return &s11.Session{IMSI: imsi, EBI: ebi, APN: must(id.ParseAPN("internet")), Address: netip.AddrFrom4([4]byte{10, 45, 1, byte(n)}),
		SGW: s11.FTEID{Addr: netip.MustParseAddr("127.0.0.30"), TEID: id.TEID(n)}, PCO: []byte{0x80, 0}, AMBR: gtpc.AMBR{UL: 1 << 40, DL: 1},
		QoS: gtpc.QoS{QCI: 9, ARP: gtpc.ARP{Level: 15, CanPreempt: true}, GBRUL: 7}, ChargingID: n, Cause: gtpc.Accepted}
}

// A record that was read is written as it was, whatever the phone has.
func TestRecordRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	longest := 0
	for range 500 {
		u := someUE(r)
		b := u.record()
		longest = max(longest, len(b))
		got, err := parseRecord(b, asWritten)
		if err != nil {
			t.Fatal(err)
		}
		if again := got.record(); !bytes.Equal(again, b) {
			t.Fatalf("written again it is\n%x\nand was\n%x", again, b)
		}
		if got.sec.State() != u.sec.State() || !reflect.DeepEqual(got.lease, u.lease) || got.registered != u.registered || got.saving != u.saving || got.texts != u.texts || !reflect.DeepEqual(got.pdns, u.pdns) {
			t.Fatalf("got %+v, want %+v", got, u)
		}
	}
	t.Logf("the longest has %d octets", longest)
}

// Tags are in order and each is one row's: a table that is not would misread what
// is on somebody's disk.
func TestTags(t *testing.T) {
	for name, tags := range map[string][]uint8{"phone": tagsOf(ueRows), "NAS context": tagsOf(keysetRows), "lease": tagsOf(leaseRows),
		"PDN connection": tagsOf(pdnRows), "bearer": tagsOf(bearerRows), "session": tagsOf(sessionRows)} {
		for i := range tags {
			if i > 0 && tags[i] <= tags[i-1] {
				t.Errorf("%s: row %d is behind row %d", name, tags[i], tags[i-1])
			}
		}
	}
}

func tagsOf[T any](t table[T]) (tags []uint8) {
	for _, r := range t {
		tags = append(tags, r.tag)
	}
	return tags
}

// What cannot be read says so.
func TestRecordRefused(t *testing.T) {
	good := someUE(rand.New(rand.NewPCG(3, 4))).record()
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "0 octets, want 1"},
		{"a newer version", append([]byte{2}, good[1:]...), "version 2, this campanile reads 1"},
		{"an unknown row", append(bytes.Clone(good), 200, 0, 1, 7), "row 200 is unknown: a newer campanile wrote it"},
		{"cut short", good[:len(good)-1], "octets, want"},
		{"no rows", []byte{1}, "without IMSI or NAS context"},
		{"too long a record", make([]byte, maxRecord+1), "want at most"},
		{"a value that is none", append(bytes.Clone(good), 3, 0, 1, 0x80), "M-TMSI: "},
		{"more than the value", append(bytes.Clone(good), 3, 0, 2, 1, 1), "M-TMSI: phone's record: 1 octets too many"},
	} {
		_, err := parseRecord(c.b, asWritten)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for i := range good {
		if _, err := parseRecord(good[:i], asWritten); err == nil && i < len(good)-1 {
			if u, _ := parseRecord(good[:i], asWritten); u.imsi.IsZero() {
				t.Errorf("cut to %d octets it is read as %+v", i, u)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 4 {
		f.Add(someUE(r).record())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := parseRecord(b, asWritten)
		if err != nil {
			return
		}
		first := u.record()
		v, err := parseRecord(first, asWritten)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if second := v.record(); !bytes.Equal(first, second) {
			t.Errorf("written twice:\n%x\n%x", first, second)
		}
	})
}
