package gtpu_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
)

// each is how many random instances of a message the tests make.
const each = 200

// messageTypes are all of TS 29.281 §6.1.
func messageTypes() []gtpu.Type {
	return []gtpu.Type{gtpu.EchoRequest, gtpu.EchoResponse, gtpu.SupportedHeaders, gtpu.ErrorIndication, gtpu.EndMarker, gtpu.TunnelStatus, gtpu.GPDU}
}

// maker makes random valid messages.
type maker struct {
	t *testing.T
	*rand.Rand
}

func newMaker(t *testing.T, typ gtpu.Type) maker {
	return maker{t, rand.New(rand.NewPCG(29281, uint64(typ)))}
}

func (r maker) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r maker) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// message makes a valid instance with whatever TS 29.281 §7 lets it carry.
func (r maker) message(typ gtpu.Type) gtpu.Message {
	m := gtpu.Message{Type: typ, HasSequence: typ != gtpu.EndMarker, TEID: id.TEID(r.Uint32())}
	switch typ {
	case gtpu.GPDU:
		m.HasSequence, m.HasNPDU, m.NPDU = r.IntN(2) == 0, r.IntN(4) == 0, byte(r.Uint32())
		packet := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0}, r.octets(8+r.IntN(60))...) // protocol 253: an experiment
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		m.Payload = packet
		for range r.IntN(4) {
			r.extension(&m)
		}
	case gtpu.EchoRequest, gtpu.EchoResponse, gtpu.SupportedHeaders, gtpu.ErrorIndication:
		m.TEID = 0
	}
	if m.HasSequence {
		m.Sequence = uint16(r.Uint32())
	}
	if !m.HasNPDU {
		m.NPDU = 0
	}
	switch typ {
	case gtpu.EchoResponse:
		r.element(&m, gtpu.ElementRecovery, []byte{0})
	case gtpu.SupportedHeaders:
		r.element(&m, gtpu.ElementHeaders, r.octets(r.IntN(9)))
		return m // nothing else in it
	case gtpu.ErrorIndication:
		r.element(&m, gtpu.ElementTEID, r.octets(4))
		r.element(&m, gtpu.ElementPeer, r.octets([]int{4, 16}[r.IntN(2)]))
		if r.IntN(2) == 0 {
			r.ok(m.AddNumber(gtpu.UDPPort, uint32(r.IntN(65536))))
		}
	case gtpu.TunnelStatus:
		r.element(&m, gtpu.ElementTunnelStatus, []byte{byte(r.IntN(2))})
	case gtpu.GPDU:
		return m
	}
	if (typ == gtpu.EchoResponse || typ == gtpu.ErrorIndication) && r.IntN(2) == 0 {
		stamp, err := gtpu.RecoveryTimeValue(time.Unix(int64(r.IntN(2e9)), 0))
		r.ok(err)
		r.element(&m, gtpu.ElementRecoveryTime, stamp)
	}
	if r.IntN(2) == 0 {
		var err error
		m.Payload, err = gtpu.AppendPrivate(m.Payload, uint16(r.Uint32()), r.octets(r.IntN(9)))
		r.ok(err)
	}
	return m
}

func (r maker) element(m *gtpu.Message, t gtpu.ElementType, value []byte) {
	var err error
	m.Payload, err = gtpu.AppendElement(m.Payload, t, value)
	r.ok(err)
}

// extension adds one of the headers of TS 29.281 §5.2.2, or one of the future.
func (r maker) extension(m *gtpu.Message) {
	switch t := []gtpu.ExtensionType{
		gtpu.UDPPort, gtpu.PDCPNumber, gtpu.LongPDCPNumber, gtpu.OptionalLongPDCPNumber, gtpu.ServiceClassIndicator,
		gtpu.RANContainer, gtpu.XwRANContainer, gtpu.NRRANContainer, gtpu.PDUSessionContainer, 0x1f,
	}[r.IntN(10)]; t {
	case gtpu.ServiceClassIndicator:
		r.ok(m.AddNumber(t, uint32(r.IntN(256))))
	case gtpu.UDPPort:
		r.ok(m.AddNumber(t, uint32(r.IntN(1<<16))))
	case gtpu.PDCPNumber: // of at most 15 bits in E-UTRAN
		r.ok(m.AddNumber(t, uint32(r.IntN(1<<15))))
	case gtpu.LongPDCPNumber, gtpu.OptionalLongPDCPNumber:
		r.ok(m.AddNumber(t, uint32(r.IntN(1<<18))))
	case gtpu.PDUSessionContainer: // downlink or uplink, QoS flow identifier
		r.ok(m.AddExtension(t, []byte{byte(r.IntN(2)) << 4, byte(r.IntN(64))}))
	case gtpu.NRRANContainer: // downlink user data (TS 38.425 §5.5.2.1)
		r.ok(m.AddExtension(t, append([]byte{0, 0}, r.octets(4)...)))
	default:
		r.ok(m.AddExtension(t, r.octets(2+4*r.IntN(4))))
	}
}

// TestRandom builds messages of every type and reads them: the same comes back,
// and is built to the same octets again.
func TestRandom(t *testing.T) {
	for _, typ := range messageTypes() {
		roundTrips(t, typ)
	}
}

func roundTrips(t *testing.T, typ gtpu.Type) int {
	r := newMaker(t, typ)
	for range each {
		want := r.message(typ)
		datagram, err := want.Append(nil)
		r.ok(err)
		got, err := gtpu.Parse(datagram)
		r.ok(err)
		r.ok(got.Check())
		again, err := got.Append(nil)
		r.ok(err)
		if !bytes.Equal(again, datagram) {
			t.Errorf("%x was built again as %x", datagram, again)
		}
		if a, b := view(want), view(got); !reflect.DeepEqual(a, b) {
			t.Errorf("%x: read %+v, want %+v", datagram, b, a)
		}
	}
	return each
}

// view is all that the accessors give of a message.
func view(m gtpu.Message) []any {
	v := []any{m.Type, m.TEID, m.HasSequence, m.Sequence, m.HasNPDU, m.NPDU, string(m.Payload)}
	for t, content := range m.Extensions {
		n, ok := t.Number(content)
		v = append(v, t, string(content), n, ok)
	}
	if m.Type == gtpu.GPDU {
		return v
	}
	recovery, hasRecovery := m.Recovery()
	teid, hasTEID := m.DataTEID()
	peer, hasPeer := m.Peer()
	types, hasTypes := m.HeaderTypes()
	spoc, hasStatus := m.PausesCharging()
	start, hasStart := m.RecoveryTime()
	who, private, hasPrivate := m.Private()
	return append(v, recovery, hasRecovery, teid, hasTEID, peer, hasPeer, string(types), hasTypes,
		spoc, hasStatus, start, hasStart, who, string(private), hasPrivate)
}
