package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// misfit finds the first setting whose value is of another type than its place, or
// beyond its range, and says so in a person's words; nil if it finds none.
func misfit(file string, b []byte, into any) *Error {
	var all map[string]any
	if toml.Unmarshal(b, &all) != nil {
		return nil
	}
	key, what, remedy := misfitIn(all, reflect.TypeOf(into), "")
	if key == "" {
		return nil
	}
	return &Error{file, lineOf(string(b), key), key + ": " + what, remedy}
}

func misfitIn(all map[string]any, t reflect.Type, prefix string) (key, what, remedy string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return "", "", ""
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if key, what, remedy = misfitIn(all, f.Type, prefix); key != "" {
				return key, what, remedy
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		v, ok := all[name]
		if name == "" || !ok {
			continue
		}
		if inner, ok := v.(map[string]any); ok {
			if key, what, remedy = misfitIn(inner, f.Type, prefix+name+"."); key != "" {
				return key, what, remedy
			}
			continue
		}
		if what, remedy = misfits(v, f.Type); what != "" {
			return prefix + name, what, remedy
		}
	}
	return "", "", ""
}

var textual = reflect.TypeFor[encoding.TextUnmarshaler]()

// misfits says why a value does not go into a place of type t.
func misfits(v any, t reflect.Type) (what, remedy string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, isText := v.(string)
	switch k := t.Kind(); {
	case reflect.PointerTo(t).Implements(textual) || k == reflect.String:
		switch v := v.(type) {
		case int64, float64, bool:
			return fmt.Sprintf("%v stands where text is expected", v), fmt.Sprintf("write it in quotes: \"%v\"", v)
		}
	case k == reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			return "a single value stands where a list is expected", "write it in brackets: [ ... ]"
		}
		for _, e := range list {
			if what, remedy = misfits(e, t.Elem()); what != "" {
				return what, remedy
			}
		}
	case k >= reflect.Int && k <= reflect.Uint64:
		n, whole := v.(int64)
		least, most := bounds(t)
		switch {
		case isText:
			return fmt.Sprintf("text %q stands where a number is expected", v), "write it without quotes"
		case !whole:
			return fmt.Sprintf("%v is no whole number", v), fmt.Sprintf("write one from %d to %d", least, most)
		case n < least || n > 0 && uint64(n) > most:
			return fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write a whole number from %d to %d", least, most)
		}
	case k == reflect.Float32 || k == reflect.Float64:
		if isText {
			return fmt.Sprintf("text %q stands where a number is expected", v), "write it without quotes"
		}
	case k == reflect.Bool:
		if _, ok := v.(bool); !ok {
			return fmt.Sprintf("%v stands where true or false is expected", v), "write true or false, without quotes"
		}
	}
	return "", ""
}

// bounds are the least and the greatest number of an integer type; of those that
// TOML can write.
func bounds(t reflect.Type) (least int64, most uint64) {
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr {
		return 0, min(uint64(1)<<t.Bits()-1, 1<<63-1)
	}
	return -1 << (t.Bits() - 1), uint64(1)<<(t.Bits()-1) - 1
}
