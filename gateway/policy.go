package gateway

import (
	"net/netip"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Policy is what bearers get, and what phones may ask for.
type Policy struct {
	// DSCP of the outer header of downlink packets, by QCI; nil gives DefaultDSCP. A
	// QCI that is not in it gets 0.
	DSCP map[id.QCI]uint8
	// Asked are the QCIs that phones may ask dedicated bearers of, none: phones may
	// ask for nothing.
	Asked []id.QCI
	// Guaranteed bounds the bit rates that a session's phone can have guaranteed by
	// asking, each way; 0: none.
	Guaranteed id.BitRate
}

// DefaultDSCP marks voice as expedited forwarding, other streams and signalling as
// assured forwarding, and the rest not at all, as GSMA IR.34 has it for what goes
// between operators.
func DefaultDSCP() map[id.QCI]uint8 {
	return map[id.QCI]uint8{1: 46, 2: 46, 3: 46, 65: 46, 66: 46, 4: 34, 67: 34, 5: 26, 6: 26, 69: 26, 7: 18, 70: 18, 8: 10}
}

// rated says that bearers of a QCI have a guaranteed bit rate (TS 23.203 §6.1.7.2).
func rated(q id.QCI) bool {
	return q >= 1 && q <= 4 || q >= 65 && q <= 67 || q >= 71 && q <= 76 || q >= 82 && q <= 85
}

// checkQoS refuses a quality that contradicts itself.
func checkQoS(q gtpc.QoS) error {
	switch {
	case q.QCI == 0 || q.QCI == 255:
		return gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.BearerQoS, "QCI %d", q.QCI)
	case rated(q.QCI) != (q.GBRUL != 0 || q.GBRDL != 0):
		return gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.BearerQoS, "QCI %d with %v up and %v down guaranteed", q.QCI, q.GBRUL, q.GBRDL)
	case q.GBRUL > q.MBRUL || q.GBRDL > q.MBRDL:
		return gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.BearerQoS, "%v up and %v down guaranteed, at most %v and %v", q.GBRUL, q.GBRDL, q.MBRUL, q.MBRDL)
	}
	return nil
}

// policyOf is a bearer's policy on the data path; filters it cannot have are an error.
func (g *Gateway) policyOf(b *bearer) (p datapath.Policy, err error) {
	p.DSCP = g.o.Policy.DSCP[b.qos.QCI]
	if g.o.Policy.DSCP == nil {
		p.DSCP = DefaultDSCP()[b.qos.QCI]
	}
	p.Buffer = b.s.ue.keeps
	if rated(b.qos.QCI) {
		p.MBR = datapath.Rates{UL: uint64(b.qos.MBRUL), DL: uint64(b.qos.MBRDL)}
	}
	for _, f := range b.tft {
		d, err := datapath.FilterOf(f)
		if err != nil {
			return p, gtpc.Refuse(gtpc.FilterSyntax, ie.BearerTFT, "%v", err)
		}
		p.Filters = append(p.Filters, d)
	}
	return p, nil
}

// putSession makes the session known to the data path.
func (g *Gateway) putSession(s *session, resume bool) error {
	d := g.pathSession(s, resume)
	if b := s.first(); b != nil {
		d.Beside = b.teid
	}
	return g.path.PutSession(d)
}

// pathSession is the session as the data path sees it.
func (g *Gateway) pathSession(s *session, resume bool) datapath.Session {
	d := datapath.Session{ID: s.id, AMBR: datapath.Rates{UL: uint64(s.ambr.UL), DL: uint64(s.ambr.DL)}, Open: s.net.Open || s.lenient, Resume: resume}
	if s.up != nil {
		return d // the PGW has the addresses
	}
	d.IPv4 = s.addr.IPv4
	if s.addr.IPv6.IsValid() {
		d.IPv6, d.DNS = netip.PrefixFrom(prefixOf(s.addr.IPv6), 64), s.net.DNS
	}
	return d
}

// putBearer makes a bearer live; one that the MME has not agreed to yet takes no
// downlink packets.
func (g *Gateway) putBearer(b *bearer, resume bool) error {
	p, err := g.policyOf(b)
	if err != nil {
		return err
	}
	if b.ebi == 0 {
		p.Filters = nil
	}
	return g.path.PutBearer(datapath.Bearer{TEID: b.teid, Session: b.s.id, Default: b.ebi == b.s.ebi, Tunnel: b.tunnel, Policy: p,
		Upstream: b.upstream(), UpstreamTEID: b.up, Resume: resume})
}

// repolicy has the data path follow a bearer's changed quality and filters.
func (g *Gateway) repolicy(b *bearer) error {
	p, err := g.policyOf(b)
	if err != nil {
		return err
	}
	return g.path.UpdatePolicy(b.teid, p)
}

// maxFilters is how many a template can have (TS 24.008 §10.5.6.12).
const maxFilters = 15

// applyTFT is a bearer's template after an operation on it (TS 24.008 §10.5.6.12).
func applyTFT(had []eps.PacketFilter, op eps.TFT) ([]eps.PacketFilter, error) {
	if len(op.Filters) == 0 && op.Operation != eps.TFTDelete && op.Operation != eps.TFTNone {
		return nil, gtpc.Refuse(gtpc.TFTSyntax, ie.BearerTFT, "TFT operation %v without packet filters", op.Operation)
	}
	out := append([]eps.PacketFilter(nil), had...)
	drop := func(n uint8) bool {
		for i, f := range out {
			if f.ID == n {
				out = append(out[:i:i], out[i+1:]...)
				return true
			}
		}
		return false
	}
	switch op.Operation {
	case eps.TFTCreate:
		out = append([]eps.PacketFilter(nil), op.Filters...)
	case eps.TFTDelete:
		return nil, nil
	case eps.TFTAddFilters, eps.TFTReplaceFilters:
		for _, f := range op.Filters {
			if !drop(f.ID) && op.Operation == eps.TFTReplaceFilters {
				return nil, gtpc.Refuse(gtpc.TFTSemantic, ie.BearerTFT, "packet filter %d is to be replaced and is not there", f.ID)
			}
			out = append(out, f)
		}
	case eps.TFTDeleteFilters:
		for _, f := range op.Filters {
			if !drop(f.ID) {
				return nil, gtpc.Refuse(gtpc.TFTSemantic, ie.BearerTFT, "packet filter %d is to be deleted and is not there", f.ID)
			}
		}
	case eps.TFTNone:
		return out, nil
	default:
		return nil, gtpc.Refuse(gtpc.TFTSyntax, ie.BearerTFT, "TFT operation %v", op.Operation)
	}
	return out, checkFilters(out)
}

// checkFilters refuses filters that contradict themselves or each other.
func checkFilters(list []eps.PacketFilter) error {
	if len(list) > maxFilters {
		return gtpc.Refuse(gtpc.TFTSemantic, ie.BearerTFT, "%d packet filters, at most %d", len(list), maxFilters)
	}
	var ids, precedences [256]bool
	for _, f := range list {
		switch {
		case ids[f.ID]:
			return gtpc.Refuse(gtpc.FilterSyntax, ie.BearerTFT, "packet filter %d twice", f.ID)
		case precedences[f.Precedence]:
			return gtpc.Refuse(gtpc.FilterSemantic, ie.BearerTFT, "two packet filters have precedence %d", f.Precedence)
		case len(f.Components) == 0:
			return gtpc.Refuse(gtpc.FilterSyntax, ie.BearerTFT, "packet filter %d has no components", f.ID)
		}
		if _, err := datapath.FilterOf(f); err != nil {
			return gtpc.Refuse(gtpc.FilterSyntax, ie.BearerTFT, "%v", err)
		}
		ids[f.ID], precedences[f.Precedence] = true, true
	}
	return nil
}
