package gtpc_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// TestElementsAgreeWithTheCodec compares our element builders with go-gtp's,
// octet for octet: two readings of TS 29.274 §8.
func TestElementsAgreeWithTheCodec(t *testing.T) {
	imsi, _ := id.ParseIMSI("001010123456789")
	short, _ := id.ParseIMSI("00101012345678")
	msisdn, _ := id.ParseMSISDN("491701234567")
	imei, _ := id.ParseIMEI("3534900698733190")
	apn, _ := id.ParseAPN("ims.example")
	plmn, _ := id.ParsePLMN("310410")
	two, _ := id.ParsePLMN("00101")
	a := netip.MustParseAddr("192.0.2.7")
	for name, pair := range map[string][2]*ie.IE{
		"IMSI":            {gtpc.IMSIIE(imsi), ie.NewIMSI("001010123456789")},
		"IMSI of 14":      {gtpc.IMSIIE(short), ie.NewIMSI("00101012345678")},
		"MSISDN":          {gtpc.MSISDNIE(msisdn), ie.NewMSISDN("491701234567")},
		"MEI":             {gtpc.MEI(imei), ie.NewMobileEquipmentIdentity("3534900698733190")},
		"APN":             {gtpc.APNIE(apn), ie.NewAccessPointName("ims.example")},
		"AMBR":            {gtpc.AMBR{UL: 50 * id.Mbps, DL: 100*id.Mbps - 1}.IE(), ie.NewAggregateMaximumBitRate(50_000, 100_000)},
		"F-TEID":          {gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: 0xdeadbeef, Addr: a}.IE(2), ie.NewFullyQualifiedTEID(10, 0xdeadbeef, "192.0.2.7", "").WithInstance(2)},
		"PAA":             {gtpc.PAA(a), ie.NewPDNAddressAllocation("192.0.2.7")},
		"QoS":             {gtpc.QoS{ARP: gtpc.ARP{Level: 8, Preemptable: true}, QCI: 9, MBRUL: 5 * id.Gbps}.IE(), ie.NewBearerQoS(1, 8, 0, 9, 5_000_000, 0, 0, 0)},
		"Serving Network": {gtpc.ServingNetwork(plmn), ie.NewServingNetwork("310", "410")},
		"ULI":             {gtpc.ULI(id.TAI{PLMN: two, TAC: 7}, id.ECGI{PLMN: two, ECI: 0x19b01}), ie.NewUserLocationInformationStruct(nil, nil, nil, ie.NewTAI("001", "01", 7), ie.NewECGI("001", "01", 0x19b01), nil, nil, nil)},
		"EBI":             {gtpc.EBI(5), ie.NewEPSBearerID(5)},
		"Charging ID":     {gtpc.ChargingID(77), ie.NewChargingID(77)},
	} {
		x, err := pair[0].Marshal()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if y, err := pair[1].Marshal(); err != nil || string(x) != string(y) {
			t.Errorf("%s: %x, codec says %x (%v)", name, x, y, err)
		}
	}
}

func TestElementsComeBack(t *testing.T) {
	f := gtpc.FTEID{Interface: gtpc.IfS1UeNB, TEID: 9, Addr: netip.MustParseAddr("2001:db8::1")}
	if g, err := gtpc.ParseFTEID(f.IE(0)); err != nil || g != f {
		t.Errorf("%+v, %v", g, err)
	}
	q := gtpc.QoS{ARP: gtpc.ARP{Level: 3, CanPreempt: true}, QCI: 1, MBRUL: id.Mbps, MBRDL: 2 * id.Mbps, GBRUL: 5000 * id.Mbps, GBRDL: 4 * id.Kbps}
	if g, err := gtpc.ParseQoS(q.IE()); err != nil || g != q {
		t.Errorf("%+v, %v", g, err)
	}
	i, _ := id.ParseIMSI("001010123456789")
	if g, err := gtpc.ParseIMSI(gtpc.IMSIIE(i)); err != nil || g != i {
		t.Errorf("%v, %v", g.Digits(), err)
	}
}

func TestRefusalsTravel(t *testing.T) {
	m := gtpc.New(gtpc.CreateSessionResponse, 1, gtpc.CauseIE(gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "only for the log")))
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, err := gtpc.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "Mandatory IE missing (#70), element type 93") || strings.Contains(err.Error(), "only for") {
		t.Errorf("%v", err)
	}
	if err := gtpc.New(gtpc.CreateSessionResponse, 1).Check(); err == nil {
		t.Error("a response without Cause was accepted")
	}
}

// FuzzElements: what is read from an element, whatever it is, is written again to
// an element that reads the same.
func FuzzElements(f *testing.F) {
	i, _ := id.ParseIMSI("001010123456789")
	a, _ := id.ParseAPN("internet.mnc001.mcc001.gprs")
	v6 := netip.MustParseAddr("2001:db8:45:2::7")
	p, _ := gtpc.Private{Ticket: []byte("ticket"), Segment: []byte("segment")}.IE()
	waiting := gtpc.Waiting{Delay: time.Second, Buffer: time.Hour, Packets: 9, Throttle: time.Minute, Factor: 50}
	for _, e := range append(waiting.IEs(), gtpc.IMSIIE(i), gtpc.AMBR{UL: 1000, DL: 1 << 40}.IE(), gtpc.QoS{ARP: gtpc.ARP{Level: 9, CanPreempt: true}, QCI: 1, MBRUL: 1 << 40, GBRDL: 64000}.IE(), gtpc.EBI(5), gtpc.PAA(netip.MustParseAddr("10.0.0.1")),
		gtpc.Address{IPv6: v6}.IE(), gtpc.Address{IPv4: netip.MustParseAddr("10.0.0.1"), IPv6: v6}.IE(), gtpc.FTEID{Addr: netip.MustParseAddr("10.0.0.1")}.IE(0), gtpc.FTEID{Interface: gtpc.IfS5PGWC, TEID: 9, Addr: v6}.IE(1),
		ie.New(ie.PDNAddressAllocation, 0, make([]byte, 5)), gtpc.APNIE(a), p, gtpc.PTI(7), gtpc.ChargingID(9)) {
		f.Add(e.Type, e.Payload)
	}
	f.Fuzz(func(t *testing.T, typ uint8, b []byte) {
		e := ie.New(typ, 0, b)
		same := func(what string, first, second any, err error) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(first, second) {
				t.Errorf("%s %v is read again as %v, %v", what, first, second, err)
			}
		}
		if v, err := gtpc.ParseFTEID(e); err == nil {
			w, err := gtpc.ParseFTEID(v.IE(0))
			v.Addr = v.Addr.Unmap()
			same("F-TEID", v, w, err)
		}
		if v, err := gtpc.ParseEBI(e); err == nil {
			if v < 5 || v > 15 {
				t.Errorf("EBI %d", v)
			}
			w, err := gtpc.ParseEBI(gtpc.EBI(v))
			same("EBI", v, w, err)
		}
		if v, err := gtpc.ParseIMSI(e); err == nil {
			w, err := gtpc.ParseIMSI(gtpc.IMSIIE(v))
			same("IMSI", v.Digits(), w.Digits(), err)
			if v.IsZero() {
				t.Error("no IMSI")
			}
		}
		if v, err := gtpc.ParseAddress(e); err == nil {
			w, err := gtpc.ParseAddress(v.IE())
			same("PAA", v, w, err)
		}
		if v, err := gtpc.ParsePAA(e); err == nil && !v.Is4() {
			t.Error("PAA without IPv4")
		}
		if v, err := gtpc.ParseQoS(e); err == nil {
			w, err := gtpc.ParseQoS(v.IE())
			same("QoS", v, w, err)
		}
		if v, err := gtpc.ParseAMBR(e); err == nil {
			w, err := gtpc.ParseAMBR(v.IE())
			same("AMBR", v, w, err)
		}
		if v, err := gtpc.ParseAPN(e); err == nil {
			w, err := gtpc.ParseAPN(gtpc.APNIE(v))
			same("APN", v, w, err)
		}
		if v, err := gtpc.ParsePrivate([]*ie.IE{e}); err == nil {
			if x, err := v.IE(); err != nil {
				t.Errorf("%v: %v", v, err)
			} else if x != nil {
				w, err := gtpc.ParsePrivate([]*ie.IE{x})
				if len(v.Ticket) == 0 {
					v.Ticket = nil
				}
				if len(v.Segment) == 0 {
					v.Segment = nil
				}
				same("private extension", v, w, err)
			}
		}
		v := gtpc.ParseWaiting([]*ie.IE{e})
		w := gtpc.ParseWaiting(v.IEs())
		if v.Packets > 255 { // written in one octet
			v.Packets = 255
		}
		if v.Delay != w.Delay || v.Packets != w.Packets || v.Throttle != w.Throttle || v.Buffer != w.Buffer {
			t.Errorf("waiting %+v is read again as %+v", v, w)
		}
		if list, err := gtpc.LinkedEBI([]*ie.IE{e}, 0); err == nil && len(list) > 1 {
			t.Errorf("%v", list)
		}
	})
}
