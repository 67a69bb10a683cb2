package s1ap

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/free5gc/aper"
)

// benchRequest is an InitialContextSetupRequest with one bearer and a NAS
// message of 100 octets.
func benchRequest() *InitialContextSetupRequest {
	return &InitialContextSetupRequest{
		MMEUES1APID: 0x12345678, ENBUES1APID: 0x00abcdef,
		UEAggregateMaximumBitrate: UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: 1_000_000_000, UEaggregateMaximumBitRateUL: 500_000_000},
		ERABToBeSetupListCtxtSUReq: ERABToBeSetupListCtxtSUReq{{
			ERABID: 5,
			ERABLevelQoSParameters: ERABLevelQoSParameters{
				QCI: 9,
				AllocationRetentionPriority: AllocationAndRetentionPriority{
					PriorityLevel: 15, PreEmptionCapability: PreEmptionCapabilityShallNotTriggerPreEmption,
					PreEmptionVulnerability: PreEmptionVulnerabilityNotPreEmptable,
				},
			},
			TransportLayerAddress: TransportLayerAddress{Bytes: []byte{10, 0, 0, 1}, Len: 32},
			GTPTEID:               GTPTEID{1, 2, 3, 4},
			NASPDU:                bytes.Repeat([]byte{0x5a}, 100),
		}},
		UESecurityCapabilities: UESecurityCapabilities{EncryptionAlgorithms: 0xe000, IntegrityProtectionAlgorithms: 0xe000},
		SecurityKey:            SecurityKey(bytes.Repeat([]byte{0xa5}, 32)),
	}
}

func BenchmarkEncode(b *testing.B) {
	m := benchRequest()
	dst := make([]byte, 0, 512)
	b.Run("campanile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Append(dst, m); err != nil {
				b.Fatal(err)
			}
		}
	})
	old := aperRequest()
	b.Run("aper", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := aper.MarshalWithParams(old, aperParams); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	pdu, err := Append(nil, benchRequest())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("campanile/reused", func(b *testing.B) {
		b.ReportAllocs()
		var p PDU
		for b.Loop() {
			if err := ParseInto(&p, pdu); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("campanile/fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(pdu); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("aper", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v aperPDU
			if err := aper.UnmarshalWithParams(pdu, &v, aperParams); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTimesFaster reports how many times faster than aper this package is.
// Both take turns every few microseconds and medians are compared, so that
// whatever else the machine does counts for both.
func BenchmarkTimesFaster(b *testing.B) {
	m, old := benchRequest(), aperRequest()
	dst := make([]byte, 0, 512)
	pdu, err := Append(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	var p PDU
	for name, pair := range map[string][2]func() error{
		"encode": {
			func() error { _, err := Append(dst, m); return err },
			func() error { _, err := aper.MarshalWithParams(old, aperParams); return err },
		},
		"decode": {
			func() error { return ParseInto(&p, pdu) },
			func() error { var v aperPDU; return aper.UnmarshalWithParams(pdu, &v, aperParams) },
		},
	} {
		b.Run(name, func(b *testing.B) {
			var ours, theirs []time.Duration
			for b.Loop() {
				ours = append(ours, turn(b, 64, pair[0]))
				theirs = append(theirs, turn(b, 2, pair[1]))
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			mine, other := ours[len(ours)/2].Seconds()/64, theirs[len(theirs)/2].Seconds()/2
			b.ReportMetric(other/mine, "times")
			b.ReportMetric(mine*1e9, "ns/ours")
			b.ReportMetric(other*1e9, "ns/aper")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func turn(b *testing.B, n int, f func() error) time.Duration {
	start := time.Now()
	for range n {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// TestAperAgrees: on this message, which has none of the shapes that aper gets
// wrong, both codecs write the same octets.
func TestAperAgrees(t *testing.T) {
	ours, err := Append(nil, benchRequest())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := aper.MarshalWithParams(aperRequest(), aperParams)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Fatalf("differ:\nours   % x\ntheirs % x", ours, theirs)
	}
	var v aperPDU
	if err := aper.UnmarshalWithParams(ours, &v, aperParams); err != nil {
		t.Fatal(err)
	}
}

// TestAllocations: a message read into one used before, or written to a slice
// large enough, takes no memory.
func TestAllocations(t *testing.T) {
	m := benchRequest()
	dst := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { _, _ = Append(dst, m) }); n > 0 {
		t.Errorf("writing takes %v allocations", n)
	}
	pdu, _ := Append(nil, m)
	var p PDU
	if n := testing.AllocsPerRun(100, func() { _ = ParseInto(&p, pdu) }); n > 0 {
		t.Errorf("reading into a used message takes %v allocations", n)
	}
}
