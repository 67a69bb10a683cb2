package tree

import (
	"encoding/json"
	"testing"
)

var sample = Branch("InitialUEMessage",
	Leaf("eNB-UE-S1AP-ID", uint32(7)),
	Node{Name: "IMSI", Value: "001010123456780", Masked: "00101…"},
	Leaf("NAS-PDU", []byte{7, 0x41}),
	Node{Name: "TAIList", List: true, Nodes: []Node{Branch("TAIItem", Leaf("tAC", "0007")), Leaf("", true)}},
	Node{Name: "empty", List: true},
	Leaf("unknown", 1), Leaf("name", "a\nb\x1b\"<"), Leaf("unknown", 2),
)

func TestText(t *testing.T) {
	const want = `InitialUEMessage
  eNB-UE-S1AP-ID: 7
  IMSI: 001010123456780
  NAS-PDU: 0741
  TAIList
    [0] TAIItem
      tAC: 0007
    [1]: true
  empty: none
  unknown: 1
  name: a\nb\x1b\"<
  unknown: 2`
	if got := (View{}).Text(sample); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := (View{Mask: true}).Text(sample.Nodes[1]), "IMSI: 00101…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	const want = `{"eNB-UE-S1AP-ID":7,"IMSI":"00101…","NAS-PDU":"0741","TAIList":[{"tAC":"0007"},true],"empty":[],` +
		`"unknown":[1,2],"name":"a\nb\u001b\"<"}`
	got := View{Mask: true}.AppendJSON(nil, sample)
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
}
