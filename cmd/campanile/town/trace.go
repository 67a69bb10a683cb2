package town

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/mme/trace"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/gtpc"
)

// AuditFile has a line for each trace that was begun or ended, and is only ever
// added to.
const AuditFile = "audit.log"

// audited is a line of AuditFile.
type audited struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"` // "trace begins", "trace ends"; "capture of user packets begins", "... ends"
	UID    int64     `json:"uid"`  // who asked, as the kernel says; -1: not known
	IMSI   id.IMSI   `json:"imsi"` // masked
	For    string    `json:"for,omitempty"`
	Octets uint64    `json:"octets,omitempty"` // at most
	Keys   bool      `json:"keys,omitempty"`   // NAS keys were asked for
	Whole  bool      `json:"whole_imsi,omitempty"`
	Why    string    `json:"why,omitempty"` // it ended
	Bearer uint8     `json:"bearer,omitempty"`
	Reason string    `json:"reason,omitempty"` // that was given for it
}

// audit adds a line to the home's audit file and to the log. What cannot be noted
// is not done.
func (t *Town) audit(a audited) error {
	a.At = time.Now().UTC()
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(t.cfg.path(AuditFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	t.role("mme").Warn(a.What, "imsi", a.IMSI, "uid", a.UID, "for", a.For, "keys", a.Keys, "reason", a.Why)
	return err
}

// TracePhone records a phone for as long as the caller listens, at most as long as
// he asked for, and notes who did.
func (h handset) TracePhone(q *pb.TracePhoneRequest, to pb.Admin_TracePhoneServer) error {
	if err := h.noMME(); err != nil {
		return err
	}
	imsi, err := id.ParseIMSI(q.Phone)
	if p, ok := (phones{t: h.t}).find(q.Phone); ok {
		imsi = p.IMSI
	} else if err != nil {
		return wrong("%q: write an IMSI, or the id of a phone that campanile ue list has", q.Phone)
	}
	l := trace.Limits{For: time.Duration(q.Seconds) * time.Second, Octets: q.Octets, Keys: q.Keys}
	r, err := h.t.mme.Trace(imsi, l)
	if err != nil {
		return wrong("%s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "trace: "), "mme: "))
	}
	defer r.Close()
	who := audited{What: "trace begins", UID: uidOf(to.Context()), IMSI: imsi, For: l.For.String(), Octets: q.Octets, Keys: q.Keys, Whole: q.WholeImsi}
	if err := h.t.audit(who); err != nil {
		return status.Errorf(codes.Internal, "not traced, for it could not be noted: %v", err)
	}
	err = follow(to.Context(), r, q, to.Send)
	who.What, who.Why = "trace ends", err.Error()
	if noted := h.t.audit(who); noted != nil {
		return noted
	}
	if errors.Is(err, trace.ErrTime) || errors.Is(err, trace.ErrOctets) {
		return to.Send(&pb.TraceReply{Text: "the trace ends: " + err.Error() + "\n"})
	}
	return err
}

// follow sends what is recorded until the recording or the caller ends.
func follow(ctx context.Context, r *trace.Recording, q *pb.TracePhoneRequest, send func(*pb.TraceReply) error) error {
	view := trace.Transcript{Detail: q.Detail, Mask: !q.WholeImsi}
	var file bytes.Buffer
	var sink io.Writer = io.Discard
	if q.Pcapng {
		sink = &file
	}
	capture, err := trace.NewCapture(sink, "campanile")
	if err != nil {
		return err
	}
	if err := send(&pb.TraceReply{Pcapng: bytes.Clone(file.Bytes()), Text: fmt.Sprintf("tracing for %v; Ctrl-C ends it\n", time.Duration(q.Seconds)*time.Second)}); err != nil {
		return err
	}
	file.Reset()
	for {
		events, err := r.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := capture.Write(e); err != nil {
				return err
			}
			if err := send(&pb.TraceReply{Text: view.Text(e), Pcapng: bytes.Clone(file.Bytes())}); err != nil {
				return err
			}
			file.Reset()
		}
	}
}

// tracer is what an MME here records phones with.
func (t *Town) tracer() *trace.Tracer {
	if t.traces == nil {
		t.traces = trace.New()
	}
	return t.traces
}

// s11Socket is where the MME's S11 is, and what traces hear.
func (t *Town) s11Socket() (gtpc.PacketConn, error) {
	local := netip.AddrPortFrom(t.set.mme, gtpcPort)
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	return trace.TapS11(c, t.tracer(), local), nil
}
