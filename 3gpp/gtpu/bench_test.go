package gtpu_test

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"

	"github.com/wmnsk/go-gtp/gtpv1/ie"
	gogtp "github.com/wmnsk/go-gtp/gtpv1/message"
)

func BenchmarkParse(b *testing.B) {
	plain := gtpu.AppendGPDU(nil, 1, make([]byte, 1400))
	m := gtpu.Message{Type: gtpu.GPDU, TEID: 1, Payload: make([]byte, 1400)}
	if err := m.AddExtension(gtpu.PDCPNumber, []byte{1, 2}); err != nil {
		b.Fatal(err)
	}
	chain, err := m.Append(nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, in := range map[string][]byte{"plain": plain, "extension": chain} {
		b.Run(name+"/campanile", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := gtpu.Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/go-gtp", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := gogtp.Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	packet, buf := make([]byte, 1400), make([]byte, 0, 2000)
	b.Run("campanile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = gtpu.AppendGPDU(buf[:0], 1, packet)
		}
	})
	b.Run("go-gtp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := gogtp.Marshal(gogtp.NewTPDU(1, packet)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkErrorIndication builds one and reads it.
func BenchmarkErrorIndication(b *testing.B) {
	local := netip.MustParseAddr("10.1.2.3")
	b.Run("campanile", func(b *testing.B) {
		buf := make([]byte, 0, 64)
		b.ReportAllocs()
		for b.Loop() {
			buf = gtpu.AppendErrorIndication(buf[:0], 7, local)
			m, err := gtpu.Parse(buf)
			if err != nil {
				b.Fatal(err)
			}
			if teid, _, err := gtpu.ErrorIndicationOf(m); teid != 7 || err != nil {
				b.Fatal(teid, err)
			}
		}
	})
	b.Run("go-gtp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, err := gogtp.NewErrorIndication(0, 0, ie.NewTEIDDataI(7), ie.NewGSNAddress("10.1.2.3")).Marshal()
			if err != nil {
				b.Fatal(err)
			}
			m, err := gogtp.ParseErrorIndication(buf)
			if err != nil || m.TEIDDataI.MustTEID() != 7 {
				b.Fatal(err)
			}
		}
	})
}
