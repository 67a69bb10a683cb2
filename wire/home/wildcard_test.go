package home

import (
	"testing"

	"campanile.network/3gpp/id"
)

// A name goes before the wildcard, and nobody has the wildcard itself.
func TestFindAPN(t *testing.T) {
	apn := func(s string) id.APN {
		a, err := id.ParseAPN(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	p := Profile{APN: apn("internet"), QCI: 9, APNs: []APN{{Name: id.AnyAPN, QCI: 8}, {Name: apn("ims"), QCI: 5}}}
	for name, qci := range map[string]id.QCI{"internet": 9, "ims": 5, "work": 8} {
		if a, ok := p.Find(apn(name)); !ok || a.QCI != qci || a.Name != apn(name) {
			t.Errorf("%s: %+v, %v", name, a, ok)
		}
	}
	if a, ok := p.Find(id.AnyAPN); ok {
		t.Errorf("the wildcard is %+v", a)
	}
	p.APNs = p.APNs[1:]
	if a, ok := p.Find(apn("work")); ok {
		t.Errorf("not subscribed: %+v", a)
	}
}
