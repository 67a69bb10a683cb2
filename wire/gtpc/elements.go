package gtpc

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Interface types of an F-TEID (TS 29.274 §8.22).
const (
	IfS1UeNB       uint8 = 0
	IfS1USGW       uint8 = 1
	IfENBForwardDL uint8 = 19
	IfENBForwardUL uint8 = 20
	IfSGWForwardDL uint8 = 23
	IfSGWForwardUL uint8 = 28
	IfS5SGWU       uint8 = 4
	IfS5PGWU       uint8 = 5
	IfS5SGWC       uint8 = 6
	IfS5PGWC       uint8 = 7
	IfS11MME       uint8 = 10
	IfS11SGW       uint8 = 11
	RATEUTRAN      uint8 = 6 // RAT type (TS 29.274 §8.17)
)

// PDN types (TS 29.274 §8.34).
const (
	PDNIPv4   uint8 = 1
	PDNIPv6   uint8 = 2
	PDNIPv4v6 uint8 = 3
)

// FTEID is a fully qualified tunnel endpoint identifier (TS 29.274 §8.22) with
// one address, IPv4 before IPv6.
type FTEID struct {
	Interface uint8
	TEID      id.TEID
	Addr      netip.Addr
}

// IE is the element with that instance.
func (f FTEID) IE(instance uint8) *ie.IE {
	a := f.Addr.Unmap()
	flag := byte(0x80)
	if a.Is6() {
		flag = 0x40
	}
	b := binary.BigEndian.AppendUint32([]byte{flag | f.Interface&0x3f}, uint32(f.TEID))
	return ie.New(ie.FullyQualifiedTEID, instance, append(b, a.AsSlice()...))
}

// ParseFTEID reads an F-TEID element; it fails on nil, another element or
// one without an address.
func ParseFTEID(e *ie.IE) (FTEID, error) {
	b, err := payload(e, ie.FullyQualifiedTEID, "F-TEID", 9)
	if err != nil {
		return FTEID{}, err
	}
	f := FTEID{Interface: b[0] & 0x3f, TEID: id.TEID(binary.BigEndian.Uint32(b[1:]))}
	switch {
	case b[0]&0x80 != 0:
		f.Addr = netip.AddrFrom4([4]byte(b[5:9]))
	case b[0]&0x40 != 0 && len(b) >= 21:
		f.Addr = netip.AddrFrom16([16]byte(b[5:21]))
	default:
		return f, Refuse(MandatoryIEIncorrect, ie.FullyQualifiedTEID, "F-TEID has no address")
	}
	return f, nil
}

// payload checks that e is there, of that type and long enough.
func payload(e *ie.IE, typ uint8, name string, least int) ([]byte, error) {
	if e == nil {
		return nil, Refuse(MandatoryIEMissing, typ, "no %s", name)
	}
	if e.Type != typ || len(e.Payload) < least {
		return nil, Refuse(MandatoryIEIncorrect, typ, "%s: %d octets, want at least %d", name, len(e.Payload), least)
	}
	return e.Payload, nil
}

// AMBR is an aggregate maximum bit rate (TS 29.274 §8.7).
type AMBR struct{ UL, DL id.BitRate }

// IE counts in kbit/s, as the element does, rounding up.
func (a AMBR) IE() *ie.IE {
	b := binary.BigEndian.AppendUint32(nil, kbps(a.UL))
	return ie.New(ie.AggregateMaximumBitRate, 0, binary.BigEndian.AppendUint32(b, kbps(a.DL)))
}

func kbps(r id.BitRate) uint32 { return uint32(min((uint64(r)+999)/1000, 1<<32-1)) }

// ParseAMBR reads the element.
func ParseAMBR(e *ie.IE) (AMBR, error) {
	b, err := payload(e, ie.AggregateMaximumBitRate, "AMBR", 8)
	if err != nil {
		return AMBR{}, err
	}
	return AMBR{id.BitRate(binary.BigEndian.Uint32(b)) * id.Kbps, id.BitRate(binary.BigEndian.Uint32(b[4:])) * id.Kbps}, nil
}

// ARP is allocation and retention priority (TS 29.274 §8.86): Level 1 (highest)
// to 15; CanPreempt and Preemptable in the words' plain sense.
type ARP struct {
	Level       uint8
	CanPreempt  bool
	Preemptable bool
}

func (a ARP) octet() byte {
	b := a.Level & 15 << 2
	if !a.CanPreempt {
		b |= 0x40 // PCI 1 is "disabled"
	}
	if !a.Preemptable {
		b |= 1 // PVI 1 is "disabled"
	}
	return b
}

func parseARP(b byte) ARP { return ARP{b >> 2 & 15, b&0x40 == 0, b&1 == 0} }

// IE is the ARP element of a Downlink Data Notification.
func (a ARP) IE() *ie.IE { return ie.New(ie.AllocationRetensionPriority, 0, []byte{a.octet()}) }

// QoS is a bearer's quality of service (TS 29.274 §8.15). The rates are zero
// for a bearer without guaranteed bit rate.
type QoS struct {
	ARP                        ARP
	QCI                        id.QCI
	MBRUL, MBRDL, GBRUL, GBRDL id.BitRate
}

// IE is the Bearer QoS element.
func (q QoS) IE() *ie.IE {
	b := []byte{q.ARP.octet(), byte(q.QCI)}
	for _, r := range []id.BitRate{q.MBRUL, q.MBRDL, q.GBRUL, q.GBRDL} {
		k := (uint64(r) + 999) / 1000
		b = append(b, byte(k>>32), byte(k>>24), byte(k>>16), byte(k>>8), byte(k))
	}
	return ie.New(ie.BearerQoS, 0, b)
}

// ParseQoS reads the element.
func ParseQoS(e *ie.IE) (QoS, error) {
	b, err := payload(e, ie.BearerQoS, "Bearer QoS", 22)
	if err != nil {
		return QoS{}, err
	}
	rate := func(i int) id.BitRate {
		v := b[2+5*i:]
		return id.BitRate(uint64(v[0])<<32|uint64(binary.BigEndian.Uint32(v[1:]))) * id.Kbps
	}
	return QoS{parseARP(b[0]), id.QCI(b[1]), rate(0), rate(1), rate(2), rate(3)}, nil
}

// ULI is the User Location Information element with TAI and ECGI (TS 29.274
// §8.21).
func ULI(t id.TAI, c id.ECGI) *ie.IE {
	p, e := t.PLMN.Octets(), c.Octets()
	b := append([]byte{0x18}, p[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(t.TAC))
	return ie.New(ie.UserLocationInformation, 0, append(b, e[:]...))
}

// ServingNetwork is the element (TS 29.274 §8.18).
func ServingNetwork(p id.PLMN) *ie.IE {
	b := p.Octets()
	return ie.New(ie.ServingNetwork, 0, b[:])
}

// APNIE is the Access Point Name element (TS 29.274 §8.6).
func APNIE(a id.APN) *ie.IE { return ie.New(ie.AccessPointName, 0, a.AppendTo(nil)) }

// EBI is the EPS Bearer ID element (TS 29.274 §8.8).
func EBI(e id.EBI) *ie.IE { return ie.New(ie.EPSBearerID, 0, []byte{byte(e)}) }

// ParseEBI reads the element.
func ParseEBI(e *ie.IE) (id.EBI, error) {
	b, err := payload(e, ie.EPSBearerID, "EPS Bearer ID", 1)
	if err != nil {
		return 0, err
	}
	v, err := id.MakeEBI(b[0] & 15)
	if err != nil {
		return 0, Refuse(MandatoryIEIncorrect, ie.EPSBearerID, "%v", err)
	}
	return v, nil
}

// IMSIIE is the IMSI element (TS 29.274 §8.3), nil for none.
func IMSIIE(i id.IMSI) *ie.IE {
	if i.IsZero() {
		return nil
	}
	return ie.New(ie.IMSI, 0, tbcd(i.Digits()))
}

// MSISDNIE is the MSISDN element (TS 29.274 §8.11), nil for no number.
func MSISDNIE(m id.MSISDN) *ie.IE {
	if m.IsZero() {
		return nil
	}
	return ie.New(ie.MSISDN, 0, tbcd(m.Digits()))
}

// MEI is the Mobile Equipment Identity element (TS 29.274 §8.10), nil for
// none.
func MEI(i id.IMEI) *ie.IE {
	if i.Digits() == "" {
		return nil
	}
	return ie.New(ie.MobileEquipmentIdentity, 0, tbcd(i.Digits()))
}

// tbcd packs decimal digits, low half octet first, 0xF filling the last.
func tbcd(digits string) []byte {
	var b []byte
	for i := 0; i < len(digits); i += 2 {
		hi := byte(15)
		if i+1 < len(digits) {
			hi = digits[i+1] - '0'
		}
		b = append(b, hi<<4|(digits[i]-'0'))
	}
	return b
}

// ParseIMSI reads the element.
func ParseIMSI(e *ie.IE) (id.IMSI, error) {
	b, err := payload(e, ie.IMSI, "IMSI", 3)
	if err != nil {
		return id.IMSI{}, err
	}
	s := make([]byte, 0, 16)
	for i, o := range b {
		s = append(s, '0'+o&15)
		if o>>4 != 15 || i < len(b)-1 {
			s = append(s, '0'+o>>4)
		}
	}
	v, err := id.ParseIMSI(string(s))
	if err != nil {
		return v, Refuse(MandatoryIEIncorrect, ie.IMSI, "IMSI of %d octets does not hold digits", len(b))
	}
	return v, nil
}

// ParseAPN reads the Access Point Name element.
func ParseAPN(e *ie.IE) (id.APN, error) {
	b, err := payload(e, ie.AccessPointName, "APN", 2)
	if err != nil {
		return id.APN{}, err
	}
	a, err := id.DecodeAPN(b)
	if err != nil {
		return a, Refuse(MandatoryIEIncorrect, ie.AccessPointName, "%v", err)
	}
	return a, nil
}

// ChargingID is the element (TS 29.274 §8.29).
func ChargingID(v uint32) *ie.IE {
	return ie.New(ie.ChargingID, 0, binary.BigEndian.AppendUint32(nil, v))
}

// BearerContext groups elements (TS 29.274 §8.28).
func BearerContext(instance uint8, ies ...*ie.IE) *ie.IE {
	return ie.NewGroupedIE(ie.BearerContext, ies...).WithInstance(instance)
}

// FindBearer gives the children of the first Bearer Context with that
// instance for the bearer; it fails when there is none.
func (m *Message) FindBearer(instance uint8, ebi id.EBI) ([]*ie.IE, error) {
	for _, e := range m.IEs {
		if e.Type != ie.BearerContext || e.Instance() != instance {
			continue
		}
		if v, err := ParseEBI(Find(e.ChildIEs, ie.EPSBearerID, 0)); err == nil && v == ebi {
			return e.ChildIEs, nil
		}
	}
	return nil, fmt.Errorf("gtpc: %v has no context of bearer %d", m.Type, ebi)
}
