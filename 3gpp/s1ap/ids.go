package s1ap

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/per"
)

// What follows turns the identifiers of package id into IEs and back. FromX
// cannot fail; the way back fails where the IE holds what is no identifier.

// FromPLMN gives the PLMNidentity of p. S1AP has the digits of an MNC in their
// order, where NAS and GTP put a third digit before the first (TS 36.413
// §9.2.3.8, TS 24.008 §10.5.1.3); with two digits both are the same.
func FromPLMN(p id.PLMN) PLMNidentity {
	o := p.Octets()
	if o[1]>>4 == 0xf {
		return o
	}
	return PLMNidentity{o[0], o[2]<<4 | o[1]&0xf, o[1]&0xf0 | o[2]>>4}
}

// ID reads a PLMNidentity.
func (v PLMNidentity) ID() (id.PLMN, error) {
	if v[1]>>4 == 0xf || v[2]>>4 > 9 { // a filler elsewhere is refused there
		return id.DecodePLMN(v)
	}
	return id.DecodePLMN([3]byte{v[0], v[2]&0xf0 | v[1]&0xf, v[2]<<4 | v[1]>>4})
}

// FromTAC gives the TAC of t.
func FromTAC(t id.TAC) (v TAC) {
	binary.BigEndian.PutUint16(v[:], uint16(t))
	return v
}

// ID reads a TAC.
func (v TAC) ID() id.TAC { return id.TAC(binary.BigEndian.Uint16(v[:])) }

// FromTAI gives the TAI of t.
func FromTAI(t id.TAI) TAI { return TAI{PLMNidentity: FromPLMN(t.PLMN), TAC: FromTAC(t.TAC)} }

// ID reads a TAI.
func (v *TAI) ID() (id.TAI, error) {
	p, err := v.PLMNidentity.ID()
	return id.TAI{PLMN: p, TAC: v.TAC.ID()}, err
}

// FromECGI gives the EUTRAN-CGI of e.
func FromECGI(e id.ECGI) EUTRANCGI {
	return EUTRANCGI{PLMNidentity: FromPLMN(e.PLMN), CellID: CellIdentity(e.ECI)}
}

// ID reads an EUTRAN-CGI.
func (v *EUTRANCGI) ID() (id.ECGI, error) {
	p, err := v.PLMNidentity.ID()
	return id.ECGI{PLMN: p, ECI: id.ECI(v.CellID)}, err
}

// FromGlobalENBID gives the Global-ENB-ID of g.
func FromGlobalENBID(g id.GlobalENBID) GlobalENBID {
	v := GlobalENBID{PLMNidentity: FromPLMN(g.PLMN)}
	switch g.Type {
	case id.HomeENB:
		v.ENBID = ENBID{Choice: ENBIDChoiceHomeENBID, HomeENBID: g.ID}
	case id.ShortMacroENB:
		v.ENBID = ENBID{Choice: ENBIDChoiceShortMacroENBID, ShortMacroENBID: g.ID}
	case id.LongMacroENB:
		v.ENBID = ENBID{Choice: ENBIDChoiceLongMacroENBID, LongMacroENBID: g.ID}
	default:
		v.ENBID = ENBID{Choice: ENBIDChoiceMacroENBID, MacroENBID: g.ID}
	}
	return v
}

// ID reads a Global-ENB-ID.
func (v *GlobalENBID) ID() (id.GlobalENBID, error) {
	p, err := v.PLMNidentity.ID()
	if err != nil {
		return id.GlobalENBID{}, err
	}
	switch v.ENBID.Choice {
	case ENBIDChoiceMacroENBID:
		return id.MakeGlobalENBID(p, id.MacroENB, v.ENBID.MacroENBID)
	case ENBIDChoiceHomeENBID:
		return id.MakeGlobalENBID(p, id.HomeENB, v.ENBID.HomeENBID)
	case ENBIDChoiceShortMacroENBID:
		return id.MakeGlobalENBID(p, id.ShortMacroENB, v.ENBID.ShortMacroENBID)
	case ENBIDChoiceLongMacroENBID:
		return id.MakeGlobalENBID(p, id.LongMacroENB, v.ENBID.LongMacroENBID)
	}
	return id.GlobalENBID{}, fmt.Errorf("s1ap: eNB id of an unknown kind")
}

// FromGUMMEI gives the GUMMEI of g.
func FromGUMMEI(g id.GUMMEI) GUMMEI {
	v := GUMMEI{PLMNidentity: FromPLMN(g.PLMN), MMECode: MMECode{byte(g.Code)}}
	binary.BigEndian.PutUint16(v.MMEGroupID[:], uint16(g.Group))
	return v
}

// ID reads a GUMMEI.
func (v *GUMMEI) ID() (id.GUMMEI, error) {
	p, err := v.PLMNidentity.ID()
	return id.GUMMEI{PLMN: p, Group: id.MMEGroupID(binary.BigEndian.Uint16(v.MMEGroupID[:])), Code: id.MMECode(v.MMECode[0])}, err
}

// FromSTMSI gives the S-TMSI of s.
func FromSTMSI(s id.STMSI) *STMSI {
	v := &STMSI{MMEC: MMECode{byte(s.Code)}}
	binary.BigEndian.PutUint32(v.MTMSI[:], uint32(s.TMSI))
	return v
}

// ID reads an S-TMSI.
func (v *STMSI) ID() id.STMSI {
	return id.STMSI{Code: id.MMECode(v.MMEC[0]), TMSI: id.MTMSI(binary.BigEndian.Uint32(v.MTMSI[:]))}
}

// FromIMSI gives the IMSI of i: two digits an octet, the first in the low half, 1111
// to fill the last (TS 36.413 §9.2.3.11).
func FromIMSI(i id.IMSI) IMSI {
	digits := i.Digits()
	v := make(IMSI, 0, 8)
	for n := 0; n < len(digits); n += 2 {
		high := byte(15)
		if n+1 < len(digits) {
			high = digits[n+1] - '0'
		}
		v = append(v, high<<4|(digits[n]-'0'))
	}
	return v
}

// FromTEID gives the GTP-TEID of t.
func FromTEID(t id.TEID) (v GTPTEID) {
	binary.BigEndian.PutUint32(v[:], uint32(t))
	return v
}

// ID reads a GTP-TEID.
func (v GTPTEID) ID() id.TEID { return id.TEID(binary.BigEndian.Uint32(v[:])) }

// FromAddr gives the TransportLayerAddress of an IPv4 or IPv6 address
// (TS 36.414 §5.3: 32 or 128 bits).
func FromAddr(a netip.Addr) TransportLayerAddress {
	b := a.AsSlice()
	return TransportLayerAddress{Bytes: b, Len: 8 * len(b)}
}

// Addr reads a TransportLayerAddress; of one with both families (160 bits, the
// IPv4 address first) it gives the IPv4 one.
func (v TransportLayerAddress) Addr() (netip.Addr, error) {
	b := per.BitString(v).Bytes
	switch v.Len {
	case 32, 160:
		if len(b) >= 4 {
			return netip.AddrFrom4([4]byte(b[:4])), nil
		}
	case 128:
		if len(b) >= 16 {
			return netip.AddrFrom16([16]byte(b[:16])), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("s1ap: transport layer address of %d bits: want 32, 128 or 160", v.Len)
}
