package eps

import (
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

var qos3GFields = []bitField{
	{"Delay class", 2, 3, []string{1: "delay class 1", 2: "delay class 2", 3: "delay class 3", 4: "delay class 4 (best effort)"}},
	{"Reliability class", 5, 3, []string{
		2: "unacknowledged GTP, acknowledged LLC and RLC, protected data", 3: "unacknowledged GTP and LLC, acknowledged RLC, protected data",
		4: "unacknowledged GTP, LLC and RLC, protected data", 5: "unacknowledged GTP, LLC and RLC, unprotected data"}},
	{"Peak throughput", 8, 4, []string{1: "up to 1 000 octet/s", 2: "up to 2 000 octet/s", 3: "up to 4 000 octet/s", 4: "up to 8 000 octet/s", 5: "up to 16 000 octet/s",
		6: "up to 32 000 octet/s", 7: "up to 64 000 octet/s", 8: "up to 128 000 octet/s", 9: "up to 256 000 octet/s"}},
	{"Precedence class", 13, 3, []string{1: "high priority", 2: "normal priority", 3: "low priority"}},
	{"Mean throughput", 19, 5, []string{1: "100 octet/h", 2: "200 octet/h", 3: "500 octet/h", 4: "1 000 octet/h", 5: "2 000 octet/h", 6: "5 000 octet/h", 7: "10 000 octet/h",
		8: "20 000 octet/h", 9: "50 000 octet/h", 10: "100 000 octet/h", 11: "200 000 octet/h", 12: "500 000 octet/h", 13: "1 000 000 octet/h",
		14: "2 000 000 octet/h", 15: "5 000 000 octet/h", 16: "10 000 000 octet/h", 17: "20 000 000 octet/h", 18: "50 000 000 octet/h", 31: "best effort"}},
	{"Traffic class", 24, 3, []string{1: "conversational class", 2: "streaming class", 3: "interactive class", 4: "background class"}},
	{"Delivery order", 27, 2, []string{1: "with delivery order", 2: "without delivery order"}},
	{"Delivery of erroneous SDUs", 29, 3, []string{1: "no detect", 2: "erroneous SDUs are delivered", 3: "erroneous SDUs are not delivered"}},
}

var qos3GFieldsAfterRates = []bitField{
	{"Residual BER", 56, 4, []string{1: "5*10^-2", 2: "1*10^-2", 3: "5*10^-3", 4: "4*10^-3", 5: "1*10^-3", 6: "1*10^-4", 7: "1*10^-5", 8: "1*10^-6", 9: "6*10^-8"}},
	{"SDU error ratio", 60, 4, []string{1: "1*10^-2", 2: "7*10^-3", 3: "1*10^-3", 4: "1*10^-4", 5: "1*10^-5", 6: "1*10^-6", 7: "1*10^-1"}},
}

var qos3GFieldsAtEnd = []bitField{
	{"Traffic handling priority", 70, 2, []string{1: "priority level 1", 2: "priority level 2", 3: "priority level 3"}},
	{"Signalling indication", 91, 1, nil},
	{"Source statistics description", 92, 4, []string{"unknown", "speech"}},
}

// A QoS3GRate tells which of the four rates of a QoS3G.
type QoS3GRate uint8

// The rates of a QoS3G.
const (
	QoS3GMaxUL QoS3GRate = iota
	QoS3GMaxDL
	QoS3GGuaranteedUL
	QoS3GGuaranteedDL
)

// Rate gives a bit rate; zero is the subscribed one, or none.
func (v QoS3G) Rate(r QoS3GRate) id.BitRate {
	at := [...][3]int{{5, 14, 18}, {6, 12, 16}, {9, 15, 19}, {10, 13, 17}}[r&3]
	get := func(i int) byte {
		if i < len(v) {
			return v[i]
		}
		return 0
	}
	switch {
	case get(at[2]) != 0:
		return qosExtended2(get(at[2]))
	case get(at[1]) != 0:
		return extendedRate(get(at[1]))
	}
	return baseRate(get(at[0]))
}

func (v QoS3G) node(name string) tree.Node {
	n := bitNodes(name, v, qos3GFields)
	if len(v) < 11 {
		return n
	}
	n.Nodes = append(n.Nodes, tree.Leaf("Maximum SDU size", sduSize(v[4])),
		tree.Leaf("Maximum bit rate for uplink", v.Rate(QoS3GMaxUL)), tree.Leaf("Maximum bit rate for downlink", v.Rate(QoS3GMaxDL)))
	n.Nodes = append(n.Nodes, bitNodes("", v, qos3GFieldsAfterRates).Nodes...)
	n.Nodes = append(n.Nodes, tree.Leaf("Transfer delay", transferDelay(v[8]>>2)),
		tree.Leaf("Guaranteed bit rate for uplink", v.Rate(QoS3GGuaranteedUL)), tree.Leaf("Guaranteed bit rate for downlink", v.Rate(QoS3GGuaranteedDL)))
	n.Nodes = append(n.Nodes, bitNodes("", v, qos3GFieldsAtEnd).Nodes...)
	return n
}

func sduSize(b byte) string {
	switch {
	case b >= 1 && b <= 150:
		return fmt.Sprintf("%d octets", int(b)*10)
	case b >= 151 && b <= 153:
		return [...]string{"1502 octets", "1510 octets", "1520 octets"}[b-151]
	}
	return fmt.Sprintf("#%d", b)
}

func transferDelay(b byte) string {
	n := int(b)
	switch {
	case n >= 1 && n <= 15:
		return fmt.Sprintf("%d ms", n*10)
	case n >= 16 && n <= 31:
		return fmt.Sprintf("%d ms", 200+(n-16)*50)
	case n >= 32 && n <= 62:
		return fmt.Sprintf("%d ms", 1000+(n-32)*100)
	}
	return fmt.Sprintf("#%d", n)
}

// NewTransactionID gives the identifier of a PDP context, 0 to 126; responder
// says that the other side chose it (TS 24.007 §11.2.3.1.3).
func NewTransactionID(n uint8, responder bool) TransactionID {
	flag := byte(0)
	if responder {
		flag = 0x80
	}
	if n < 7 {
		return TransactionID{flag | n<<4}
	}
	return TransactionID{flag | 0x70, 0x80 | n&0x7f}
}

// Value is the identifier.
func (v TransactionID) Value() uint8 {
	if len(v) == 0 {
		return 0
	}
	if n := v[0] >> 4 & 7; n < 7 || len(v) < 2 {
		return n
	}
	return v[1] & 0x7f
}

// Responder is the TI flag.
func (v TransactionID) Responder() bool { return len(v) > 0 && v[0]&0x80 != 0 }

func (v TransactionID) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("TI flag", v.Responder()), tree.Leaf("TI value", v.Value()))
}
