package decode

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"campanile.network/decode/capture"
)

// Ports and payload protocol identifiers by which messages are known.
const (
	portS1AP = 36412
	ppidS1AP = 18 // TS 36.412 §7
	portSCTP = 9899
	portGTPC = 2123
	portGTPU = 2152
	linkS1AP = 150 // user link types that srsRAN writes S1AP and NAS with
	linkNAS  = 148
)

// capture shows the messages in a capture.
func (x *run) capture(ctx context.Context, in *bufio.Reader) error {
	c, err := capture.NewReader(in)
	if err != nil {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	frames := 0
	for ctx.Err() == nil && x.p.err == nil {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errInput, err)
		}
		frames++
		if d, ok := x.network.Open(p); ok {
			m := &message{from: &origin{frame: p.Number, time: p.Time, src: d.Src, dst: d.Dst}}
			if d.Protocol == 0 {
				x.exported(m, p, d)
			} else {
				x.datagram(m, d)
			}
		}
		if c.Waiting() {
			x.flush()
		}
	}
	if x.p.shown == 0 && ctx.Err() == nil {
		x.o.Note(fmt.Sprintf("nothing to show among %d frames", frames))
	}
	return errors.Join(ctx.Err(), x.p.err)
}

// datagram shows the messages in a UDP datagram or an SCTP packet.
func (x *run) datagram(m *message, d capture.Datagram) {
	if m.from == nil {
		m.from = &origin{src: d.Src, dst: d.Dst}
	}
	port := func(p uint16) bool { return d.Src.Port() == p || d.Dst.Port() == p }
	switch {
	case d.Protocol == capture.SCTP, port(portSCTP), slices.ContainsFunc(x.o.SCTPPorts, port):
		x.sctpPacket(m, d)
	case port(portGTPU):
		x.take("gtpu", m, d.Payload, d.Cut)
	case port(portGTPC):
		x.take("gtpv2", m, d.Payload, d.Cut)
	case d.Cut == 0 && capture.IsSCTP(d.Payload):
		x.sctpPacket(m, d)
	}
}

// sctpPacket shows the S1AP messages that an SCTP packet completes.
func (x *run) sctpPacket(m *message, d capture.Datagram) {
	all, err := x.sctp.Packet(d.Src.Addr(), d.Dst.Addr(), d.Payload, d.Cut)
	for _, u := range all {
		if u.PPID != ppidS1AP && (u.PPID != 0 || u.Src.Port() != portS1AP && u.Dst.Port() != portS1AP) {
			x.others[min(u.PPID, maxPPID)]++
			continue
		}
		o := origin{src: u.Src, dst: u.Dst, sctp: true, stream: u.Stream, ppid: u.PPID}
		if m.from != nil {
			o.frame, o.time = m.from.frame, m.from.time
		}
		x.track.at(u.Association, u.Src, u.Dst)
		x.take("s1ap", &message{from: &o, line: m.line, took: m.took}, u.Data, u.Cut)
	}
	if err != nil {
		m.protocol, m.err = "SCTP", err
		x.show(m)
	}
}

// exported shows a message that was recorded without a network: with its
// protocol's name, under a user link type, or as the options say.
func (x *run) exported(m *message, p capture.Packet, d capture.Datagram) {
	as := x.o.As
	if as == "auto" {
		switch name := strings.ToLower(d.Name); {
		case strings.HasPrefix(name, "s1ap"), p.Link == linkS1AP && isS1AP(d.Payload):
			as = "s1ap"
		case strings.HasPrefix(name, "nas-eps"), p.Link == linkNAS && isNAS(d.Payload):
			as = "nas"
		case name == "gtpv2":
			as = "gtpv2"
		case name == "gtp":
			as = "gtpu"
		case name == "sctp":
			as = "sctp"
		case name == "ip":
			as = "ip"
		case name != "":
			return // of another trade
		}
	}
	if as == "auto" {
		x.alone(m, d.Payload)
		return
	}
	x.take(as, m, d.Payload, d.Cut)
}

// maxPPID bounds the payload protocols that are told apart.
const maxPPID = 255

// ppidNames are payload protocols of SCTP that people may be looking for.
var ppidNames = map[uint32]string{0: "no payload protocol", 2: "M2UA", 3: "M3UA", 5: "M2PA", 20: "RANAP RNA", 27: "X2AP", 43: "SBc-AP", 46: "Diameter",
	47: "Diameter in DTLS", 48: "3GPP M2AP", 49: "3GPP M3AP", 60: "NGAP", 61: "XnAP", 62: "F1AP", 64: "E1AP", 66: "NGAP in DTLS", maxPPID: "others"}

// otherSCTP says what else SCTP carried, by payload protocol.
func (x *run) otherSCTP() string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(x.others)) {
		name := ppidNames[p]
		if name == "" {
			name = fmt.Sprintf("payload protocol %d", p)
		}
		all = append(all, fmt.Sprintf("%d of %s", x.others[p], name))
	}
	return strings.Join(all, ", ")
}

// notes tells at the end what was not shown.
func (x *run) notes() {
	if x.foreign > 0 {
		x.o.Note(fmt.Sprintf("Ethernet frames of neither UDP nor SCTP are not shown: %d", x.foreign))
	}
	if len(x.others) > 0 {
		x.o.Note("SCTP messages that are not S1AP are not shown: " + x.otherSCTP())
	}
	if n := x.sctp.Duplicates; n > 0 {
		x.o.Note(fmt.Sprintf("%d SCTP chunks were sent again and are shown once", n))
	}
	if n := x.sctp.Incomplete + x.sctp.Waiting(); n > 0 {
		x.o.Note(fmt.Sprintf("%d SCTP fragments belong to messages of which a part is missing", n))
	}
	if x.p.shown > 0 && x.track.hidden > 0 {
		why := "--keys or --kasme deciphers them"
		if x.track.watch.Keys() {
			why = "no key given fits them, or their beginning is missing"
		}
		x.o.Note(fmt.Sprintf("NAS messages that stay ciphered: %d (%s)", x.track.hidden, why))
	}
}
