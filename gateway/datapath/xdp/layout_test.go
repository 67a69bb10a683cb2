package xdp

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestLayout compares the records with the types the object itself tells.
func TestLayout(t *testing.T) {
	spec, err := loadGateway()
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"policy": policy{}, "count": count{}, "hop": hop{}, "routes": routing{}, "flow": flowKey{}, "flow_state": flowState{},
		"filter": filter{}, "filters": filters{}, "remote": remote{}, "service": service{}, "services": serviceSet{}, "stats": counters{},
	} {
		var s *btf.Struct
		if err := spec.Types.TypeByName(name, &s); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g := reflect.TypeOf(v)
		if uintptr(s.Size) != g.Size() {
			t.Errorf("%s: %d octets in the program, %d here", name, s.Size, g.Size())
		}
		var theirs, ours []uintptr
		for _, m := range s.Members {
			if !strings.HasPrefix(m.Name, "spare") {
				theirs = append(theirs, uintptr(m.Offset.Bytes()))
			}
		}
		if g.Kind() != reflect.Struct {
			continue
		}
		for i := range g.NumField() {
			if f := g.Field(i); f.Name != "_" {
				ours = append(ours, f.Offset)
			}
		}
		if !reflect.DeepEqual(theirs, ours) {
			t.Errorf("%s: fields at %v in the program, at %v here", name, theirs, ours)
		}
	}
}
