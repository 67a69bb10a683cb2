package mme

import (
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
)

// applyTFT is a bearer's template after an operation on it (TS 24.008 §10.5.6.12);
// an operation that makes no sense is refused as the phone would refuse it
// (TS 24.301 §6.4.3.4).
func applyTFT(had *eps.TFT, op eps.TFT) (eps.TFT, error) {
	has := eps.TFT{}
	if had != nil {
		has = *had
	}
	if err := checkTFT(op); err != nil {
		return has, err
	}
	out := eps.TFT{Operation: eps.TFTCreate, Filters: slices.Clone(has.Filters), Parameters: has.Parameters}
	drop := func(n uint8) bool {
		was := len(out.Filters)
		out.Filters = slices.DeleteFunc(out.Filters, func(f eps.PacketFilter) bool { return f.ID == n })
		return len(out.Filters) < was
	}
	switch op.Operation {
	case eps.TFTCreate:
		out.Filters = slices.Clone(op.Filters)
	case eps.TFTDelete:
		out.Filters = nil
	case eps.TFTAddFilters, eps.TFTReplaceFilters:
		for _, f := range op.Filters {
			if !drop(f.ID) && op.Operation == eps.TFTReplaceFilters {
				return has, refuseESM(eps.ESMCauseSemanticErrorInTheTFTOperation, "packet filter %d is to be replaced and is not there", f.ID)
			}
			out.Filters = append(out.Filters, f)
		}
	case eps.TFTDeleteFilters:
		for _, f := range op.Filters {
			if !drop(f.ID) {
				return has, refuseESM(eps.ESMCauseSemanticErrorInTheTFTOperation, "packet filter %d is to be deleted and is not there", f.ID)
			}
		}
		if len(out.Filters) == 0 {
			return has, refuseESM(eps.ESMCauseSemanticErrorInTheTFTOperation, "no packet filter would be left")
		}
	}
	if len(op.Parameters) > 0 {
		out.Parameters = op.Parameters
	}
	if len(out.Filters) > maxFilters {
		return has, refuseESM(eps.ESMCauseSemanticErrorInTheTFTOperation, "%d packet filters, at most %d", len(out.Filters), maxFilters)
	}
	return out, nil
}

// maxFilters is how many a template can have (TS 24.008 §10.5.6.12).
const maxFilters = 15

// checkTFT looks for errors in an operation on a template that need no template to
// be seen (TS 24.301 §6.4.2.4, §6.5.3.4, §6.5.4.4).
func checkTFT(op eps.TFT) error {
	filters := op.Operation == eps.TFTCreate || op.Operation == eps.TFTAddFilters ||
		op.Operation == eps.TFTReplaceFilters || op.Operation == eps.TFTDeleteFilters
	switch {
	case op.Operation == eps.TFTIgnore || op.Operation > eps.TFTNone:
		return refuseESM(eps.ESMCauseSyntacticalErrorInTheTFTOperation, "TFT operation %v", op.Operation)
	case filters && len(op.Filters) == 0:
		return refuseESM(eps.ESMCauseSyntacticalErrorInTheTFTOperation, "TFT operation %v without packet filters", op.Operation)
	}
	var ids uint16
	var taken [4]uint64 // precedences
	for _, f := range op.Filters {
		if ids>>f.ID&1 != 0 {
			return refuseESM(eps.ESMCauseSyntacticalErrorsInPacketFilter, "packet filter %d twice", f.ID)
		}
		ids |= 1 << f.ID
		if op.Operation == eps.TFTDeleteFilters {
			continue
		}
		if !f.Components.Valid() || len(f.Components) == 0 {
			return refuseESM(eps.ESMCauseSyntacticalErrorsInPacketFilter, "packet filter %d has components that are none", f.ID)
		}
		if taken[f.Precedence>>6]>>(f.Precedence&63)&1 != 0 {
			return refuseESM(eps.ESMCauseSemanticErrorsInPacketFilter, "two packet filters have precedence %d", f.Precedence)
		}
		taken[f.Precedence>>6] |= 1 << (f.Precedence & 63)
	}
	return nil
}

// nasQoS is a bearer's QoS for the phone: the rates of a bearer that has guaranteed
// ones.
func nasQoS(q gtpc.QoS) eps.EPSQoS {
	out := eps.EPSQoS{QCI: q.QCI}
	if q.GBRUL != 0 || q.GBRDL != 0 {
		out.MaxUL, out.MaxDL, out.GuaranteedUL, out.GuaranteedDL = q.MBRUL, q.MBRDL, q.GBRUL, q.GBRDL
	}
	return out
}

// gtpQoS is what a phone asks for, for the gateway.
func gtpQoS(q eps.EPSQoS) gtpc.QoS {
	return gtpc.QoS{QCI: q.QCI, MBRUL: q.MaxUL, MBRDL: q.MaxDL, GBRUL: q.GuaranteedUL, GBRDL: q.GuaranteedDL}
}

// guaranteed says that bearers of a QCI have a guaranteed bit rate (TS 23.203
// §6.1.7.2).
func guaranteed(q id.QCI) bool {
	return q >= 1 && q <= 4 || q >= 65 && q <= 67 || q >= 71 && q <= 76 || q >= 82 && q <= 85
}
