// Package decode shows recorded signalling to people and programs: S1AP, NAS,
// GTPv2-C, GTP-U and SMS out of captures or digits, as a tree or as JSON with
// the specifications' names, deciphered where keys are at hand.
//
// It decides nothing about a network and plays no part in one: it reads, and a
// message it shows wrongly harms nobody but its reader. So it never guesses in
// silence: what octets were taken for is said, and octets that fit nothing or
// several things are an error.
package decode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"campanile.network/decode/observer"
)

// Format is how messages are written.
type Format uint8

// Formats.
const (
	Text    Format = iota // a header line and a tree for each message
	JSON                  // one object for each message, each on a line of its own
	Summary               // one line for each message
)

// Inputs and kinds of octets that Options name.
var (
	inputs    = []string{"auto", "hex", "base64", "pcap", "raw"}
	kinds     = []string{"auto", "s1ap", "nas", "nas-up", "nas-down", "gtpv2", "gtpu", "sms", "sms-up", "sms-down", "sctp", "ip", "ethernet"}
	protocols = []string{"s1ap", "nas", "gtpv2", "gtpu", "sms", "sctp"}
)

// Options say what is read and what is shown of it.
type Options struct {
	Format Format
	Mask   bool   // hide identities and keys
	Input  string // auto, hex, base64, pcap or raw; empty is auto
	// As is what octets without a network around them are: auto, s1ap, nas,
	// nas-up, nas-down, gtpv2, gtpu, sms, sms-up, sms-down, sctp, ip or ethernet;
	// empty is auto.
	As string

	Only      []string // protocols to show: s1ap, nas, gtpv2, gtpu, sms, sctp; also where S1AP or NAS carries them; empty is all
	Frame     int      // the only frame to show; 0 is all
	UE        *uint32  // show only S1AP of UEs with this id, the MME's or the eNB's
	SCTPPorts []uint16 // UDP ports of SCTP besides 9899

	Keys observer.Options
	// Note is told what people should know besides the messages; it may be nil.
	Note func(string)
}

// Decoder shows inputs.
type Decoder struct{ o Options }

// New checks the options. The error names the one that is wrong.
func New(o Options) (*Decoder, error) {
	if o.Input == "" {
		o.Input = "auto"
	}
	if o.As == "" {
		o.As = "auto"
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if err := oneOf("input", o.Input, inputs); err != nil {
		return nil, err
	}
	if err := oneOf("as", o.As, kinds); err != nil {
		return nil, err
	}
	for _, p := range o.Only {
		if err := oneOf("only", p, protocols); err != nil {
			return nil, err
		}
	}
	if o.Frame < 0 {
		return nil, fmt.Errorf("--frame %d: frames count from 1", o.Frame)
	}
	return &Decoder{o}, nil
}

func oneOf(flag, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("--%s %q: want one of %s", flag, value, strings.Join(known, ", "))
}

// errInput is an input that cannot be read any further.
var errInput = errors.New("decode")

// Malformed says that all could be shown, and that some of it was broken.
type Malformed struct{ Broken, Messages int }

func (e *Malformed) Error() string {
	return fmt.Sprintf("%d of %d messages malformed", e.Broken, e.Messages)
}
