package sip

import (
	"slices"
	"strings"
)

// Param is a parameter of a header field or a URI.
type Param struct {
	Name, Value string
	HasValue    bool // ";name=value" and not ";name"
	Quoted      bool // written in quotes; what needs them has them anyway
}

// Params are parameters in their order. Names are compared in any case.
type Params []Param

// Lookup is the value of the first parameter with the name; "" if it has none.
func (p Params) Lookup(name string) (value string, ok bool) {
	for i := range p {
		if strings.EqualFold(p[i].Name, name) {
			return p[i].Value, true
		}
	}
	return "", false
}

// Get is Lookup without the doubt.
func (p Params) Get(name string) string {
	v, _ := p.Lookup(name)
	return v
}

// Has reports whether there is such a parameter, with a value or without.
func (p Params) Has(name string) bool {
	_, ok := p.Lookup(name)
	return ok
}

// Set gives a parameter a value, behind the others if it is new.
func (p *Params) Set(name, value string) { p.put(Param{Name: name, Value: value, HasValue: true}) }

// SetFlag sets a parameter that has no value, such as lr.
func (p *Params) SetFlag(name string) { p.put(Param{Name: name}) }

// put leaves what others see of the same list alone.
func (p *Params) put(v Param) {
	for i := range *p {
		if strings.EqualFold((*p)[i].Name, v.Name) {
			*p = slices.Clone(*p)
			v.Quoted = (*p)[i].Quoted && v.HasValue
			(*p)[i] = v
			return
		}
	}
	*p = append(slices.Clip(*p), v)
}

// Del removes the parameters with the name.
func (p *Params) Del(name string) {
	if p.Has(name) {
		*p = slices.DeleteFunc(slices.Clone(*p), func(v Param) bool { return strings.EqualFold(v.Name, name) })
	}
}
