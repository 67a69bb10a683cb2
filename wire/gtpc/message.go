package gtpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Type is a GTPv2-C message type (TS 29.274 §6.1, table 6.1-1).
type Type uint8

// The message types that S11 and S5/S8 use.
const (
	EchoRequest                 Type = 1
	EchoResponse                Type = 2
	VersionNotSupported         Type = 3
	CreateSessionRequest        Type = 32
	CreateSessionResponse       Type = 33
	ModifyBearerRequest         Type = 34
	ModifyBearerResponse        Type = 35
	DeleteSessionRequest        Type = 36
	DeleteSessionResponse       Type = 37
	ChangeNotificationRequest   Type = 38
	ChangeNotificationResponse  Type = 39
	ModifyBearerCommand         Type = 64
	ModifyBearerFailure         Type = 65 // Modify Bearer Failure Indication
	DeleteBearerCommand         Type = 66
	DeleteBearerFailure         Type = 67 // Delete Bearer Failure Indication
	BearerResourceCommand       Type = 68
	BearerResourceFailure       Type = 69 // Bearer Resource Failure Indication
	DownlinkDataNotFailure      Type = 70 // Downlink Data Notification Failure Indication
	StopPagingIndication        Type = 73
	CreateBearerRequest         Type = 95
	CreateBearerResponse        Type = 96
	UpdateBearerRequest         Type = 97
	UpdateBearerResponse        Type = 98
	DeleteBearerRequest         Type = 99
	DeleteBearerResponse        Type = 100
	SuspendNotification         Type = 162
	SuspendAcknowledge          Type = 163
	ResumeNotification          Type = 164
	ResumeAcknowledge           Type = 165
	CreateForwardingRequest     Type = 166 // Create Indirect Data Forwarding Tunnel Request
	CreateForwardingResponse    Type = 167
	DeleteForwardingRequest     Type = 168 // Delete Indirect Data Forwarding Tunnel Request
	DeleteForwardingResponse    Type = 169
	ReleaseAccessBearersRequest Type = 170
	ReleaseAccessBearersResp    Type = 171
	DownlinkDataNotification    Type = 176
	DownlinkDataNotificationAck Type = 177
	PGWRestartNotification      Type = 179
	PGWRestartAcknowledge       Type = 180
)

// kind says how a type takes part in transactions (TS 29.274 §7.6).
type kind uint8

const (
	unknown kind = iota
	request      // answered by the type in the table
	command      // answered by the request that it triggers, or the failure in the table
	response
	oneWay // triggers no answer
)

type typeRow struct {
	name   string
	kind   kind
	answer Type
}

func (t Type) row() typeRow {
	switch t {
	case EchoRequest:
		return typeRow{"Echo Request", request, EchoResponse}
	case EchoResponse:
		return typeRow{"Echo Response", response, 0}
	case VersionNotSupported:
		return typeRow{"Version Not Supported Indication", response, 0}
	case CreateSessionRequest:
		return typeRow{"Create Session Request", request, CreateSessionResponse}
	case CreateSessionResponse:
		return typeRow{"Create Session Response", response, 0}
	case ModifyBearerRequest:
		return typeRow{"Modify Bearer Request", request, ModifyBearerResponse}
	case ModifyBearerResponse:
		return typeRow{"Modify Bearer Response", response, 0}
	case DeleteSessionRequest:
		return typeRow{"Delete Session Request", request, DeleteSessionResponse}
	case DeleteSessionResponse:
		return typeRow{"Delete Session Response", response, 0}
	case ChangeNotificationRequest:
		return typeRow{"Change Notification Request", request, ChangeNotificationResponse}
	case ChangeNotificationResponse:
		return typeRow{"Change Notification Response", response, 0}
	case StopPagingIndication:
		return typeRow{"Stop Paging Indication", oneWay, 0}
	case SuspendNotification:
		return typeRow{"Suspend Notification", request, SuspendAcknowledge}
	case SuspendAcknowledge:
		return typeRow{"Suspend Acknowledge", response, 0}
	case ResumeNotification:
		return typeRow{"Resume Notification", request, ResumeAcknowledge}
	case ResumeAcknowledge:
		return typeRow{"Resume Acknowledge", response, 0}
	case PGWRestartNotification:
		return typeRow{"PGW Restart Notification", request, PGWRestartAcknowledge}
	case PGWRestartAcknowledge:
		return typeRow{"PGW Restart Notification Acknowledge", response, 0}
	case ModifyBearerCommand:
		return typeRow{"Modify Bearer Command", command, ModifyBearerFailure}
	case ModifyBearerFailure:
		return typeRow{"Modify Bearer Failure Indication", response, 0}
	case DeleteBearerCommand:
		return typeRow{"Delete Bearer Command", command, DeleteBearerFailure}
	case DeleteBearerFailure:
		return typeRow{"Delete Bearer Failure Indication", response, 0}
	case BearerResourceCommand:
		return typeRow{"Bearer Resource Command", command, BearerResourceFailure}
	case BearerResourceFailure:
		return typeRow{"Bearer Resource Failure Indication", response, 0}
	case CreateBearerRequest:
		return typeRow{"Create Bearer Request", request, CreateBearerResponse}
	case CreateBearerResponse:
		return typeRow{"Create Bearer Response", response, 0}
	case UpdateBearerRequest:
		return typeRow{"Update Bearer Request", request, UpdateBearerResponse}
	case UpdateBearerResponse:
		return typeRow{"Update Bearer Response", response, 0}
	case DownlinkDataNotFailure:
		return typeRow{"Downlink Data Notification Failure Indication", oneWay, 0}
	case DeleteBearerRequest:
		return typeRow{"Delete Bearer Request", request, DeleteBearerResponse}
	case DeleteBearerResponse:
		return typeRow{"Delete Bearer Response", response, 0}
	case CreateForwardingRequest:
		return typeRow{"Create Indirect Data Forwarding Tunnel Request", request, CreateForwardingResponse}
	case CreateForwardingResponse:
		return typeRow{"Create Indirect Data Forwarding Tunnel Response", response, 0}
	case DeleteForwardingRequest:
		return typeRow{"Delete Indirect Data Forwarding Tunnel Request", request, DeleteForwardingResponse}
	case DeleteForwardingResponse:
		return typeRow{"Delete Indirect Data Forwarding Tunnel Response", response, 0}
	case ReleaseAccessBearersRequest:
		return typeRow{"Release Access Bearers Request", request, ReleaseAccessBearersResp}
	case ReleaseAccessBearersResp:
		return typeRow{"Release Access Bearers Response", response, 0}
	case DownlinkDataNotification:
		return typeRow{"Downlink Data Notification", request, DownlinkDataNotificationAck}
	case DownlinkDataNotificationAck:
		return typeRow{"Downlink Data Notification Acknowledge", response, 0}
	}
	return typeRow{name: fmt.Sprintf("GTPv2-C message type %d", uint8(t))}
}

// String is the name the specification gives the message.
func (t Type) String() string { return t.row().name }

// Answer is the type that answers the request t, or 0.
func (t Type) Answer() Type { return t.row().answer }

// Limits of what Parse takes and Marshal makes.
const (
	MaxMessage = 4096 // octets of a datagram; S11 messages are far below
	maxIEs     = 256  // information elements in one message, inner ones included
	maxDepth   = 3    // grouped IEs in grouped IEs
)

// Message is one GTPv2-C message: header fields and information elements.
type Message struct {
	Type Type
	// TEID of the receiver's control plane tunnel; meaningful when HasTEID.
	TEID    id.TEID
	HasTEID bool
	// Seq is the 24-bit sequence number; the Endpoint sets it.
	Seq uint32
	IEs []*ie.IE

	held bool
}

// Held is what a Handler returns for a request that Endpoint.Answer answers
// later; copies of it are not handed on meanwhile.
func Held() *Message { return &Message{held: true} }

// New makes a message with a TEID in its header (TS 29.274 §5.5.2); nil
// elements are left out.
func New(t Type, teid id.TEID, ies ...*ie.IE) *Message {
	m := &Message{Type: t, TEID: teid, HasTEID: true}
	for _, e := range ies {
		if e != nil {
			m.IEs = append(m.IEs, e)
		}
	}
	return m
}

// IE gives the first element of that type and instance, or nil.
func (m *Message) IE(typ, instance uint8) *ie.IE { return Find(m.IEs, typ, instance) }

// Find gives the first element of that type and instance, or nil.
func Find(ies []*ie.IE, typ, instance uint8) *ie.IE {
	for _, e := range ies {
		if e.Type == typ && e.Instance() == instance {
			return e
		}
	}
	return nil
}

// Reasons for which Parse refuses a datagram.
var (
	ErrShort   = errors.New("gtpc: shorter than its header")
	ErrVersion = errors.New("gtpc: version is not 2")
	ErrLength  = errors.New("gtpc: length field does not fit the datagram")
	ErrIE      = errors.New("gtpc: malformed information element")
)

// Parse reads the first message of a datagram (TS 29.274 §5.1); a piggybacked
// second one is left alone. On ErrIE the header fields are valid. The
// elements share no memory with b.
func Parse(b []byte) (m *Message, err error) {
	m = &Message{}
	if len(b) < 8 {
		return m, fmt.Errorf("%w: %d octets", ErrShort, len(b))
	}
	if v := b[0] >> 5; v != 2 {
		return m, fmt.Errorf("%w but %d", ErrVersion, v)
	}
	if len(b) > MaxMessage {
		return m, fmt.Errorf("%w: %d octets, more than %d", ErrLength, len(b), MaxMessage)
	}
	m.Type = Type(b[1])
	m.HasTEID = b[0]&8 != 0
	head := 8
	if m.HasTEID {
		head = 12
	}
	end := 4 + int(binary.BigEndian.Uint16(b[2:]))
	if len(b) < head {
		return m, fmt.Errorf("%w: %d octets", ErrShort, len(b))
	}
	if end < head || end > len(b) || b[0]&0x10 == 0 && end != len(b) {
		return m, fmt.Errorf("%w: length field says %d of %d octets", ErrLength, end, len(b))
	}
	if m.HasTEID {
		m.TEID = id.TEID(binary.BigEndian.Uint32(b[4:]))
	}
	m.Seq = binary.BigEndian.Uint32(b[head-4:]) >> 8
	body := append([]byte(nil), b[head:end]...)
	if n, err := checkIEs(body, 0); err != nil {
		return m, err
	} else if n > maxIEs {
		return m, fmt.Errorf("%w: %d elements, more than %d", ErrIE, n, maxIEs)
	}
	m.IEs, err = parseIEs(body)
	return m, err
}

// checkIEs walks the elements without building them, so that depth and number
// are bounded before anything is allocated for them.
func checkIEs(b []byte, depth int) (n int, err error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: grouped more than %d deep", ErrIE, maxDepth)
	}
	for off := 0; off < len(b); {
		if len(b)-off < 4 {
			return n, fmt.Errorf("%w: %d octets left at offset %d", ErrIE, len(b)-off, off)
		}
		size := int(binary.BigEndian.Uint16(b[off+1:]))
		if size > len(b)-off-4 {
			return n, fmt.Errorf("%w: type %d at offset %d claims %d octets of %d", ErrIE, b[off], off, size, len(b)-off-4)
		}
		n++
		if (&ie.IE{Type: b[off]}).IsGrouped() {
			inner, err := checkIEs(b[off+4:off+4+size], depth+1)
			if err != nil {
				return n, err
			}
			n += inner
		}
		off += 4 + size
	}
	return n, nil
}

// parseIEs is go-gtp's parser behind a recover: its accessors are third-party
// code that reads hostile octets.
func parseIEs(b []byte) (ies []*ie.IE, err error) {
	defer func() {
		if r := recover(); r != nil {
			ies, err = nil, fmt.Errorf("%w: codec gave up: %v", ErrIE, r)
		}
	}()
	ies, err = ie.ParseMultiIEs(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIE, err)
	}
	return ies, nil
}

// Marshal gives the message's octets; it fails when they are more than
// MaxMessage.
func (m *Message) Marshal() ([]byte, error) {
	b := make([]byte, 0, 256)
	if m.HasTEID {
		b = append(b, 0x48, byte(m.Type), 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(m.TEID))
	} else {
		b = append(b, 0x40, byte(m.Type), 0, 0)
	}
	b = binary.BigEndian.AppendUint32(b, m.Seq<<8)
	for _, e := range m.IEs {
		x, err := e.Marshal()
		if err != nil {
			return nil, fmt.Errorf("gtpc: %v: element %d: %w", m.Type, e.Type, err)
		}
		b = append(b, x...)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("gtpc: %v: %d octets, more than %d", m.Type, len(b), MaxMessage)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	return b, nil
}
