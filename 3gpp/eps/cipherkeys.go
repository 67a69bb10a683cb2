package eps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/tree"
)

// A CipheringDataSet is a key for positioning assistance data that cells
// broadcast (TS 24.301 §9.9.3.56).
type CipheringDataSet struct {
	ID       uint16
	Key      secret.Key128
	C0       []byte         // first counter, at most 16 octets
	SIBs     PositioningSIB // what is ciphered with the key
	Start    time.Time      // to the minute, UTC
	Duration time.Duration  // whole minutes, at most 65535
	TAIs     TAIList        // where it is valid; empty: in the whole PLMN
}

// PositioningSIB is a set of types of positioning SIB, bit 32 for type 1-1, then
// 1-2 to 1-7, 2-1 to 2-19 and, bit 6, 3-1.
type PositioningSIB uint32

// String lists the types.
func (p PositioningSIB) String() string {
	var known []string
	for group, last := range [...]int{7, 19, 1} {
		for n := range last {
			known = append(known, fmt.Sprintf("%d-%d", group+1, n+1))
		}
	}
	return names(binary.BigEndian.AppendUint32(nil, uint32(p)), known)
}

// With is v with one more set. Years are 2000 to 2099.
func (v CipheringKeyData) With(s CipheringDataSet) CipheringKeyData {
	v = binary.BigEndian.AppendUint16(v[:len(v):len(v)], s.ID)
	v = append(v, s.Key[:]...)
	c0 := s.C0[:min(len(s.C0), 16)]
	v = append(append(v, byte(len(c0))), c0...)
	v = binary.BigEndian.AppendUint32(v, uint32(s.SIBs))
	start := NewTimeAndZone(s.Start)
	v = append(v, start[:5]...)
	v = binary.BigEndian.AppendUint16(v, uint16(min(max(s.Duration/time.Minute, 0), 65535)))
	tais := s.TAIs.encode(nil)
	return append(append(v, byte(len(tais))), tais...)
}

// All gives the sets in order.
func (v CipheringKeyData) All() iter.Seq[CipheringDataSet] {
	return func(yield func(CipheringDataSet) bool) {
		for b := []byte(v); len(b) > 0; {
			s, n, err := decodeCipheringDataSet(b)
			if err != nil || !yield(s) {
				return
			}
			b = b[n:]
		}
	}
}

// cipheringDataSet finds the parts of variable length of a set: where what
// follows C0 begins, where the TAI list does and where the set ends.
func cipheringDataSet(b []byte) (sibs, tais, end int, ok bool) {
	const fixed, rest = 19, 12
	if len(b) < fixed+rest {
		return 0, 0, 0, false
	}
	sibs = fixed + int(b[18]&31)
	tais = sibs + rest
	if len(b) < tais {
		return 0, 0, 0, false
	}
	end = tais + int(b[tais-1])
	return sibs, tais, end, len(b) >= end
}

func decodeCipheringDataSet(b []byte) (CipheringDataSet, int, error) {
	sibs, tais, end, ok := cipheringDataSet(b)
	if !ok {
		return CipheringDataSet{}, 0, problem("cut off")
	}
	start, err := TimeAndZone{b[sibs+4], b[sibs+5], b[sibs+6], b[sibs+7], b[sibs+8]}.Time()
	if err != nil {
		return CipheringDataSet{}, 0, problem("validity start: " + err.Error())
	}
	s := CipheringDataSet{
		ID:       binary.BigEndian.Uint16(b),
		Key:      secret.Key128(b[2:18]),
		C0:       b[19:sibs:sibs],
		SIBs:     PositioningSIB(binary.BigEndian.Uint32(b[sibs:])),
		Start:    start,
		Duration: time.Duration(binary.BigEndian.Uint16(b[sibs+9:])) * time.Minute,
	}
	if tais < end {
		err = s.TAIs.decode(b[tais:end])
	}
	return s, end, err
}

func (v CipheringKeyData) check() error {
	for b := []byte(v); len(b) > 0; {
		_, n, err := decodeCipheringDataSet(b)
		if err != nil {
			return problem(fmt.Sprintf("ciphering data set at octet %d: %v", len(v)-len(b)+1, err))
		}
		b = b[n:]
	}
	return nil
}

func (v CipheringKeyData) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for s := range v.All() {
		n.Nodes = append(n.Nodes, tree.Branch("",
			tree.Leaf("Ciphering set ID", s.ID),
			tree.Node{Name: "Ciphering key", Value: s.Key[:], Masked: fmt.Sprint(s.Key)},
			hidden("c0", s.C0),
			tree.Leaf("Positioning SIB types", s.SIBs),
			tree.Leaf("Validity start time", s.Start.Format("2006-01-02 15:04 UTC")),
			tree.Leaf("Validity duration", s.Duration),
			s.TAIs.node("TAIs list")))
	}
	return n
}
