package eps

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// The names are the spec's, parts of elements stand below them and messages in
// containers too; identities are hidden where they are asked to be.
func TestTree(t *testing.T) {
	plmn, _ := id.ParsePLMN("001/01")
	imsi, _ := id.ParseIMSI("001010123456780")
	apn, _ := id.ParseAPN("internet")
	pdn, err := Append(nil, &PDNConnectivityRequest{PTI: 1, Request: RequestTypeInitial, PDNType: PDNTypeIPv4, APN: Some(apn),
		PCO: Some(PCO{}.With(ContainerPAP, []byte("\x01\x07\x00\x10\x04user\x06secret")).With(ContainerDNSv4, nil))})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Append(nil, &AttachRequest{Type: AttachTypeEPS, KSI: NoKSI, Identity: FromIMSI(imsi), Capability: NewUENetworkCapability(0, 10), ESM: pdn,
		AdditionalGUTI: Some(FromGUTI(id.GUTI{GUMMEI: id.GUMMEI{PLMN: plmn, Group: 0x8001, Code: 0x1a}, TMSI: 0xdeadbeef})),
		LastTAI:        Some(id.TAI{PLMN: plmn, TAC: 7}), ExtendedDRX: Some(ExtendedDRX(0x2d))})
	if err != nil {
		t.Fatal(err)
	}
	plain = append(plain, 0x77, 1, 0xaa, 0x50, 2, 0xf6, 0) // an unknown element, and a GUTI that is too short
	b := Protected{Header: HeaderIntegrity, MAC: [4]byte{1, 2, 3, 4}, Sequence: 9, Payload: plain}.Append(nil)
	const want = `SECURITY PROTECTED NAS MESSAGE
  Security header type: integrity protected (#1)
  Message authentication code: 01020304
  Sequence number: 9
  NAS message
    ATTACH REQUEST
      EPS attach type: EPS attach (#1)
      NAS key set identifier: no key is available (#7)
      EPS mobile identity
        IMSI: 001010123456780
      UE network capability: EEA0 128-EIA2
      ESM message container
        PDN CONNECTIVITY REQUEST
          EPS bearer identity: 0
          Procedure transaction identity: 1
          Request type: initial request (#1)
          PDN type: IPv4 (#1)
          Access point name: internet
          Protocol configuration options
            Configuration protocol: PPP for use with IP PDP type or IP PDN type (#0)
            PAP
              Code: Authenticate-Request (#1)
              Identifier: 7
              Peer-ID: user
              Password: secret
            DNS Server IPv4 Address Request: no content
      Additional GUTI
        GUTI
          PLMN: 001/01
          MME group ID: 32769
          MME code: 26
          M-TMSI: 0xdeadbeef
      Last visited registered TAI
        PLMN: 001/01
        TAC: 7
      Extended DRX parameters
        Paging Time Window: 3.84s, in NB-S1 mode 7.68s (#2)
        eDRX value: 43m41.44s (#13)
      Not understood: 1 unknown, 1 repeated, 0 out of sequence, 0 malformed
        IEI 0x77: 7701aa
        IEI 0x50 Additional GUTI: 5002f600`
	if got := (tree.View{}).Text(TreePDU(Uplink, b)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	hidden := strings.NewReplacer("001010123456780", "00101········80", "Peer-ID: user", "Peer-ID: 4 octets", "Password: secret", "Password: 6 octets",
		": 7701aa", ": 3 octets", ": 5002f600", ": 4 octets").Replace(want)
	if got := masked.Text(TreePDU(Uplink, b)); got != hidden {
		t.Errorf("got\n%s\nwant\n%s", got, hidden)
	}
}

// What cannot be read is shown with the reason, and what is ciphered as such.
func TestTreePDUOfAnything(t *testing.T) {
	for octets, want := range map[string]string{
		"":                       "empty message",
		"0741":                   "ATTACH REQUEST: EPS attach type at octet 3: cut off",
		"c7a3d7c9":               "SERVICE REQUEST",
		"27010203040599aabbccdd": "Ciphered: 99aabbccdd",
		"270102030405075e":       "SECURITY MODE COMPLETE",
		"17010203040599aabbccdd": "protocol discriminator 9 is neither EMM nor ESM",
		"17010203040517":         "not a plain message",
	} {
		if got := (tree.View{}).Text(TreePDU(Uplink, unhex(t, octets))); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", octets, want, got)
		}
	}
}

// Elements that were not understood are shown up to a number, never fewer
// octets than came.
func TestTreeOfUnparsed(t *testing.T) {
	b := unhex(t, "0201dae8") // no such element
	b = b[:3]
	for range 100 {
		b = append(b, 0x91)
	}
	b = append(b, 0x28, 9, 1) // an APN that is cut off
	m, err := Parse(Uplink, b)
	if err != nil {
		t.Fatal(err)
	}
	n := Tree(m)
	last := n.Nodes[len(n.Nodes)-1]
	total := 0
	for _, e := range last.Nodes {
		total += len(e.Value.([]byte))
	}
	if len(last.Nodes) != maxUnparsed+1 || total != 103 || last.Nodes[0].Name != "IEI 0x91" || last.Nodes[maxUnparsed].Name != "More" {
		t.Errorf("%d nodes, %d octets: %v", len(last.Nodes), total, last)
	}
}

// Every message can be shown in every way, and no identity or key is shown
// where they are to be hidden.
func TestTreeHides(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for _, k := range kinds() {
		for range 20 {
			m := k.new()
			random(t, r, m, 10)
			n := Tree(m)
			if n.Name != m.table().name {
				t.Fatalf("%v is shown as %s", k, n.Name)
			}
			text := masked.Text(n)
			for _, view := range []tree.View{{}, masked} {
				if b := view.AppendJSON(nil, n); !json.Valid(b) {
					t.Errorf("%v: %s is no JSON", k, b)
				}
			}
			for _, secret := range secrets(n, nil) {
				if strings.Contains(text, secret) {
					t.Errorf("%v: %s in\n%s", k, secret, text)
				}
			}
		}
	}
}

// secrets are the values of long identities and keys.
func secrets(n tree.Node, all []string) []string {
	switch n.Name {
	case "IMSI", "IMEI", "IMEISV", "MSISDN", "Ciphering key", "Password", "Encrypted IMSI":
		n.Masked = ""
		_, value, _ := strings.Cut(tree.View{}.Text(n), ": ")
		if len(value) > 6 {
			all = append(all, value)
		}
	}
	for _, c := range n.Nodes {
		all = secrets(c, all)
	}
	return all
}

// Messages in messages are shown three deep; a hundred of them cost no more.
func TestNestingIsBounded(t *testing.T) {
	var m Message = &SecurityModeComplete{}
	for range 100 {
		b, err := Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		m = &SecurityModeComplete{ReplayedMessage: Some(EMMContainer(b))}
	}
	if n := strings.Count(m.String(), "SECURITY MODE COMPLETE"); n != 1+nesting {
		t.Errorf("%d messages are shown, want %d", n, 1+nesting)
	}
}

// What is ciphered and reads as a message with something left over does so by
// accident: it is shown as octets.
func TestCipheredByAccident(t *testing.T) {
	payload := []byte{0x07, 0x45, 0x01, 0x23, 0x01, 0x42} // a DETACH REQUEST with an unknown element
	p := Protected{Header: HeaderIntegrityCiphered, Payload: payload[:3]}
	if s := (tree.View{}).Text(TreePDU(Downlink, p.Append(nil))); strings.Contains(s, "Ciphered") || !strings.Contains(s, "DETACH REQUEST") {
		t.Error(s)
	}
	p.Payload = payload
	if s := (tree.View{}).Text(TreePDU(Downlink, p.Append(nil))); !strings.Contains(s, "Ciphered") || strings.Contains(s, "DETACH REQUEST") {
		t.Error(s)
	}
}
