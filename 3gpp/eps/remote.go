package eps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"

	"campanile.network/3gpp/tree"
)

// RemoteIdentityType says what identifies a remote UE (TS 24.301 §9.9.4.20).
type RemoteIdentityType uint8

// The types of identity.
const (
	RemoteEncryptedIMSI RemoteIdentityType = 1
	RemoteIMSI          RemoteIdentityType = 2
	RemoteMSISDN        RemoteIdentityType = 3
	RemoteIMEI          RemoteIdentityType = 4
	RemoteIMEISV        RemoteIdentityType = 5
)

// String is the name in the spec.
func (t RemoteIdentityType) String() string {
	words := [...]string{1: "Encrypted IMSI", 2: "IMSI", 3: "MSISDN", 4: "IMEI", 5: "IMEISV"}
	if int(t) < len(words) && words[t] != "" {
		return words[t]
	}
	return fmt.Sprintf("identity of type %d", uint8(t))
}

// A RemoteIdentity is an identity of a remote UE: digits, or octets if it is
// encrypted.
type RemoteIdentity []byte

// NewRemoteIdentity writes digits; with no digit it is empty.
func NewRemoteIdentity(t RemoteIdentityType, digits string) RemoteIdentity {
	return appendDigits(nil, byte(t&7), digits)
}

// EncryptedRemoteIMSI is an identity that only the key management function can
// read.
func EncryptedRemoteIMSI(b []byte) RemoteIdentity {
	return append(RemoteIdentity{byte(RemoteEncryptedIMSI)}, b...)
}

// Type tells what it is.
func (i RemoteIdentity) Type() RemoteIdentityType {
	if len(i) == 0 {
		return 0
	}
	return RemoteIdentityType(i[0] & 7)
}

// Digits are those of an IMSI, MSISDN, IMEI or IMEISV; "" of anything else.
func (i RemoteIdentity) Digits() string {
	if t := i.Type(); t < RemoteIMSI || t > RemoteIMEISV {
		return ""
	}
	s, err := digits(i)
	if err != nil {
		return ""
	}
	return s
}

func (i RemoteIdentity) node() tree.Node {
	if s := i.Digits(); s != "" {
		return maskedDigits(i.Type().String(), s)
	}
	return hidden(i.Type().String(), i[min(1, len(i)):])
}

// A RemoteUE is a UE behind a ProSe UE-to-network relay: its identities and its
// address, an IPv4 address and port, or an IPv6 prefix of 64 bits.
type RemoteUE struct {
	Identities []RemoteIdentity
	IPv4       netip.AddrPort
	IPv6       netip.Prefix
}

// The types of address.
const (
	remoteNoAddress = 0
	remoteIPv4      = 1
	remoteIPv6      = 2
)

// With is v with one more UE. Its parts together have at most 255 octets and a
// list 255 UEs, or v is given back.
func (v RemoteUEs) With(u RemoteUE) RemoteUEs {
	b := []byte{byte(len(u.Identities))}
	for _, i := range u.Identities {
		b = append(append(b, byte(len(i))), i...)
		if len(i) > 255 {
			return v
		}
	}
	switch {
	case u.IPv4.Addr().Unmap().Is4():
		a := u.IPv4.Addr().Unmap().As4()
		b = binary.BigEndian.AppendUint16(append(append(b, remoteIPv4), a[:]...), u.IPv4.Port())
	case u.IPv6.IsValid() && u.IPv6.Addr().Is6():
		a := u.IPv6.Addr().As16()
		b = append(append(b, remoteIPv6), a[:8]...)
	default:
		b = append(b, remoteNoAddress)
	}
	if len(b) > 255 || len(v) > 0 && v[0] == 255 {
		return v
	}
	if v = v[:len(v):len(v)]; len(v) == 0 {
		v = RemoteUEs{0}
	}
	v = append(append(v, byte(len(b))), b...)
	v[0]++
	return v
}

// All gives the UEs in order.
func (v RemoteUEs) All() iter.Seq[RemoteUE] {
	return func(yield func(RemoteUE) bool) {
		rest := []byte(v[min(1, len(v)):])
		for len(rest) > 0 {
			var context []byte
			var ok bool
			if context, rest, ok = counted(rest); !ok {
				return
			}
			if u, err := decodeRemoteUE(context, true); err != nil || !yield(u) {
				return
			}
		}
	}
}

// decodeRemoteUE keeps the identities only if told to.
func decodeRemoteUE(b []byte, keep bool) (RemoteUE, error) {
	var u RemoteUE
	if len(b) == 0 {
		return u, problem("no number of identities")
	}
	count, rest := int(b[0]), b[1:]
	for range count {
		i, r, ok := counted(rest)
		if !ok {
			return u, problem("identity is cut off")
		}
		if rest = r; keep {
			u.Identities = append(u.Identities, RemoteIdentity(i))
		}
	}
	switch {
	case len(rest) == 0 || rest[0]&7 == remoteNoAddress:
	case rest[0]&7 == remoteIPv4 && len(rest) >= 7:
		u.IPv4 = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[1:])), binary.BigEndian.Uint16(rest[5:]))
	case rest[0]&7 == remoteIPv6 && len(rest) >= 9:
		var a [16]byte
		copy(a[:8], rest[1:])
		u.IPv6 = netip.PrefixFrom(netip.AddrFrom16(a), 64)
	default:
		return u, problem(fmt.Sprintf("address of type %d in %d octets", rest[0]&7, len(rest)-1))
	}
	return u, nil
}

func (v RemoteUEs) check() error {
	if len(v) == 0 {
		return problem("no number of remote UE contexts")
	}
	b := []byte(v[1:])
	for n := range int(v[0]) {
		context, rest, ok := counted(b)
		if !ok {
			return problem(fmt.Sprintf("remote UE context %d of %d is cut off", n+1, v[0]))
		}
		if _, err := decodeRemoteUE(context, false); err != nil {
			return problem(fmt.Sprintf("remote UE context %d of %d: %v", n+1, v[0], err))
		}
		b = rest
	}
	if len(b) > 0 {
		return problem(fmt.Sprintf("%d octets behind %d remote UE contexts", len(b), v[0]))
	}
	return nil
}

func (v RemoteUEs) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for u := range v.All() {
		context := tree.Branch("")
		for _, i := range u.Identities {
			context.Nodes = append(context.Nodes, i.node())
		}
		if u.IPv4.IsValid() {
			context.Nodes = append(context.Nodes, tree.Leaf("IPv4 address", u.IPv4.Addr()), tree.Leaf("Port number", u.IPv4.Port()))
		}
		if u.IPv6.IsValid() {
			context.Nodes = append(context.Nodes, tree.Leaf("IPv6 prefix", u.IPv6))
		}
		n.Nodes = append(n.Nodes, context)
	}
	return n
}

// NewPKMFAddress is the function at a.
func NewPKMFAddress(a netip.Addr) PKMFAddress {
	a = a.Unmap()
	kind := byte(remoteIPv6)
	if a.Is4() {
		kind = remoteIPv4
	}
	return append(PKMFAddress{kind}, a.AsSlice()...)
}

// Addr is the address.
func (v PKMFAddress) Addr() netip.Addr {
	switch {
	case len(v) >= 5 && v[0]&7 == remoteIPv4:
		return netip.AddrFrom4([4]byte(v[1:]))
	case len(v) >= 17 && v[0]&7 == remoteIPv6:
		return netip.AddrFrom16([16]byte(v[1:]))
	}
	return netip.Addr{}
}

func (v PKMFAddress) check() error {
	if !v.Addr().IsValid() {
		return problem(fmt.Sprintf("address of type %d in %d octets", v[0]&7, len(v)-1))
	}
	return nil
}

func (v PKMFAddress) node(name string) tree.Node { return tree.Leaf(name, v.Addr()) }

// NBIFOMParameter says what a unit of an NBIFOM container is (TS 24.161 §6.1).
type NBIFOMParameter uint8

// String is the name in the spec.
func (p NBIFOMParameter) String() string {
	words := [...]string{1: "NBIFOM mode", 2: "NBIFOM default access", 3: "NBIFOM status", 4: "NBIFOM routing rules", 5: "NBIFOM IP flow mapping",
		6: "NBIFOM RAN rules handling", 7: "NBIFOM access stratum status", 8: "NBIFOM access usability indication"}
	if int(p) < len(words) && words[p] != "" {
		return words[p]
	}
	return fmt.Sprintf("NBIFOM parameter %d", uint8(p))
}

// With is v with one more unit of at most 255 octets.
func (v NBIFOM) With(p NBIFOMParameter, content []byte) NBIFOM {
	if len(content) > 255 {
		return v
	}
	return append(append(v[:len(v):len(v)], byte(p), byte(len(content))), content...)
}

// All gives the units in order.
func (v NBIFOM) All() iter.Seq2[NBIFOMParameter, []byte] {
	return func(yield func(NBIFOMParameter, []byte) bool) {
		for p, b := range units(v) {
			if !yield(NBIFOMParameter(p), b) {
				return
			}
		}
	}
}

func (v NBIFOM) check() error { return checkUnits(v) }

func (v NBIFOM) node(name string) tree.Node {
	n := tree.Branch(name)
	for p, b := range v.All() {
		n.Nodes = append(n.Nodes, tree.Leaf(p.String(), b))
	}
	return n
}
