package decode

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"campanile.network/3gpp/tree"
	"campanile.network/decode/capture"
	"campanile.network/decode/observer"
)

const (
	maxLine = 1 << 20 // octets of a line of text
	maxRaw  = 1 << 20 // of a message that is an input of its own
)

// run is the decoding of one input.
type run struct {
	o       Options
	p       *printer
	track   *tracker
	network capture.Network
	sctp    *capture.Associations
	others  map[uint32]int // messages in SCTP that are not S1AP, by payload protocol
	foreign int            // frames, not of a capture, of other protocols
}

// Run decodes one input to w. What r holds is seen from its beginning: a
// capture, text, or with Input raw one message. The error is a *Malformed when
// all was shown and some of it was broken, or says where reading ended.
func (d *Decoder) Run(ctx context.Context, r io.Reader, w io.Writer) error {
	x := &run{o: d.o, sctp: capture.NewAssociations(), others: map[uint32]int{}, track: newTracker(observer.New(d.o.Keys))}
	x.p = &printer{w: bufio.NewWriter(w), format: d.o.Format, view: tree.View{Mask: d.o.Mask}}
	in := bufio.NewReader(r)
	err := x.read(ctx, in)
	x.notes()
	if e := x.p.w.Flush(); e != nil && err == nil {
		err = e
	}
	if err == nil && x.p.broken > 0 {
		err = &Malformed{x.p.broken, x.p.shown}
	}
	return err
}

func (x *run) read(ctx context.Context, in *bufio.Reader) error {
	head, err := in.Peek(512)
	if len(head) == 0 {
		return fmt.Errorf("%w: nothing to read", errInput)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case x.o.Input == "raw":
		return x.raw(in)
	case x.o.Input == "pcap" || x.o.Input == "auto" && capture.Is(head):
		return x.capture(ctx, in)
	case x.o.Input == "auto" && !isText(head):
		return fmt.Errorf("%w: neither a capture nor text; --input raw takes all of it as one message", errInput)
	}
	return x.text(ctx, in)
}

func (x *run) raw(in *bufio.Reader) error {
	b, err := io.ReadAll(io.LimitReader(in, maxRaw+1))
	if err != nil {
		return err
	}
	if len(b) > maxRaw {
		return fmt.Errorf("%w: more than %d octets are no message", errInput, maxRaw)
	}
	x.alone(&message{took: "raw"}, b)
	return x.p.err
}

func (x *run) flush() {
	if err := x.p.w.Flush(); err != nil && x.p.err == nil {
		x.p.err = err
	}
}

// alone shows octets that came without a network around them. m says where
// from.
func (x *run) alone(m *message, b []byte) {
	as := x.o.As
	if as == "auto" {
		var err error
		if as, err = recognise(b); err != nil && isOther(b) {
			x.foreign++
			return
		} else if err != nil {
			m.protocol, m.err = "unknown", err
			m.body = []tree.Node{octetsNode("octets", b)}
			x.show(m)
			return
		}
	}
	x.take(as, m, b, 0)
}

// take decodes octets of a kind and shows what they are. cut is how many the
// capture left out behind them.
func (x *run) take(as string, m *message, b []byte, cut int) {
	switch as {
	case "s1ap":
		if cut > 0 && len(b) < 1<<14 {
			b = shortened(b)
		}
		x.s1ap(m, b)
	case "nas", "nas-up", "nas-down":
		x.nas(m, as, b)
	case "gtpv2":
		x.gtpv2(m, b)
		return
	case "gtpu":
		x.gtpu(m, b, cut)
		return // what is cut is the user's
	case "sms", "sms-up", "sms-down":
		x.sms(m, as, b)
	case "sctp":
		x.sctpPacket(m, capture.Datagram{Protocol: capture.SCTP, Payload: b, Cut: cut})
		return
	case "ip", "ethernet":
		link := capture.LinkRaw
		if as == "ethernet" {
			link = capture.LinkEthernet
		}
		if d, ok := x.network.Open(capture.Packet{Link: link, Data: b, Length: len(b) + cut}); ok {
			x.datagram(m, d)
			return
		}
		m.protocol, m.err = "IP", errors.New("no UDP and no SCTP in it")
	}
	if cut > 0 {
		m.err = fmt.Errorf("the capture left %d of %d octets out", cut, len(b)+cut)
	}
	x.show(m)
}

// show prints a message that is wanted.
func (x *run) show(m *message) {
	if x.o.Frame > 0 && (m.from == nil || m.from.frame != x.o.Frame) && m.line != x.o.Frame {
		return
	}
	if len(x.o.Only) > 0 && !slices.ContainsFunc(x.o.Only, m.has) {
		return
	}
	if x.o.UE != nil && (m.ue == nil || !m.ue.is(*x.o.UE)) {
		return
	}
	x.p.print(m)
}

// has reports whether m is a message of a protocol, or has one in it.
func (m *message) has(protocol string) bool {
	return protocolNames[protocol] == m.protocol || protocol == "nas" && m.nas || protocol == "sms" && m.sms
}

// protocolNames are the names messages carry.
var protocolNames = map[string]string{"s1ap": "S1AP", "nas": "NAS", "gtpv2": "GTPv2-C", "gtpu": "GTP-U", "sms": "SMS", "sctp": "SCTP"}

// octetsNode is octets that may name a subscriber.
func octetsNode(name string, b []byte) tree.Node {
	return tree.Node{Name: name, Value: b, Masked: fmt.Sprintf("%d octets", len(b))}
}

// Open opens what an argument of the command line names: a file, "-" for
// standard input, or the octets themselves as hex or base64. base64, which any
// word is, has to be a message that is recognised.
func Open(arg string, stdin io.Reader) (io.ReadCloser, error) {
	if arg == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(arg)
	if err == nil {
		if info, err := f.Stat(); err == nil && info.IsDir() {
			f.Close()
			return nil, fmt.Errorf("%s: a directory, not a file", arg)
		}
		return f, nil
	}
	if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENAMETOOLONG) {
		return nil, err
	}
	b, took, e := octets(arg, "auto")
	if e == nil && took == "base64" {
		_, e = recognise(b)
	}
	if e != nil {
		return nil, fmt.Errorf("%s: no such file, and no message in hexadecimal digits or base64", brief(arg))
	}
	return io.NopCloser(strings.NewReader(arg)), nil
}

func brief(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
