package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/decode"
	"campanile.network/decode/observer"
)

const decodeHelp = `Show recorded signalling: S1AP (in SCTP, also in UDP), NAS, GTPv2-C, GTP-U and
SMS, with the specifications' names, NAS deciphered where keys are at hand.

Read are pcap and pcapng (also gzipped; live from a pipe), or text: each line a
message in hexadecimal digits or base64, hex dumps with offsets (tshark -x, xxd,
hexdump -C), C arrays, a modem's list of short messages (AT+CMGL in PDU mode).
FILE is a file, "-" or nothing is standard input, and an argument that is no
file is the message itself. Digits that can be both are hexadecimal. What octets
without a network around them are is recognised when they are a whole message of
one kind only, and said; otherwise --as says it. Times are UTC.

Keys are in a TOML file:

  [[subscriber]]
  imsi = "001010123456780"                  # may be left out
  k    = "00112233445566778899aabbccddeeff"
  opc  = "63bfa50ee6523365ff14c1f45f88737d" # or op; a test USIM that does
                                            # XOR has algorithm = "xor" instead

  [[session]]
  kasme = "..."                             # 64 digits

With K, challenge and serving network in the conversation give K_ASME; a key is
believed when a code verifies under it. A conversation may begin in its middle:
--kasme is tried with all algorithms and counts, unless --eia, --eea and --count
say them.

Messages go to standard output, what else is to be said to standard error. Exit
status: 0 all was read, 1 something was malformed (it is shown, with what is
wrong) or the input is damaged (what is before the damage is shown), 2 usage.`

const decodeExamples = `  campanile decode attach.pcapng --keys sims.toml
  campanile decode -s attach.pcapng                  # a line for each message
  tcpdump -w - sctp | campanile decode -s            # live
  campanile decode 0741720bf600f110000201030003e605f07000001000050215d011d15200f11030395c0a003103e5e0349011035758a65d0100e0c1
  campanile decode 07914151551512f2040b916105551511f100006060605130308a04d4f29c0e
  tshark -r a.pcap -Y 'frame.number == 12' -x | campanile decode
  campanile decode --json a.pcap | jq 'select(.procedureCode == 12).ies["NAS-PDU"].message'
  campanile decode --mask a.pcap > for-the-bug-report.txt`

// decodeFlags are those of campanile decode.
type decodeFlags struct {
	o          decode.Options
	summary    bool
	keys, plmn string
	kasme      []string
	ue, count  int64
	eea, eia   int
	sctpPort   []uint
}

func decodeCommand(g *globals) *cobra.Command {
	f := decodeFlags{}
	c := &cobra.Command{
		Use: "decode [FILE | HEX | BASE64 | -]...", GroupID: "run",
		Short: "Show what captures and digits hold: S1AP, NAS, GTP, SMS",
		Long:  decodeHelp, Example: decodeExamples,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, g, args) },
	}
	p := c.Flags()
	p.BoolVarP(&f.summary, "summary", "s", false, "one line for each message")
	p.BoolVar(&f.o.Mask, "mask", false, "hide identities and keys")
	p.StringVar(&f.o.Input, "input", "auto", "auto, hex, base64, pcap, or raw (all of it is one message)")
	p.StringVar(&f.o.As, "as", "auto", "what messages without a network are: s1ap, nas, nas-up, nas-down, gtpv2, gtpu, sms, sms-up, sms-down, sctp, ip, ethernet")
	p.StringSliceVar(&f.o.Only, "only", nil, "show only what is or carries: s1ap, nas, gtpv2, gtpu, sms, sctp")
	p.IntVar(&f.o.Frame, "frame", 0, "show only this frame or line")
	p.Int64Var(&f.ue, "ue", -1, "show only S1AP with this MME-UE-S1AP-ID or eNB-UE-S1AP-ID")
	p.UintSliceVar(&f.sctpPort, "sctp-port", nil, "UDP ports of SCTP besides 9899 (others are known by SCTP's checksum)")
	p.StringVar(&f.keys, "keys", "", "file of keys")
	p.StringArrayVar(&f.kasme, "kasme", nil, "K_ASME, 64 hexadecimal digits")
	p.StringVar(&f.plmn, "plmn", "", "serving network, where the conversation does not tell")
	p.IntVar(&f.eea, "eea", -1, "ciphering algorithm with --kasme, 0 to 3")
	p.IntVar(&f.eia, "eia", -1, "integrity algorithm with --kasme, 1 to 3")
	p.Int64Var(&f.count, "count", 0, "lowest NAS COUNT to expect with --kasme")
	return c
}

func (f *decodeFlags) run(c *cobra.Command, g *globals, args []string) error {
	note := func(s string) { fmt.Fprintln(c.ErrOrStderr(), "campanile:", s) }
	if err := f.options(g, note); err != nil {
		return err
	}
	d, err := decode.New(f.o)
	if err != nil {
		return &usageError{err: err}
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	var all []error
	for _, arg := range args {
		in, err := decode.Open(arg, c.InOrStdin())
		if err != nil {
			return &usageError{err: err, known: true}
		}
		if err := d.Run(c.Context(), in, c.OutOrStdout()); err != nil {
			if len(args) > 1 {
				err = fmt.Errorf("%s: %w", arg, err)
			}
			all = append(all, err)
		}
		if err := in.Close(); err != nil {
			all = append(all, err)
		}
	}
	return oneLine(all)
}

// oneLine joins errors on one line.
func oneLine(all []error) error {
	if len(all) < 2 {
		return errors.Join(all...)
	}
	var s []string
	for _, err := range all {
		s = append(s, err.Error())
	}
	return errors.New(strings.Join(s, "; "))
}

// options are what the flags say, keys read.
func (f *decodeFlags) options(g *globals, note func(string)) (err error) {
	f.o.Note = note
	switch {
	case g.json:
		f.o.Format = decode.JSON
	case f.summary:
		f.o.Format = decode.Summary
	}
	if f.ue >= 0 && f.ue < 1<<32 {
		f.o.UE = new(uint32(f.ue))
	}
	for _, p := range f.sctpPort {
		f.o.SCTPPorts = append(f.o.SCTPPorts, uint16(p))
	}
	k := &f.o.Keys
	if f.keys != "" {
		warning, err := k.ReadKeys(f.keys)
		if warning != "" {
			note(warning)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range f.kasme {
		key, err := observer.ParseKASME(s)
		if err != nil {
			return &usageError{err: fmt.Errorf("--kasme: %w", err)}
		}
		k.KASME = append(k.KASME, key)
	}
	if f.plmn != "" {
		if k.PLMN, err = id.ParsePLMN(f.plmn); err != nil {
			return &usageError{err: fmt.Errorf("--plmn: %w", err)}
		}
	}
	if f.eea > 3 || f.eia > 3 || f.eia == 0 || f.count < 0 || f.count > int64(nassec.MaxCount) || f.ue > 1<<32-1 {
		return &usageError{err: errors.New("--eea is 0 to 3, --eia 1 to 3, --count 0 to 16777215, --ue 32 bits")}
	}
	if f.eea >= 0 {
		k.EEA = new(nassec.EEA(f.eea))
	}
	if f.eia >= 0 {
		k.EIA = new(nassec.EIA(f.eia))
	}
	k.UL, k.DL = nassec.Count(f.count), nassec.Count(f.count)
	return nil
}
