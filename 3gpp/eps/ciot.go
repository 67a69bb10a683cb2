package eps

import (
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// ROHC profiles of a HeaderCompression (RFC 3095, 4996, 5225).
const (
	ROHC0002 uint8 = 1 << iota // UDP/IP
	ROHC0003                   // ESP/IP
	ROHC0004                   // IP
	ROHC0006                   // TCP/IP
	ROHC0102                   // UDP/IP
	ROHC0103                   // ESP/IP
	ROHC0104                   // IP
)

var (
	rohcProfiles = []string{"none", "0x0002 (UDP/IP)", "0x0003 (ESP/IP)", "0x0004 (IP)", "0x0006 (TCP/IP)", "0x0102 (UDP/IP)", "0x0103 (ESP/IP)", "0x0104 (IP)"}
	rohcSetup    = []bitField{{"Additional header compression context setup parameters type", 24, 8, append(append([]string{"0x0000 (no compression)"}, rohcProfiles[1:]...), "other")}}
)

// NewHeaderCompression offers or accepts profiles, ROHC0002 and others added,
// with context identifiers up to maxCID.
func NewHeaderCompression(profiles uint8, maxCID uint16) HeaderCompression {
	return HeaderCompression{profiles, byte(maxCID >> 8), byte(maxCID)}
}

// Profiles are the ROHC profiles, a bit for each.
func (v HeaderCompression) Profiles() uint8 { return v.at(0) }

// MaxCID is the highest context identifier.
func (v HeaderCompression) MaxCID() uint16 { return uint16(v.at(1))<<8 | uint16(v.at(2)) }

func (v HeaderCompression) at(i int) uint8 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

func (v HeaderCompression) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("RoHC profiles", flagText(v.Profiles(), append(rohcProfiles[:8:8], ""))), tree.Leaf("MAX_CID", v.MaxCID()))
	if len(v) > 3 {
		n.Nodes = append(n.Nodes, bitNodes("", v, rohcSetup).Nodes...)
	}
	if len(v) > 4 {
		n.Nodes = append(n.Nodes, hidden("Additional header compression context setup parameters container", v[4:]))
	}
	return n
}

// HeaderCompressionStatus says for which bearers the header compression
// configuration is not used (TS 24.301 §9.9.4.27): bit n is bearer n.
type HeaderCompressionStatus uint16

// NotUsed says whether it is not used for e.
func (s HeaderCompressionStatus) NotUsed(e id.EBI) bool { return s>>(e&15)&1 != 0 }

func (s *HeaderCompressionStatus) decode(b []byte) error { return (*BearerStatus)(s).decode(b) }

func (s *HeaderCompressionStatus) encode(dst []byte) []byte { return (*BearerStatus)(s).encode(dst) }

// String lists the bearers.
func (s HeaderCompressionStatus) String() string { return "not used: " + ebiList(uint16(s)) }

// ServingPLMNRateControl is how many uplink ESM DATA TRANSPORT messages with
// user data a UE may send in six minutes (TS 24.301 §9.9.4.28), at least 10.
type ServingPLMNRateControl uint16

// RateUnrestricted says that there is no limit.
const RateUnrestricted ServingPLMNRateControl = 0xffff

func (r *ServingPLMNRateControl) decode(b []byte) error { return word((*uint16)(r), b) }

func (r *ServingPLMNRateControl) encode(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(*r))
}

func (r ServingPLMNRateControl) String() string {
	if r == RateUnrestricted {
		return "not restricted"
	}
	return fmt.Sprintf("%d messages in 6 minutes", uint16(r))
}
