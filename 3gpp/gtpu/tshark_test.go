package gtpu_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/internal/tshark"
)

// exception is a complaint of tshark 4.0 about a right message.
type exception struct {
	messages []gtpu.Type
	says     string // part of its expert message; "" says that it reads nothing
	why      string
}

func exceptions() []exception {
	return []exception{
		{[]gtpu.Type{gtpu.EchoResponse, gtpu.ErrorIndication}, "Unknown extension header", "it does not know Recovery Time Stamp (TS 29.281 §8.8), and stops there"},
		{[]gtpu.Type{gtpu.TunnelStatus}, "", "it does not know the message (TS 29.281 §7.3.3, Release 16)"},
	}
}

// tsharkReads shows tshark random messages of all types and wants the values it
// finds to be the right ones. It counts what tshark reads. An exception that is
// never needed is an error.
func tsharkReads(t *testing.T) map[gtpu.Type]int {
	t.Helper()
	var sent []gtpu.Message
	var datagrams [][]byte
	for _, typ := range messageTypes() {
		r := newMaker(t, typ)
		for range each {
			m := r.message(typ)
			b, err := m.Append(nil)
			r.ok(err)
			sent, datagrams = append(sent, m), append(datagrams, b)
		}
	}
	rows := tshark.Fields(t, tshark.Frames("gtp", datagrams), append([]string{"_ws.expert.message"}, fields()...))
	read, needed := make(map[gtpu.Type]int), make(map[gtpu.Type]bool)
	for i, m := range sent {
		got := rows[i]
		e := excused(m.Type, got[0], strings.Join(got, "") == "")
		if e >= 0 {
			needed[m.Type] = true
			if exceptions()[e].says == "" {
				continue
			}
		} else if got[0] != "" {
			t.Errorf("%v: tshark says %q of %x", m.Type, got[0], datagrams[i])
		}
		for f, want := range expected(m) {
			if got[1+f] != want {
				t.Errorf("%v: tshark reads %s as %q, want %q: %x", m.Type, fields()[f], got[1+f], want, datagrams[i])
			}
		}
		read[m.Type]++
	}
	for _, e := range exceptions() {
		for _, typ := range e.messages {
			if !needed[typ] {
				t.Errorf("%v: tshark never says %q", typ, e.says)
			}
		}
	}
	return read
}

// excused gives the exception for what tshark says, or for its silence; -1 if
// there is none.
func excused(typ gtpu.Type, says string, silent bool) int {
	for i, e := range exceptions() {
		if slices.Contains(e.messages, typ) && (e.says == "") == silent && strings.Contains(says, e.says) {
			return i
		}
	}
	return -1
}

func fields() []string {
	return []string{"gtp.message", "gtp.teid", "gtp.flags.s", "gtp.flags.pn", "gtp.seq_number", "gtp.npdu_number", "gtp.ext_hdr.next",
		"gtp.ext_hdr.udp_port", "gtp.ext_hdr.pdcp_sn", "gtp.ext_hdr.long_pdcp_sn", "gtp.ext_hdr.pdu_ses_con.qos_flow_id",
		"gtp.recovery", "gtp.teid_data", "gtp.gsn_ipv4", "gtp.gsn_ipv6", "gtp.ext_id"}
}

// expected gives the fields as tshark prints them.
func expected(m gtpu.Message) []string {
	v := map[string]string{
		"gtp.message": fmt.Sprintf("0x%02x", uint8(m.Type)), "gtp.teid": fmt.Sprintf("0x%08x", uint32(m.TEID)),
		"gtp.flags.s": flag(m.HasSequence), "gtp.flags.pn": flag(m.HasNPDU),
	}
	add := func(name, value string) {
		if v[name] != "" {
			value = v[name] + tshark.Separator + value
		}
		v[name] = value
	}
	if m.HasSequence {
		add("gtp.seq_number", fmt.Sprintf("0x%04x", m.Sequence))
	}
	if m.HasNPDU {
		add("gtp.npdu_number", fmt.Sprintf("0x%02x", m.NPDU))
	}
	for t, content := range m.Extensions {
		add("gtp.ext_hdr.next", fmt.Sprintf("0x%02x", uint8(t)))
		n, _ := t.Number(content)
		switch t {
		case gtpu.UDPPort:
			add("gtp.ext_hdr.udp_port", strconv.Itoa(int(n)))
		case gtpu.PDCPNumber:
			add("gtp.ext_hdr.pdcp_sn", strconv.Itoa(int(n)))
		case gtpu.LongPDCPNumber: // of the optional one it reads the type alone
			add("gtp.ext_hdr.long_pdcp_sn", strconv.Itoa(int(n)))
		case gtpu.PDUSessionContainer:
			add("gtp.ext_hdr.pdu_ses_con.qos_flow_id", strconv.Itoa(int(content[1]&0x3f)))
		}
	}
	if v["gtp.ext_hdr.next"] != "" {
		add("gtp.ext_hdr.next", "0x00")
	}
	if m.Type != gtpu.GPDU {
		expectedElements(m, add)
	}
	var list []string
	for _, f := range fields() {
		list = append(list, v[f])
	}
	return list
}

// expectedElements ends where tshark does: at an element that it does not know.
func expectedElements(m gtpu.Message, add func(name, value string)) {
	for t := range m.Elements {
		switch t {
		case gtpu.ElementRecovery:
			n, _ := m.Recovery()
			add("gtp.recovery", strconv.Itoa(int(n)))
		case gtpu.ElementTEID:
			teid, _ := m.DataTEID()
			add("gtp.teid_data", fmt.Sprintf("0x%08x", uint32(teid)))
		case gtpu.ElementPeer:
			if peer, _ := m.Peer(); peer.Is4() {
				add("gtp.gsn_ipv4", peer.String())
			} else {
				add("gtp.gsn_ipv6", peer.String())
			}
		case gtpu.ElementPrivate:
			who, _, _ := m.Private()
			add("gtp.ext_id", strconv.Itoa(int(who)))
		case gtpu.ElementRecoveryTime, gtpu.ElementTunnelStatus:
			return
		}
	}
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}
