package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Receipt is what one segment carried: a leaf under a voucher's root.
type Receipt struct {
	Ticket TicketID
	No     uint32 // of the segment
	UL, DL uint64 // inner IP octets

	VoiceMs, Messages uint64 // as in Carried
}

// Leaf is the receipt's hash in the tree (RFC 6962 §2.1: octet 0 before a leaf).
func (r Receipt) Leaf() [32]byte {
	b := make([]byte, 0, 1+16+4+32)
	b = append(b, 0)
	b = append(b, r.Ticket[:]...)
	b = binary.BigEndian.AppendUint32(b, r.No)
	b = binary.BigEndian.AppendUint64(b, r.UL)
	b = binary.BigEndian.AppendUint64(b, r.DL)
	b = binary.BigEndian.AppendUint64(b, r.VoiceMs)
	b = binary.BigEndian.AppendUint64(b, r.Messages)
	return sha256.Sum256(b)
}

func node(l, r [32]byte) [32]byte {
	b := make([]byte, 0, 65)
	b = append(b, 1)
	b = append(b, l[:]...)
	return sha256.Sum256(append(b, r[:]...))
}

// Tree is an append-only Merkle tree in the shape of RFC 6962 that keeps only
// the roots of its complete subtrees: 32 octets a binary digit of its size.
// The zero value is an empty tree. A copy made by Clone may go its own way.
type Tree struct {
	size  uint64
	roots [][32]byte // complete subtrees, largest first
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Append adds a leaf.
func (t *Tree) Append(leaf [32]byte) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		leaf = node(t.roots[last], leaf)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, leaf)
	t.size++
}

// Root is the Merkle tree hash (RFC 6962 §2.1); of nothing, SHA-256 of nothing.
func (t *Tree) Root() [32]byte {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = node(t.roots[i], h)
	}
	return h
}

// Clone copies the tree.
func (t *Tree) Clone() *Tree {
	return &Tree{t.size, append([][32]byte(nil), t.roots...)}
}

// MarshalBinary gives size and subtree roots, for storage.
func (t *Tree) MarshalBinary() ([]byte, error) {
	b := binary.BigEndian.AppendUint64(nil, t.size)
	for _, r := range t.roots {
		b = append(b, r[:]...)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary gave.
func (t *Tree) UnmarshalBinary(b []byte) error {
	if len(b) < 8 || len(b) != 8+32*bits.OnesCount64(binary.BigEndian.Uint64(b)) {
		return fmt.Errorf("tree: %w: %d octets", ErrMalformed, len(b))
	}
	t.size, t.roots = binary.BigEndian.Uint64(b), nil
	for b = b[8:]; len(b) > 0; b = b[32:] {
		t.roots = append(t.roots, [32]byte(b))
	}
	return nil
}
