package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func small(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/small.asn")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLexer(t *testing.T) {
	toks, err := lex([]byte("A-b ::= INTEGER(0..maxX-y, ...) -- gone -- {&Z}\n-- gone }\nC--gone"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, tok := range toks {
		words = append(words, tok.text)
	}
	if got := strings.Join(words, " "); got != "A-b ::= INTEGER ( 0 .. maxX-y , ... ) { &Z } C" {
		t.Errorf("%s", got)
	}
	if toks[len(toks)-1].line != 3 {
		t.Errorf("last token in line %d", toks[len(toks)-1].line)
	}
	if _, err := lex([]byte("A\n%")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

func TestParser(t *testing.T) {
	s, err := parse(small(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.procedures) != 1 || s.procedures[0].initiating != "Greeting" || s.procedures[0].criticality != "reject" {
		t.Errorf("procedures %+v", s.procedures)
	}
	set := s.setByName["GreetingIEs"]
	if len(set.ies) != 3 || set.ies[1] != (ieDef{"id-peer-list", "ignore", "PeerList", "optional"}) {
		t.Errorf("set %+v", set)
	}
	step := s.typeByName["Step"].typ.bounds
	if !step.ext || len(step.spans) != 2 || step.hi() != 10 {
		t.Errorf("Step %+v", step)
	}
	mood := s.typeByName["Mood"].typ
	if !mood.ext || len(mood.fields) != 3 || mood.fields[1].added || !mood.fields[2].added {
		t.Errorf("Mood %+v", mood)
	}
	if list := s.typeByName["PeerList"].typ; list.bounds.hi() != 300 || list.elem.kind != kindSingle || list.elem.ref != "PeerItemIEs" {
		t.Errorf("PeerList %+v", list)
	}
}

func TestRefusals(t *testing.T) {
	text := string(small(t))
	for _, c := range []struct{ old, new, want string }{
		{"INTEGER (1..3|10, ...)", "INTEGER (1..noSuch)", `"noSuch" is not a number`},
		{"plain		Colour", "plain		Color", `type "Color" is not defined`},
		{"{ {GreetingIEs} }", "{ {NoIEs} }", `object set "NoIEs" is not defined`},
		{"Step ::= INTEGER", "Mood-Choice ::= INTEGER (0..1)\nMoodChoice ::= INTEGER", "Go name MoodChoice stands for"},
		{"parts			INTEGER (0..255)", "parts			INTEGER (0..255), ..., more NULL", "extension addition more of a SEQUENCE is not supported"},
		{"peer-list	CRITICALITY ignore	TYPE PeerList", "peer-list	CRITICALITY ignore	TYPE ProtocolIE-ContainerPair", `type "ProtocolIE-ContainerPair" is not defined`},
		{"INITIATING MESSAGE", "STARTING MESSAGE", `"STARTING" in procedure greeting`},
		{"END", "", "found where"},
	} {
		_, err := generate([]byte(strings.Replace(text, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
}

// TestGenerate checks the shapes of the Go code for each construct.
func TestGenerate(t *testing.T) {
	files, err := generate(small(t))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, text := range files {
		all.Write(text)
	}
	flat := strings.Join(strings.Fields(all.String()), " ")
	for _, want := range []string{
		"PeerID PeerID `asn1:\"Peer-ID\"` // id-Peer-ID, mandatory, reject",
		"PeerList PeerList `asn1:\"peer-list\"` // id-peer-list, optional, ignore",
		"Mood *Mood `asn1:\"Mood\"` // id-Mood, optional, notify",
		"var greetingSet = ieSet{1 << 0, []ieRow{ {IDPeerID, CriticalityReject}, {IDPeerList, CriticalityIgnore}, {IDMood, CriticalityNotify}, }}",
		"*v = Colour(r.enum(2, 3))",
		"type PeerID uint16",
		"w.IntExt(uint64(v), 0, 300)",
		"*v = PeerID(r.IntExt(0, 300, 1<<16-1))",
		"w.IntSet(uint64(v), []per.Range{{Lo: 1, Hi: 3}, {Lo: 10, Hi: 10}})",
		"ColourDarkRed Colour = iota // dark-red ColourGreen // green ColourBlue // blue )",
		"w.EnumExt(uint8(v), 2)",
		"case MoodChoiceNone: w.Choice(1, 2, true)",
		"case MoodChoiceMixed: if v.Mixed == nil",
		"w.ChoiceExt(0)",
		"type MixtureFinish uint8",
		"Key [16]byte",
		"w.BitField(uint64(v.Mask), 10)",
		"IEExtensions *MixtureExtIEs `asn1:\"iE-Extensions\"` // optional",
		"Name string `asn1:\"name\"` // optional",
		"p := r.Bits(4)",
		"if p>>3 != 0 { r.Additions() }",
		"type PeerList []PeerItem",
		"m := w.single(IDPeerItem, CriticalityIgnore)",
		"s := per.List(&r.Reader, *v, r.Count(1, 300, 40))",
		"Address [4]byte `asn1:\"address\"` Data []byte `asn1:\"data\"` // optional",
		"Mask uint16 `asn1:\"mask\" bits:\"10\"`",
		`func (v MoodChoice) String() string { switch v { case MoodChoicePlain: return "plain"`,
		`case "PeerID": return "Peer-ID"`,
		"// Greeting is Greeting, the initiating message of id-Greeting (TS 36.413 §9.3.3).",
		"IDPeerID ProtocolIEID = 1 // id-Peer-ID",
		"func (m *Greeting) String() string { return oneLine(m) }",
		"return Header{InitiatingMessage, ProcedureGreeting, CriticalityReject, \"Greeting\"}",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("not generated: %s", want)
		}
	}
}

func TestNames(t *testing.T) {
	for asn, want := range map[string]string{
		"E-RABToBeSetupListCtxtSUReq": "ERABToBeSetupListCtxtSUReq", "gTP-TEID": "GTPTEID", "dark-red": "DarkRed", "s1-Interface": "S1Interface", "ECGI-List": "ECGIListOfENB",
	} {
		if got := goName(asn); got != want {
			t.Errorf("goName(%s) = %s, want %s", asn, got, want)
		}
	}
	if got := ieField(ieDef{id: "id-uEaggregateMaximumBitrate", typ: "UEAggregateMaximumBitrate"}); got != "UEAggregateMaximumBitrate" {
		t.Error(got)
	}
}

func TestSkipsWithoutModules(t *testing.T) {
	for _, path := range []string{"", "no/such.asn", "/no/such.asn"} {
		var out bytes.Buffer
		dir := t.TempDir()
		if err := run(&out, path, dir); err != nil || !strings.Contains(out.String(), "skipped") {
			t.Errorf("%q: %v %q", path, err, out.String())
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%q: wrote %v", path, left)
		}
	}
}

// TestCommittedCodeIsCurrent generates from 3GPP's modules, where they are,
// and compares with the files in the package.
func TestCommittedCodeIsCurrent(t *testing.T) {
	path := os.Getenv("ASN1")
	if path == "" {
		path = "../shared/asn1/36413-h30.asn"
	}
	found, ok := locate(path)
	if !ok {
		t.Skip("3GPP's modules are not here")
	}
	src, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	files, err := generate(src)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("generated in %v", time.Since(start))
	for name, text := range files {
		committed, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil || !bytes.Equal(committed, text) {
			t.Errorf("%s is not what the generator writes (%v): run make generate", name, err)
		}
	}
}
