package s1ap

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A view is what a reader that knows the ASN.1 sees in a message: the ids of its
// IEs in order, and under each name the values that stand there, a list by its
// length, a CHOICE by its index, strings by their octets. It is taken from the
// Go value by reflection; the codec has no part in it.
type view struct {
	known  func(ie string) bool // whether the reader shows what is in the field, "Container.IE"
	header Header
	ids    []ProtocolIEID
	values map[string][]string // by name in the ASN.1
	types  map[string]bool     // Go types of what is there
}

func viewOf(m Message, known func(string) bool) *view {
	w := &view{known: known, header: m.Header(), values: map[string][]string{}, types: map[string]bool{}}
	w.message(m)
	return w
}

func (w *view) message(m Message) {
	w.count("procedureCode", uint64(m.Header().ProcedureCode))
	w.structure(reflect.ValueOf(m).Elem(), "")
}

func (w *view) add(name, value string) { w.values[name] = append(w.values[name], value) }

func (w *view) octets(name string, b []byte) { w.add(name, "0x"+hex.EncodeToString(b)) }

func (w *view) count(name string, n uint64) { w.add(name, strconv.FormatUint(n, 10)) }

// component adds v, which stands under that name. bits is the length of a BIT
// STRING whose type has no name.
func (w *view) component(v reflect.Value, name string, bits int) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	w.types[v.Type().Name()] = true
	if b, ok := bitString(v); ok {
		w.octets(name, b.Bytes)
		return
	}
	if p, ok := v.Interface().(PrivateIE); ok {
		w.ids = append(w.ids, ProtocolIEID(p.ID.Choice-1)) // under the same name
		if p.ID.Choice == PrivateIEIDChoiceLocal {
			w.count("local", uint64(p.ID.Local))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		w.structure(v, name)
	case reflect.Slice:
		w.list(v, name)
	case reflect.Array:
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		w.octets(name, b)
	case reflect.String:
		w.add(name, v.String())
	default:
		w.number(v, name, bits)
	}
}

func (w *view) structure(v reflect.Value, name string) {
	choice := v.FieldByName("Choice")
	if choice.IsValid() {
		w.count(name, choice.Uint()-1)
	}
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		asn1 := t.Tag.Get("asn1")
		switch x := f.Interface().(type) {
		case []UnknownIE:
			for _, u := range x {
				w.ids = append(w.ids, u.ID)
			}
			continue
		case *UnknownIE:
			if x != nil {
				w.ids = append(w.ids, x.ID)
			}
			continue
		}
		switch {
		case asn1 == "" || !present(f) || choice.IsValid() && asn1 != fmt.Sprint(choice.Interface()):
		case holdsIEs(v.Type()):
			w.ie(f, asn1, v.Type().Name()+"."+t.Name)
		default:
			w.component(f, asn1, bitsOf(t.Tag))
		}
	}
}

// holdsIEs says that the struct is a container.
func holdsIEs(t reflect.Type) bool {
	last := t.Field(t.NumField() - 1).Type
	return last == reflect.TypeFor[[]UnknownIE]() || last == reflect.TypeFor[*UnknownIE]()
}

// ie adds an IE, which stands under the name of its type.
func (w *view) ie(v reflect.Value, name, field string) {
	w.ids = append(w.ids, ieIDs[strings.ToLower(name)])
	if field == "RerouteNASRequest.S1Message" {
		if p, err := Parse(v.Bytes()); err == nil { // as one of nested can be
			w.message(p.Message)
		}
	}
	if w.known(field) {
		t := v.Type()
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.PkgPath() != "" {
			name = typeName(t.Name())
		}
		w.component(v, name, 0)
	}
}

func (w *view) list(v reflect.Value, name string) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		w.octets(name, v.Bytes())
		return
	}
	w.count(name, uint64(v.Len()))
	item := typeName(v.Type().Elem().Name())
	contained := strings.Contains(item, "Item") && ieIDs[strings.ToLower(item)] > 0
	for i := range v.Len() {
		if contained {
			w.ie(v.Index(i), item, name+"."+item)
		} else {
			w.component(v.Index(i), item, 0)
		}
	}
}

// number adds an INTEGER or ENUMERATED, or the octets of a BIT STRING, which
// types with a name show in their text.
func (w *view) number(v reflect.Value, name string, bits int) {
	text := fmt.Sprint(v.Interface())
	if s, ok := strings.CutPrefix(text, "0x"); ok {
		bits = 4 * len(s)
	} else if s, ok := strings.CutPrefix(text, "0b"); ok {
		bits = len(s)
	}
	if bits == 0 {
		w.count(name, v.Uint())
		return
	}
	u := v.Uint() << (64 - bits)
	var b []byte
	for ; bits > 0; bits -= 8 {
		b = append(b, byte(u>>56))
		u <<= 8
	}
	w.octets(name, b)
}

// ieIDs is the ids of all IEs by name in lower case.
var ieIDs = func() map[string]ProtocolIEID {
	ids := map[string]ProtocolIEID{}
	for id := range ProtocolIEID(1000) {
		if s := id.String(); !strings.HasPrefix(s, "ProtocolIEID(") {
			ids[strings.ToLower(s)] = id
		}
	}
	return ids
}()
