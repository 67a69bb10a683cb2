package eps

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// maxTAIs is how many tracking areas a list holds; more are ignored (TS 24.301
// §9.9.3.33).
const maxTAIs = 16

// TAIList is a tracking area identity list (TS 24.301 §9.9.3.33), one to 16
// identities in all.
type TAIList []PartialTAIList

// The types of partial list: how the identities are written, not what they
// mean.
const (
	TAIsOfOnePLMN     uint8 = 0 // one PLMN, any codes
	ConsecutiveTAIs   uint8 = 1 // one PLMN, each code one more than the one before
	TAIsOfSeveralPLMN uint8 = 2
)

// PartialTAIList is a part of a TAIList, 1 to 16 identities.
type PartialTAIList struct {
	Type uint8 // TAIsOfOnePLMN, ConsecutiveTAIs or TAIsOfSeveralPLMN
	TAIs []id.TAI
}

// NewTAIList makes a list of one part, of the shortest type that can write it.
func NewTAIList(tais ...id.TAI) TAIList {
	kind := ConsecutiveTAIs
	if len(tais) == 1 {
		kind = TAIsOfOnePLMN
	}
	for i, t := range tais {
		if t.PLMN != tais[0].PLMN {
			kind = TAIsOfSeveralPLMN
			break
		}
		if i > 0 && t.TAC != tais[i-1].TAC+1 {
			kind = TAIsOfOnePLMN
		}
	}
	return TAIList{{kind, tais}}
}

// All gives the identities of all parts.
func (l TAIList) All() []id.TAI {
	var all []id.TAI
	for _, p := range l {
		all = append(all, p.TAIs...)
	}
	return all
}

// Contains says whether t is in the list.
func (l TAIList) Contains(t id.TAI) bool {
	for _, p := range l {
		if slices.Contains(p.TAIs, t) {
			return true
		}
	}
	return false
}

// String lists the identities.
func (l TAIList) String() string {
	var s []string
	for _, t := range l.All() {
		s = append(s, t.String())
	}
	return strings.Join(s, ", ")
}

func (l *TAIList) decode(b []byte) error {
	parts, err := checkTAIs(b)
	if err != nil {
		return err
	}
	if parts == 0 {
		return problem("empty list")
	}
	*l = make(TAIList, 0, parts)
	for total := 0; len(b) > 0 && total < maxTAIs; {
		p, size := partialTAIList(b)
		if err := p.decode(b[1:1+size], min(int(b[0]&31)+1, maxTAIs-total)); err != nil {
			return err
		}
		total += len(p.TAIs)
		*l = append(*l, p)
		b = b[1+size:]
	}
	return nil
}

// partialTAIList is the list at the begin of b without its identities, and how
// many octets those take.
func partialTAIList(b []byte) (PartialTAIList, int) {
	p := PartialTAIList{Type: b[0] >> 5 & 3}
	switch count := int(b[0]&31) + 1; p.Type {
	case TAIsOfOnePLMN:
		return p, 3 + 2*count
	case TAIsOfSeveralPLMN:
		return p, 5 * count
	}
	return p, 5
}

// checkTAIs wants whole partial lists of known types, and counts those that
// hold the first maxTAIs identities.
func checkTAIs(b []byte) (parts int, err error) {
	for total := 0; len(b) > 0 && total < maxTAIs; parts++ {
		p, size := partialTAIList(b)
		count := int(b[0]&31) + 1
		switch {
		case p.Type > TAIsOfSeveralPLMN:
			return 0, problem(fmt.Sprintf("type of list %d is reserved", p.Type))
		case count > maxTAIs:
			return 0, problem(fmt.Sprintf("partial list of %d identities, want at most %d", count, maxTAIs))
		case len(b) < 1+size:
			return 0, problem(fmt.Sprintf("partial list of %d identities has %d octets, want %d", count, len(b)-1, size))
		}
		total += count
		b = b[1+size:]
	}
	return parts, nil
}

// decode reads the first count identities.
func (p *PartialTAIList) decode(b []byte, count int) error {
	p.TAIs = make([]id.TAI, count)
	for i := range p.TAIs {
		plmn, code := b[:3], b[3:]
		add := 0
		switch p.Type {
		case TAIsOfOnePLMN:
			code = b[3+2*i:]
		case ConsecutiveTAIs:
			add = i
		case TAIsOfSeveralPLMN:
			plmn, code = b[5*i:], b[5*i+3:]
		}
		v, err := id.DecodePLMN([3]byte(plmn[:3]))
		if err != nil {
			return err
		}
		tac := int(binary.BigEndian.Uint16(code)) + add
		if tac > 0xffff {
			return problem("consecutive tracking area codes run beyond 65535")
		}
		p.TAIs[i] = id.TAI{PLMN: v, TAC: id.TAC(tac)}
	}
	return nil
}

func (l *TAIList) encode(dst []byte) []byte {
	for _, p := range *l {
		if len(p.TAIs) == 0 || len(p.TAIs) > maxTAIs {
			continue
		}
		dst = append(dst, p.Type<<5|byte(len(p.TAIs)-1))
		for i, t := range p.TAIs {
			if i == 0 || p.Type == TAIsOfSeveralPLMN {
				o := t.PLMN.Octets()
				dst = append(dst, o[:]...)
			}
			if i == 0 || p.Type != ConsecutiveTAIs {
				dst = binary.BigEndian.AppendUint16(dst, uint16(t.TAC))
			}
		}
	}
	return dst
}

func (l *TAIList) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for _, t := range l.All() {
		n.Nodes = append(n.Nodes, taiNode("", t))
	}
	return n
}

type taiElement id.TAI

func (t *taiElement) decode(b []byte) error {
	p, err := id.DecodePLMN([3]byte(b[:3]))
	*t = taiElement{PLMN: p, TAC: id.TAC(binary.BigEndian.Uint16(b[3:]))}
	return err
}

func (t *taiElement) encode(dst []byte) []byte {
	p := t.PLMN.Octets()
	return binary.BigEndian.AppendUint16(append(dst, p[:]...), uint16(t.TAC))
}

func (t *taiElement) String() string { return id.TAI(*t).String() }

func (t *taiElement) node(name string) tree.Node { return taiNode(name, id.TAI(*t)) }

// LAI is a location area identification (TS 24.301 §9.9.2.2).
type LAI struct {
	PLMN id.PLMN
	LAC  uint16 // location area code
}

func (l *LAI) decode(b []byte) error {
	p, err := id.DecodePLMN([3]byte(b[:3]))
	*l = LAI{p, binary.BigEndian.Uint16(b[3:])}
	return err
}

func (l *LAI) encode(dst []byte) []byte {
	p := l.PLMN.Octets()
	return binary.BigEndian.AppendUint16(append(dst, p[:]...), l.LAC)
}

func (l *LAI) node(name string) tree.Node {
	return tree.Branch(name, plmnNode(l.PLMN), tree.Leaf("LAC", l.LAC))
}

func (l LAI) String() string { return fmt.Sprintf("%v:%d", l.PLMN, l.LAC) }

// PLMNList is a list of equivalent PLMNs (TS 24.301 §9.9.2.8), 1 to 15.
type PLMNList []id.PLMN

func (l *PLMNList) decode(b []byte) error {
	if len(b)%3 != 0 {
		return problem(fmt.Sprintf("%d octets, want a multiple of 3", len(b)))
	}
	*l = make(PLMNList, len(b)/3)
	for i := range *l {
		p, err := id.DecodePLMN([3]byte(b[3*i:]))
		if err != nil {
			return err
		}
		(*l)[i] = p
	}
	return nil
}

func (l *PLMNList) encode(dst []byte) []byte {
	for _, p := range *l {
		o := p.Octets()
		dst = append(dst, o[:]...)
	}
	return dst
}

func (l *PLMNList) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for _, p := range *l {
		n.Nodes = append(n.Nodes, tree.Leaf("", p.String()))
	}
	return n
}

func (l PLMNList) String() string {
	var s []string
	for _, p := range l {
		s = append(s, p.String())
	}
	return strings.Join(s, ", ")
}

func plmnNode(p id.PLMN) tree.Node { return tree.Leaf("PLMN", p.String()) }

func taiNode(name string, t id.TAI) tree.Node {
	return tree.Branch(name, plmnNode(t.PLMN), tree.Leaf("TAC", uint16(t.TAC)))
}
