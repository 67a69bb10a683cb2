package s1ap

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameMessage compares two messages; lists and strings of length zero equal
// absent ones where absence is how they are written.
func sameMessage(a, b Message) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty())
}

// roundTrips is how many random values of each message are written and read.
const roundTrips = 30

// TestRandomRoundTrip writes and reads random valid values of every message.
func TestRandomRoundTrip(t *testing.T) {
	for i, m := range allMessages() {
		name := m.Header().Name
		for seed := range uint64(roundTrips) {
			g := newGen(seed*1000+uint64(i), int(seed*5%101), 3+int(seed)%5)
			g.unknown = seed%2 == 0
			fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
			fresh.random(g)
			b, err := Append(nil, fresh)
			if err != nil {
				t.Fatalf("%s seed %d: write: %v", name, seed, err)
			}
			p, err := Parse(b)
			if err != nil {
				t.Fatalf("%s seed %d: read: %v\n% x", name, seed, err, b)
			}
			if p.Message.Header() != m.Header() {
				t.Fatalf("%s: read as %+v", name, p.Message.Header())
			}
			b2, err := p.Append(nil)
			if err != nil || !bytes.Equal(b, b2) {
				t.Fatalf("%s seed %d: written again: %v\n% x\n% x", name, seed, err, b, b2)
			}
			if d := sameMessage(normal(fresh), p.Message); d != "" {
				t.Fatalf("%s seed %d: differs (-written +read)\n%s", name, seed, d)
			}
		}
	}
}

// normal passes m through the comparison's view of empty extension containers.
func normal(m Message) Message {
	dropEmpty(reflect.ValueOf(m))
	return m
}

// dropEmpty clears pointers to empty extension containers, which are written
// as absent.
func dropEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			dropEmpty(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			dropEmpty(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			dropEmpty(f)
			if e, ok := f.Interface().(interface{ isEmpty() bool }); ok && f.CanSet() && e.isEmpty() {
				f.SetZero()
			}
		}
	}
}
