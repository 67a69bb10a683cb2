package sms

import "fmt"

// PID is TP-Protocol-Identifier (TS 23.040 §9.2.3.9).
type PID uint8

// Identifiers that services use. Zero is a plain short message.
const (
	PIDDefault      PID = 0x00
	PIDTelefax3     PID = 0x22 // to be converted to group 3 telefax
	PIDVoice        PID = 0x24 // to be converted to speech
	PIDEmail        PID = 0x32
	PIDType0        PID = 0x40 // acknowledged, neither shown nor stored
	PIDReplace1     PID = 0x41 // to PIDReplace7: replaces the one of the same type and sender
	PIDReplace7     PID = 0x47
	PIDDeviceTrig   PID = 0x48
	PIDReturnCall   PID = 0x5f
	PIDANSI136      PID = 0x7c
	PIDMEDownload   PID = 0x7d
	PIDMEDeperso    PID = 0x7e
	PIDUSIMDownload PID = 0x7f
)

var telematic = [32]string{
	0: "implicit device type", 1: "telex", 2: "group 3 telefax", 3: "group 4 telefax", 4: "voice telephone", 5: "ERMES",
	6: "national paging system", 7: "Videotex", 8: "teletex, carrier unspecified", 9: "teletex in PSPDN", 10: "teletex in CSPDN",
	11: "teletex in analog PSTN", 12: "teletex in digital ISDN", 13: "UCI", 16: "message handling facility",
	17: "public X.400 message handling system", 18: "Internet electronic mail", 24: "SC specific 1", 25: "SC specific 2",
	26: "SC specific 3", 27: "SC specific 4", 28: "SC specific 5", 29: "SC specific 6", 30: "SC specific 7", 31: "GSM/UMTS mobile station",
}

var services = map[PID]string{
	PIDType0: "Short Message Type 0", PIDDeviceTrig: "Device Triggering Short Message",
	0x5e: "Enhanced Message Service (obsolete)", PIDReturnCall: "Return Call Message", PIDANSI136: "ANSI-136 R-DATA",
	PIDMEDownload: "ME Data download", PIDMEDeperso: "ME De-personalization Short Message", PIDUSIMDownload: "(U)SIM Data download",
}

// Replaces gives the type, 1 to 7, of a message that replaces the stored one
// of the same type and originating address (TS 23.040 §9.2.3.9).
func (p PID) Replaces() (int, bool) {
	if p < PIDReplace1 || p > PIDReplace7 {
		return 0, false
	}
	return int(p - PIDType0), true
}

// String is the meaning and the octet.
func (p PID) String() string {
	s := "reserved"
	switch {
	case p>>5 == 0:
		s = "SME-to-SME protocol"
		if p == PIDDefault {
			s = "no telematic interworking"
		}
	case p>>5 == 1:
		s = "telematic interworking: "
		if name := telematic[p&31]; name != "" {
			s += name
		} else {
			s += "reserved"
		}
	case p>>6 == 1:
		if n, ok := p.Replaces(); ok {
			s = fmt.Sprintf("Replace Short Message Type %d", n)
		} else if name := services[p]; name != "" {
			s = name
		}
	case p>>6 == 3:
		s = "SC specific use"
	}
	return fmt.Sprintf("%s (0x%02x)", s, uint8(p))
}
