package relay

import (
	"context"
	"slices"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// ppid is S1AP's payload protocol identifier (TS 36.412 §7).
const ppid = 18

// pump relays the messages that come in on one side until that or the other
// association ends.
func (c *conn) pump(ctx context.Context, from Side) error {
	var pdu s1ap.PDU
	var rd reading
	for {
		m, err := c.leg[from].Recv(ctx)
		if err != nil {
			return &endedError{from, err}
		}
		to, data := 1-from, m.Data
		if m.PPID == ppid {
			var refusal []byte
			if data, refusal = c.message(from, m, &pdu, &rd); data == nil {
				to, data = from, refusal
			}
			if data == nil {
				continue
			}
		}
		if err := c.send(ctx, to, m.Stream, m.PPID, data); err != nil {
			return &endedError{to, err}
		}
	}
}

// send sends on the stream asked for, or where there are fewer on another one:
// stream 0 stays for what concerns no phone (TS 36.412 §7).
func (c *conn) send(ctx context.Context, to Side, stream uint16, ppid uint32, data []byte) error {
	if out, _ := c.leg[to].Streams(); stream >= out {
		if out > 1 {
			stream = 1 + (stream-1)%(out-1)
		} else {
			stream = 0
		}
	}
	return c.leg[to].Send(ctx, stream, ppid, data)
}

// message gives what to pass on for a message: its own octets when nothing in
// them is the relay's business. Without data the message goes no further, and
// refusal is the answer, if there is one.
func (c *conn) message(from Side, m sctp.Message, pdu *s1ap.PDU, rd *reading) (data, refusal []byte) {
	r := c.relay
	err := s1ap.ParseInto(pdu, m.Data)
	fault, goOn := s1ap.Continuable(err)
	if !goOn && !namesTunnels(pdu.Message) {
		r.verbatim.Add(1)
		r.Logger.Warn("S1AP message not understood: passed on as it is", "enb", c.enbIP, "from", from, "octets", len(m.Data), "err", err)
		return m.Data, nil
	}
	if rd.read(pdu.Message); rd.from != from && !rd.either { // nobody opens or moves tunnels from the wrong end
		return m.Data, nil
	}
	if namesTunnels(pdu.Message) && !whole(fault) {
		return nil, c.broken(from, fault, rd)
	}
	changed, refused := false, rd.refuse != nil && !rd.moves && r.refusing.Load()
	if !refused {
		changed, refused = c.apply(from, rd, m.Stream)
	}
	if refused {
		return nil, c.refuse(rd, pdu.Message.Header().Name)
	}
	if !changed {
		return m.Data, nil
	}
	b, err := pdu.Append(make([]byte, 0, len(m.Data)+64))
	if err != nil {
		return nil, c.broken(from, &s1ap.SyntaxError{Known: true, Type: pdu.Type, ProcedureCode: pdu.ProcedureCode, Criticality: pdu.Criticality, Transfer: err}, rd)
	}
	return b, nil
}

// refuse answers a message for whose tunnels the relay has no room or no address:
// with the procedure's failure, or with an Error Indication where it has none.
func (c *conn) refuse(rd *reading, name string) []byte {
	r := c.relay
	r.refused.Add(1)
	r.Logger.Info("bearers refused", "enb", c.enbIP, "request", name)
	var answer s1ap.Message = &s1ap.ErrorIndication{MMEUES1APID: rd.mme, ENBUES1APID: rd.enb, Cause: new(cause())}
	if rd.refuse != nil {
		answer = rd.refuse(cause())
	}
	b, err := s1ap.Append(nil, answer)
	if err != nil {
		r.Logger.Error("refusal not written", "enb", c.enbIP, "err", err)
	}
	return b
}

// whole says that a message with this fault, or none, can be rewritten: nothing
// in it that the relay would have to make up.
func whole(fault *s1ap.SyntaxError) bool {
	return fault == nil || fault.Continue() && !slices.ContainsFunc(fault.IEs, func(d s1ap.IEDiagnostic) bool { return d.Error == s1ap.Missing })
}

// broken answers a message that names ends of tunnels and is not understood, as
// its receiver would (TS 36.413 §10.2, §10.3): with the procedure's failure
// where the ids are there, or with an Error Indication. A receiver more lenient
// than the relay would else be told where to send user data past it.
func (c *conn) broken(from Side, fault *s1ap.SyntaxError, rd *reading) []byte {
	r := c.relay
	r.broken.Add(1)
	r.Logger.Warn("S1AP message about tunnels not understood: not passed on", "enb", c.enbIP, "from", from, "err", fault)
	known := fault.Transfer == nil && !slices.ContainsFunc(fault.IEs, func(d s1ap.IEDiagnostic) bool {
		return d.Error == s1ap.Missing && (d.ID == s1ap.IDMMEUES1APID || d.ID == s1ap.IDENBUES1APID || d.ID == s1ap.IDSourceMMEUES1APID)
	})
	answer := &s1ap.ErrorIndication{Cause: new(fault.Cause()), CriticalityDiagnostics: fault.CriticalityDiagnostics()}
	if known {
		answer.MMEUES1APID, answer.ENBUES1APID = rd.mme, rd.enb
		if rd.refuse != nil {
			if b, err := s1ap.Append(nil, rd.refuse(fault.Cause())); err == nil {
				return b
			}
		}
	}
	b, err := s1ap.Append(nil, answer)
	if err != nil {
		r.Logger.Error("Error Indication not written", "enb", c.enbIP, "err", err)
	}
	return b
}
