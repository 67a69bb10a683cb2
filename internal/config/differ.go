package config

import (
	"reflect"
	"slices"
	"strings"
)

// Differences gives the keys, such as "mme.code", of which two configurations of one type have
// different values, but for those named in without; in the order of the structs.
func Differences(a, b any, without ...string) []string {
	return slices.DeleteFunc(differ(reflect.ValueOf(a), reflect.ValueOf(b), ""), func(k string) bool { return slices.Contains(without, k) })
}

func differ(a, b reflect.Value, prefix string) (out []string) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous:
			out = append(out, differ(a.Field(i), b.Field(i), prefix)...)
		case name == "" || name == "-" || !f.IsExported():
		case f.Type.Kind() == reflect.Struct && hasKeys(f.Type):
			out = append(out, differ(a.Field(i), b.Field(i), prefix+name+".")...)
		case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			out = append(out, prefix+name)
		}
	}
	return out
}

// hasKeys says that a struct is a table, and no value such as a time.
func hasKeys(t reflect.Type) bool { return len(keys(t, "")) > 0 }
