package eps

import (
	"fmt"
	"strings"

	"campanile.network/3gpp/tree"
)

// EEA is the number of a ciphering algorithm, 0 to 7; EIA of an integrity
// algorithm (TS 24.301 §9.9.3.23).
type (
	EEA uint8
	EIA uint8
)

func (e EEA) String() string { return algorithm("EEA", uint8(e)) }

func (e EIA) String() string { return algorithm("EIA", uint8(e)) }

// algorithm writes "EEA0" and "128-EEA2", as the spec does.
func algorithm(family string, n uint8) string {
	if n >= 1 && n <= 3 {
		family = "128-" + family
	}
	return fmt.Sprintf("%s%d", family, n)
}

// Algorithms are the selected NAS security algorithms (TS 24.301 §9.9.3.23).
type Algorithms struct {
	Ciphering EEA
	Integrity EIA
}

func (a *Algorithms) decode(b []byte) error {
	a.Ciphering, a.Integrity = EEA(b[0]>>4&7), EIA(b[0]&7)
	return nil
}

func (a *Algorithms) encode(dst []byte) []byte {
	return append(dst, byte(a.Ciphering&7)<<4|byte(a.Integrity&7))
}

func (a *Algorithms) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("Type of ciphering algorithm", a.Ciphering), tree.Leaf("Type of integrity protection algorithm", a.Integrity))
}

func (a Algorithms) String() string { return fmt.Sprintf("%v, %v", a.Ciphering, a.Integrity) }

// A Feature is a bit of a capability: octet of the value part from 0, times
// 8, plus the bit from 0 for bit 8 to 7 for bit 1. So EEA n is Feature(n) and
// EIA n is Feature(8+n).
type Feature uint8

// has says whether the bit of f is in o and set.
func has(o []byte, f Feature) bool {
	i := int(f / 8)
	return i < len(o) && o[i]<<(f%8)&0x80 != 0
}

func set(o []byte, f Feature) { o[f/8] |= 0x80 >> (f % 8) }

// names lists the flags that are set; those beyond the names by octet and bit.
func names(o []byte, known []string) string {
	var list []string
	for f := range Feature(8 * len(o)) {
		switch {
		case !has(o, f):
		case int(f) < len(known) && known[f] != "":
			list = append(list, known[f])
		default:
			list = append(list, fmt.Sprintf("octet %d bit %d", f/8+1, 8-f%8))
		}
	}
	return strings.Join(list, " ")
}

// UENetworkCapability is what the UE can do (TS 24.301 §9.9.3.34), 2 to 13
// octets, kept as they came. It is comparable.
type UENetworkCapability struct {
	n uint8
	o [13]byte
}

// Features of a UENetworkCapability beyond the algorithms (TS 24.301
// §9.9.3.34).
const (
	CapUCS2              Feature = 24 // UCS2 treated differently
	CapProSeDD           Feature = 32 // ProSe direct discovery
	CapProSe             Feature = 33 // proximity services
	CapH245ASH           Feature = 34 // H.245 after SRVCC handover
	CapACCCSFB           Feature = 35 // access class control for CSFB
	CapLPP               Feature = 36 // LTE positioning protocol
	CapLCS               Feature = 37 // location services notification
	CapSRVCC1x           Feature = 38 // SRVCC to 1xCS
	CapNF                Feature = 39 // notification procedure
	CapEPCO              Feature = 40 // extended protocol configuration options
	CapHCCPCIoT          Feature = 41 // header compression for control plane CIoT
	CapERwoPDN           Feature = 42 // EMM-REGISTERED without PDN connection
	CapS1UData           Feature = 43 // S1-u data transfer
	CapUPCIoT            Feature = 44 // user plane CIoT EPS optimization
	CapCPCIoT            Feature = 45 // control plane CIoT EPS optimization
	CapProSeRelay        Feature = 46 // acting as ProSe UE-to-network relay
	CapProSeDC           Feature = 47 // ProSe direct communication
	CapBearers15         Feature = 48 // signalling for 15 EPS bearer contexts
	CapSGC               Feature = 49 // service gap control
	CapN1Mode            Feature = 50 // 5GS
	CapDCNR              Feature = 51 // dual connectivity with NR
	CapCPBackoff         Feature = 52 // control plane data back-off
	CapRestrictEC        Feature = 53 // restriction on enhanced coverage
	CapV2XPC5            Feature = 54 // V2X over E-UTRA-PC5
	CapMultipleDRB       Feature = 55 // multiple user plane radio bearers in NB-S1
	CapRPR               Feature = 56 // reject paging request
	CapPIV               Feature = 57 // paging indication for voice services
	CapNCR               Feature = 58 // NAS signalling connection release
	CapV2XNRPC5          Feature = 59 // V2X over NR-PC5
	CapUPMTEDT           Feature = 60 // user plane mobile terminated early data
	CapCPMTEDT           Feature = 61 // control plane mobile terminated early data
	CapWUSA              Feature = 62 // wake-up signal assistance
	CapRACS              Feature = 63 // radio capability signalling optimisation
	CapPTCC              Feature = 70 // paging timing collision control
	CapPagingRestriction Feature = 71 // paging restriction
)

var ueFeatures = []string{
	"EEA0", "128-EEA1", "128-EEA2", "128-EEA3", "EEA4", "EEA5", "EEA6", "EEA7",
	"EIA0", "128-EIA1", "128-EIA2", "128-EIA3", "EIA4", "EIA5", "EIA6", "EPS-UPIP",
	"UEA0", "UEA1", "UEA2", "UEA3", "UEA4", "UEA5", "UEA6", "UEA7",
	"UCS2", "UIA1", "UIA2", "UIA3", "UIA4", "UIA5", "UIA6", "UIA7",
	"ProSe-dd", "ProSe", "H.245-ASH", "ACC-CSFB", "LPP", "LCS", "1xSRVCC", "NF",
	"ePCO", "HC-CP-CIoT", "ERw/oPDN", "S1-U-data", "UP-CIoT", "CP-CIoT", "ProSe-relay", "ProSe-dc",
	"15-bearers", "SGC", "N1mode", "DCNR", "CP-backoff", "RestrictEC", "V2X-PC5", "multipleDRB",
	"RPR", "PIV", "NCR", "V2X-NR-PC5", "UP-MT-EDT", "CP-MT-EDT", "WUSA", "RACS",
	"", "", "", "", "", "", "PTCC", "PR",
}

// NewUENetworkCapability has the algorithms and features given, in as many
// octets as they need. Feature(n) is EEA n, Feature(8+n) EIA n, Feature(16+n)
// UEA n, Feature(24+n) UIA n.
func NewUENetworkCapability(features ...Feature) UENetworkCapability {
	c := UENetworkCapability{n: 2}
	for _, f := range features {
		if int(f/8) < len(c.o) {
			set(c.o[:], f)
			c.n = max(c.n, uint8(f/8)+1)
		}
	}
	return c
}

// Has says whether a feature's bit is there and set.
func (c UENetworkCapability) Has(f Feature) bool { return has(c.Octets(), f) }

// EEA says whether the UE can cipher with e.
func (c UENetworkCapability) EEA(e EEA) bool { return e < 8 && c.Has(Feature(e)) }

// EIA says whether the UE can protect with e. Bit EIA7 is EPS-UPIP and no
// algorithm of NAS.
func (c UENetworkCapability) EIA(e EIA) bool { return e < 7 && c.Has(8+Feature(e)) }

// Octets gives the value part as it stands on the wire.
func (c UENetworkCapability) Octets() []byte { return c.o[:c.n] }

// IsZero says that c is no capability.
func (c UENetworkCapability) IsZero() bool { return c.n == 0 }

// Security is the UE security capability an MME replays to the UE: the
// algorithms of c and of ms, if the UE sent that too (TS 24.301 §9.9.3.36).
func (c UENetworkCapability) Security(ms Opt[MSNetworkCapability]) UESecurityCapability {
	s := UESecurityCapability{n: 2}
	copy(s.o[:4], c.o[:])
	s.o[3] &= 0x7f // that bit is UCS2 here, spare there
	if s.o[2]|s.o[3] != 0 {
		s.n = 4
	}
	if ms.OK {
		if s.o[4] = ms.V.gea(); s.o[4] != 0 {
			s.n = 5
		}
	}
	return s
}

func (c *UENetworkCapability) decode(b []byte) error {
	var v UENetworkCapability
	v.n = uint8(copy(v.o[:], b))
	*c = v
	return nil
}

func (c *UENetworkCapability) encode(dst []byte) []byte { return append(dst, c.Octets()...) }

// String names the bits that are set.
func (c UENetworkCapability) String() string { return names(c.Octets(), ueFeatures) }

// UESecurityCapability is the algorithms of the UE as the network knows them
// (TS 24.301 §9.9.3.36), 2 to 5 octets. It is comparable: a UE compares what
// is replayed to it with its own.
type UESecurityCapability struct {
	n uint8
	o [5]byte
}

// MakeUESecurityCapability takes the value part, as Octets gives it: 2, 4 or 5
// octets.
func MakeUESecurityCapability(b []byte) (c UESecurityCapability, err error) {
	if len(b) < 2 || len(b) > len(c.o) {
		return c, fmt.Errorf("UE security capability of %d octets, want 2, 4 or 5", len(b))
	}
	return c, c.decode(b)
}

// EEA says whether the UE can cipher with e.
func (c UESecurityCapability) EEA(e EEA) bool { return e < 8 && has(c.Octets(), Feature(e)) }

// EIA says whether the UE can protect with e.
func (c UESecurityCapability) EIA(e EIA) bool { return e < 7 && has(c.Octets(), 8+Feature(e)) }

// Octets gives the value part: EEA, EIA, and where there are any UEA, UIA and
// GEA.
func (c UESecurityCapability) Octets() []byte { return c.o[:c.n] }

// IsZero says that c is no capability.
func (c UESecurityCapability) IsZero() bool { return c.n == 0 }

func (c *UESecurityCapability) decode(b []byte) error {
	if len(b) == 3 {
		return problem("3 octets, want 2, 4 or 5")
	}
	var v UESecurityCapability
	v.n = uint8(copy(v.o[:], b))
	*c = v
	return nil
}

func (c *UESecurityCapability) encode(dst []byte) []byte { return append(dst, c.Octets()...) }

// String names the bits that are set.
func (c UESecurityCapability) String() string {
	known := append(ueFeatures[:32:32], "", "GEA1", "GEA2", "GEA3", "GEA4", "GEA5", "GEA6", "GEA7")
	known[24] = ""
	return names(c.Octets(), known)
}

// MSNetworkCapability is what the UE can do in GPRS (TS 24.008 §10.5.5.12), 2
// to 8 octets as they stand on the wire.
type MSNetworkCapability struct {
	n uint8
	o [8]byte
}

// gea gives the GPRS ciphering algorithms as TS 24.301 §9.9.3.36 places them,
// GEA1 in bit 7. Here GEA1 is bit 8 of the first octet and GEA2 to GEA7 are
// bits 7 to 2 of the second.
func (c MSNetworkCapability) gea() byte { return c.o[0]>>7<<6 | c.o[1]&0x7e>>1 }

// Octets gives the value part.
func (c MSNetworkCapability) Octets() []byte { return c.o[:c.n] }

func (c *MSNetworkCapability) decode(b []byte) error {
	var v MSNetworkCapability
	v.n = uint8(copy(v.o[:], b))
	*c = v
	return nil
}

func (c *MSNetworkCapability) encode(dst []byte) []byte { return append(dst, c.Octets()...) }

var msFeatures = []string{
	"GEA/1", "SM-via-dedicated-channels", "SM-via-GPRS", "UCS2", "SS-screening-2", "SS-screening-1", "SoLSA", "revision-level",
	"PFC", "GEA/2", "GEA/3", "GEA/4", "GEA/5", "GEA/6", "GEA/7", "LCS-VA",
	"PS-HO-to-UTRAN-Iu", "PS-HO-to-E-UTRAN-S1", "EMM-combined-procedures", "ISR", "SRVCC-to-GERAN/UTRAN", "EPC", "NF", "GERAN-network-sharing",
	"UP-integrity", "GIA/4", "GIA/5", "GIA/6", "GIA/7", "ePCO-IE", "RestrictEC", "DCNR",
}

// String names the bits that are set.
func (c MSNetworkCapability) String() string { return names(c.Octets(), msFeatures) }

// NetworkFeatures is the EPS network feature support (TS 24.301 §9.9.3.12A),
// 1 to 3 octets.
type NetworkFeatures struct {
	n uint8
	o [3]byte
}

// Features of a network. CS-LCS is a number of two bits: NetCSLCSYes or
// NetCSLCSNo.
const (
	NetCPCIoT            Feature = iota // control plane CIoT EPS optimization
	NetERwoPDN                          // EMM-REGISTERED without PDN connection
	NetESRPS                            // EXTENDED SERVICE REQUEST for packet services
	NetCSLCSNo                          // no location services via CS
	NetCSLCSYes                         // location services via CS
	NetEPCLCS                           // location services via EPC
	NetEMCBS                            // emergency bearer services
	NetIMSVoPS                          // IMS voice over PS
	NetBearers15                        // signalling for 15 EPS bearer contexts
	NetIWKN26                           // interworking without N26
	NetRestrictDCNR                     // dual connectivity with NR is restricted
	NetRestrictEC                       // enhanced coverage is restricted
	NetEPCO                             // extended protocol configuration options
	NetHCCPCIoT                         // header compression for control plane CIoT
	NetS1UData                          // S1-u data transfer
	NetUPCIoT                           // user plane CIoT EPS optimization
	_                                   // spare
	_                                   // spare
	_                                   // spare
	NetPTCC                             // paging timing collision control
	NetPagingRestriction                // paging restriction
	NetRPR                              // reject paging request
	NetPIV                              // paging indication for voice services
	NetNCR                              // NAS signalling connection release
)

var networkFeatures = []string{
	"CP-CIoT", "ERw/oPDN", "ESRPS", "CS-LCS-2", "CS-LCS-1", "EPC-LCS", "EMC-BS", "IMS-VoPS",
	"15-bearers", "IWK-N26", "RestrictDCNR", "RestrictEC", "ePCO", "HC-CP-CIoT", "S1-U-data", "UP-CIoT",
	"", "", "", "PTCC", "PR", "RPR", "PIV", "NCR",
}

// NewNetworkFeatures has the features given, in as many octets as they need.
func NewNetworkFeatures(features ...Feature) NetworkFeatures {
	v := NetworkFeatures{n: 1}
	for _, f := range features {
		if int(f/8) < len(v.o) {
			set(v.o[:], f)
			v.n = max(v.n, uint8(f/8)+1)
		}
	}
	return v
}

// Has says whether the network has f.
func (v NetworkFeatures) Has(f Feature) bool { return has(v.o[:v.n], f) }

func (v *NetworkFeatures) decode(b []byte) error {
	var w NetworkFeatures
	w.n = uint8(copy(w.o[:], b))
	*v = w
	return nil
}

func (v *NetworkFeatures) encode(dst []byte) []byte { return append(dst, v.o[:v.n]...) }

// String names the bits that are set.
func (v NetworkFeatures) String() string { return names(v.o[:v.n], networkFeatures) }
