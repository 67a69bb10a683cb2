package eps

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"
)

// A kind is a message in a direction.
type kind struct {
	dir Direction
	new func() Message
}

func (k kind) String() string {
	if k.dir == Downlink {
		return k.new().table().name + " downlink"
	}
	return k.new().table().name + " uplink"
}

// kinds are all messages of all tables.
func kinds() []kind {
	all := []kind{{Uplink, func() Message { return new(ServiceRequest) }}}
	for _, c := range []struct {
		dir    Direction
		create func(uint8) Message
	}{{Uplink, newUplinkEMM}, {Uplink, newUplinkESM}, {Downlink, newDownlinkEMM}, {Downlink, newDownlinkESM}} {
		for code := range 256 {
			if c.create(uint8(code)) != nil {
				all = append(all, kind{c.dir, func() Message { return c.create(uint8(code)) }})
			}
		}
	}
	return all
}

// random fills m with values that its elements accept; share of ten optional
// elements are there.
func random(tb testing.TB, r *rand.Rand, m Message, share int) {
	tb.Helper()
	if s, ok := m.(ESM); ok {
		s.setHeader(id.EBI(r.IntN(16)), PTI(r.IntN(256)))
	}
	for i := range m.table().rows {
		row := &m.table().rows[i]
		if row.get == nil {
			continue
		}
		el, has := row.get(m)
		if has != nil && r.IntN(10) >= share {
			continue
		}
		if !fill(r, row, el) {
			tb.Fatalf("%s: %s: no acceptable value found", m.table().name, row.name)
		}
		if has != nil {
			*has = true
		}
	}
	if m, ok := m.(*ServiceReject); ok && m.missing() != "" {
		m.T3442 = Some(GPRSTimer(1))
	}
}

func fill(r *rand.Rand, row *row, el element) bool {
	for range 20000 {
		n := int(row.min) + r.IntN(min(int(row.max-row.min)+1, 40))
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if row.format == half || row.format == tv1 {
			b[0] &= 15
		}
		switch el.(type) { // what chance alone finds too seldom
		case *EPSMobileIdentity, *MobileIdentity:
			shapeIdentity(r, b)
		case *TAIList:
			b = shapeTAIs(r)
		case *PLMNList:
			b = bytes.Repeat([]byte{0x00, 0xf1, 0x10}, 1+r.IntN(15))
		case *PCO:
			b = PCO{}.With(ContainerID(r.IntN(65536)), b).With(ContainerDNSv4, b[:1])
		case *TFT:
			b = (&TFT{TFTCreate, []PacketFilter{{3, 1, b[0], FilterComponents{FilterProtocol, 6}}}, nil}).encode(nil)
		case *PDNAddress:
			b[0] = byte(r.IntN(8))
		case *apnElement:
			b = append([]byte{3, 'a', 'p', 'n'}, byte(1), 'a'+byte(r.IntN(26)))
		case *NetworkName:
			b[0] = 0x80
		case *EmergencyNumbers:
			b = EmergencyNumbers{}.With(EmergencyCategory(b[0]), "112").With(0, "999#")
		case *ExtendedEmergencyNumbers:
			b = NewExtendedEmergencyNumbers(b[0]&1 != 0).With(ExtendedEmergencyNumber{"0" + bcd(b[1:2]), "animal-control"})
		case *CipheringKeyData:
			b = shapeCipheringKey(r, b)
		case *RemoteUEs:
			b = RemoteUEs{}.With(RemoteUE{Identities: []RemoteIdentity{EncryptedRemoteIMSI(b), NewRemoteIdentity(RemoteMSISDN, "491511234567")}})
		case *PKMFAddress:
			b = append([]byte{1 + byte(r.IntN(2))}, make([]byte, 16)...)
		case *NBIFOM:
			b = NBIFOM{}.With(NBIFOMParameter(r.IntN(10)), b)
		case *Codecs:
			b = Codecs{}.With(CodecsGSM, 0x0f, byte(r.Uint32())).With(CodecsUMTS, byte(r.Uint32()))
		}
		if len(b) < int(row.min) || len(b) > int(row.max) || el.decode(b) != nil {
			continue
		}
		if c := el.encode([]byte{}); len(c) >= int(row.min) && len(c) <= int(row.max) {
			return el.decode(c) == nil
		}
	}
	return false
}

func shapeCipheringKey(r *rand.Rand, c0 []byte) []byte {
	s := CipheringDataSet{ID: uint16(r.Uint32()), C0: c0, SIBs: PositioningSIB(r.Uint32()) << 5,
		Start: time.Date(2000+r.IntN(100), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC), Duration: time.Hour}
	if r.IntN(2) == 0 {
		_ = s.TAIs.decode(shapeTAIs(r))
	}
	return CipheringKeyData{}.With(s).With(s)
}

func shapeIdentity(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.IntN(10))<<4 | byte(r.IntN(10))
	}
	switch kind := byte(1 + r.IntN(6)); {
	case kind == 4 && len(b) == 5:
		b[0] = 0xf4
	case kind == 6:
		b[0] = 0xf6
	case r.IntN(2) == 0: // an even number of digits
		b[0] = b[0]&0xf0 | kind
		b[len(b)-1] |= 0xf0
	default:
		b[0] = b[0]&0xf0 | 8 | kind
	}
}

func shapeTAIs(r *rand.Rand) []byte {
	var b []byte
	for left := 1 + r.IntN(maxTAIs); left > 0; {
		n := 1 + r.IntN(left)
		left -= n
		p := PartialTAIList{Type: uint8(r.IntN(3))}
		for i := range n {
			t := id.TAI{TAC: id.TAC(100 + i)}
			t.PLMN, _ = id.ParsePLMN("99970")
			if p.Type != ConsecutiveTAIs {
				t.TAC = id.TAC(r.Uint32())
			}
			p.TAIs = append(p.TAIs, t)
		}
		b = (&TAIList{p}).encode(b)
	}
	return b
}

func TestRandomInstances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := kinds()
	if len(all) < 66 {
		t.Errorf("%d messages, want 66: 61 tables, five of them used in both directions", len(all))
	}
	for _, k := range all {
		for round := range 30 {
			m := k.new()
			random(t, r, m, round%11)
			b, err := Append(nil, m)
			if err != nil {
				t.Fatalf("%v: %v", k, err)
			}
			back, err := Parse(k.dir, b)
			if err != nil {
				t.Fatalf("%v: %x: %v", k, b, err)
			}
			if !reflect.DeepEqual(m, back) {
				t.Fatalf("%v: %x\n got %+v\nwant %+v", k, b, back, m)
			}
			again, err := Append(nil, back)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%v: %v\n got %x\nwant %x", k, err, again, b)
			}
			checkCuts(t, k, m, b)
			checkTree(t, m)
		}
	}
}

// checkCuts: a message cut in the mandatory part fails with a cause and the
// place; cut later it is whole but for the element that was cut.
func checkCuts(t *testing.T, k kind, m Message, b []byte) {
	t.Helper()
	bare := k.new()
	copyMandatory(bare, m)
	imperative, err := Append(nil, bare)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		got, err := Parse(k.dir, b[:n])
		if n >= len(imperative) {
			var e *Error
			if errors.As(err, &e) && e.Cause == EMMCauseConditionalIEError {
				continue
			}
			if err != nil {
				t.Fatalf("%v cut to %d of %d octets: %v", k, n, len(b), err)
			}
			if out, err := Append(nil, got); err != nil || !bytes.Equal(out, b[:n]) {
				t.Fatalf("%v cut to %d octets: %v\n got %x\nwant %x", k, n, err, out, b[:n])
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%v cut to %d of %d octets: error %v", k, n, len(b), err)
		}
		header := e.Cause == 0 && e.Status() == nil && n < 3
		element := e.Cause == EMMCauseInvalidMandatoryInformation && e.Element != "" && e.Offset <= n && e.Status() != nil &&
			e.Message == m.MessageType()
		if !header && !element {
			t.Fatalf("%v cut to %d of %d octets: %+v", k, n, len(b), e)
		}
	}
}

func copyMandatory(dst, src Message) {
	for i := range src.table().mandatory() {
		if row := &src.table().rows[i]; row.get != nil {
			from, _ := row.get(src)
			to, _ := row.get(dst)
			_ = to.decode(from.encode(nil))
		}
	}
}

// checkTree: every element that is there is printed under its name.
func checkTree(t *testing.T, m Message) {
	t.Helper()
	s := m.String()
	for i := range m.table().rows {
		row := &m.table().rows[i]
		if row.get == nil {
			continue
		}
		if _, has := row.get(m); (has == nil || *has) && !strings.Contains(s, "\n  "+row.name) {
			t.Errorf("%s: no %s in\n%s", m.table().name, row.name, s)
		}
	}
}

func TestTables(t *testing.T) {
	for _, k := range kinds() {
		tab := k.new().table()
		halves := 0
		for i, row := range tab.rows {
			if row.optional && row.get == nil || row.min > row.max || row.name == "" {
				t.Errorf("%v: row %+v", k, row)
			}
			if row.format == half {
				halves++
			} else if halves%2 != 0 {
				t.Errorf("%v: odd number of half octets before %s", k, row.name)
			}
			if !row.optional && i >= tab.mandatory() {
				t.Errorf("%v: %s is mandatory behind optional elements", k, row.name)
			}
			if row.optional && find(tab.rows, tab.mandatory(), tab.mandatory(), row.iei) != i {
				t.Errorf("%v: %s has the IEI of another element", k, row.name)
			}
			if long := row.iei >= 0x78 && row.iei < 0x80; row.optional && long != (row.format == tlve) {
				t.Errorf("%v: %s has IEI %#x and format %d", k, row.name, row.iei, row.format)
			}
		}
	}
}

// A message without its mandatory values is not sent.
func TestAppendRefuses(t *testing.T) {
	for _, k := range kinds() {
		m := k.new()
		var want string
		for i := range m.table().mandatory() {
			row := &m.table().rows[i]
			if row.get == nil {
				continue
			}
			if el, _ := row.get(m); len(el.encode(nil)) < int(row.min) {
				want = row.name
				break
			}
		}
		out, err := Append([]byte{1}, m)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || len(out) != 1) {
			t.Errorf("%v: %x, %v; want an error about %q", k, out, err, want)
		}
	}
	if _, err := Append(nil, nil); err == nil {
		t.Error("nothing was appended")
	}
	long := &AuthenticationResponse{RES: make(Octets, 17)}
	if b, err := Append(nil, long); err == nil {
		t.Errorf("RES of 17 octets sent: %x", b)
	}
}

// What is done with elements that do not fit, once for all messages.
func TestUnexpectedElements(t *testing.T) {
	const accept = "074201c1" + "06000 0f110 0007" + "0005 0201c1 0101" // EPS only, T3412, TAI list, some ESM message
	base := unhex(t, accept)
	guti := "500bf6 00f110 0001 1a 82333c1b"
	for _, c := range []struct {
		what, more string
		want       Unparsed
		text       string // of the elements that were read
	}{
		{"nothing", "", Unparsed{}, ""},
		{"known", guti + "5303", Unparsed{}, "GUTI EMM cause"},
		{"unknown type 1", "91", Unparsed{Unknown: 1}, ""},
		{"unknown TLV before known", "7702aabb" + "5303", Unparsed{Unknown: 1}, "EMM cause"},
		{"unknown TLV-E before known", "790003aabbcc" + "5303", Unparsed{Unknown: 1}, "EMM cause"},
		{"unknown TLV-E, the lowest", "780003aabbcc" + "5303", Unparsed{Unknown: 1}, "EMM cause"},
		{"repeated", "5303" + "5304", Unparsed{Repeated: 1}, "EMM cause"},
		{"out of sequence", "5303" + guti, Unparsed{OutOfSequence: 1}, "EMM cause"},
		{"repeated and out of sequence", guti + "5303" + guti, Unparsed{Repeated: 1}, "GUTI EMM cause"},
		{"reserved identity type", "500bf2 00f110 0001 1a 82333c1b" + "5303", Unparsed{Malformed: 1}, "EMM cause"},
		{"too short", "5002f600" + "5303", Unparsed{Malformed: 1}, "EMM cause"},
		{"length beyond the end", "5303" + "500bf600f110", Unparsed{Malformed: 1}, "EMM cause"},
		{"IEI alone", "5303" + "50", Unparsed{Malformed: 1}, "EMM cause"},
		{"unknown IEI alone", "77", Unparsed{Unknown: 1}, ""},
		{"later release, longer", "6404ff010203" + "f2", Unparsed{}, "EPS network feature support,Additional update result"},
	} {
		b := append(bytes.Clone(base), unhex(t, c.more)...)
		m, err := Parse(Downlink, b)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		u := *m.rest()
		u.Octets = nil
		if !reflect.DeepEqual(u, c.want) {
			t.Errorf("%s: unparsed %+v, want %+v", c.what, u, c.want)
		}
		var have []string
		for i := range m.table().rows {
			if row := &m.table().rows[i]; row.optional {
				if _, has := row.get(m); *has {
					have = append(have, row.name)
				}
			}
		}
		if got := strings.Join(have, " "); got != strings.ReplaceAll(c.text, ",", " ") {
			t.Errorf("%s: read %q, want %q", c.what, got, c.text)
		}
	}
	// From a UE, order does not matter.
	m, err := Parse(Uplink, unhex(t, "0201da"+"2704 80000d00"+"2804 03617061"))
	if r, ok := m.(*ESMInformationResponse); !ok || err != nil || r.APN.V.String() != "apa" || !r.PCO.OK || r.Unparsed.Count() != 0 {
		t.Errorf("%v, %v", m, err)
	}
	_, err = Parse(Downlink, append(bytes.Clone(base), 0x05, 0x01, 0xff))
	var e *Error
	if !errors.As(err, &e) || e.Cause != EMMCauseInvalidMandatoryInformation || e.Offset != len(base) {
		t.Errorf("unknown element, comprehension required: %v", err)
	}
}

var unhex = testkit.Unhex
