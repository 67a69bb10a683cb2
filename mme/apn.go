package mme

import (
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
)

// wish is a PDN connection that a phone may have: what it asked for, as far as
// its subscription goes (TS 24.301 §6.5.1.3).
type wish struct {
	home.APN             // of the subscription
	pdn      eps.PDNType // to be asked of the gateway
	asked    eps.PDNType
	pco      eps.PCO
}

// checkPDN refuses a request for a PDN connection that cannot be had here, or
// makes no sense (TS 24.301 §6.5.1.4).
func checkPDN(m *eps.PDNConnectivityRequest) error {
	switch {
	case m.PTI == noPTI || m.PTI == reservedPTI: // TS 24.301 §7.3.1 a
		return refusePDN(eps.ESMCauseInvalidPTIValue, fmt.Errorf("PTI %d", m.PTI))
	case m.EBI != 0: // TS 24.301 §7.3.2 a
		return refusePDN(eps.ESMCauseInvalidEPSBearerIdentity, fmt.Errorf("EPS bearer identity %d", m.EBI))
	case m.Request == eps.RequestTypeEmergency || m.Request == eps.RequestTypeEmergencyHandover || m.Request == eps.RequestTypeRLOS:
		return refusePDN(eps.ESMCauseServiceOptionNotSupported, fmt.Errorf("PDN request type %v", m.Request))
	case m.PDNType != eps.PDNTypeIPv4 && m.PDNType != eps.PDNTypeIPv6 && m.PDNType != eps.PDNTypeIPv4v6:
		return refusePDN(eps.ESMCauseUnknownPDNType, fmt.Errorf("PDN type %v", m.PDNType))
	}
	return nil
}

// allow finds what the phone asks for in its subscription: the APN, or the default
// one if it names none, and the PDN type (TS 24.301 §6.5.1.4, TS 23.401 §5.3.1.1).
func allow(p home.Profile, apn eps.Opt[id.APN], asked eps.PDNType) (w wish, err error) {
	name := p.APN
	if apn.OK {
		name = apn.V
	}
	a, ok := p.Find(name)
	if !ok {
		return w, refusePDN(eps.ESMCauseMissingOrUnknownAPN, fmt.Errorf("APN %q is asked for, the subscription has %v", name, p.Names()))
	}
	w = wish{APN: a, pdn: asked, asked: asked}
	switch {
	case a.PDN == home.PDNIPv4 && asked == eps.PDNTypeIPv6:
		return w, refusePDN(eps.ESMCausePDNTypeIPv4OnlyAllowed, fmt.Errorf("PDN type IPv6, the subscription has IPv4 for %q", name))
	case a.PDN == home.PDNIPv6 && asked == eps.PDNTypeIPv4:
		return w, refusePDN(eps.ESMCausePDNTypeIPv6OnlyAllowed, fmt.Errorf("PDN type IPv4, the subscription has IPv6 for %q", name))
	case asked != eps.PDNTypeIPv4v6:
	case a.PDN == home.PDNIPv4 || a.PDN == home.PDNEither:
		w.pdn = eps.PDNTypeIPv4
	case a.PDN == home.PDNIPv6:
		w.pdn = eps.PDNTypeIPv6
	}
	return w, nil
}

// address is the subscription's fixed address, zero if it has none.
func (w *wish) address() gtpc.Address {
	if !w.IPv4.Is4() || w.pdn == eps.PDNTypeIPv6 {
		return gtpc.Address{}
	}
	a := gtpc.Any(uint8(w.pdn))
	a.IPv4 = w.IPv4
	return a
}

// restriction is why the phone gets less than the IPv4v6 it asked for; 0 if it
// gets what it asked for (TS 24.301 §6.2.2).
func (w *wish) restriction(p *pdn) eps.ESMCause {
	got := p.address()
	switch {
	case w.asked != eps.PDNTypeIPv4v6 || got.Type() == gtpc.PDNIPv4v6:
		return 0
	case p.session.Cause == gtpc.NewPDNTypeSingleAddress || w.PDN == home.PDNEither && w.pdn != w.asked:
		return eps.ESMCauseSingleAddressBearersOnlyAllowed
	case got.Type() == gtpc.PDNIPv6:
		return eps.ESMCausePDNTypeIPv6OnlyAllowed
	}
	return eps.ESMCausePDNTypeIPv4OnlyAllowed
}

// address is what the phone has in the PDN connection.
func (p *pdn) address() gtpc.Address {
	return gtpc.Address{IPv4: p.session.Address, IPv6: p.session.IPv6}
}

// nasAddress is the address in the words of TS 24.301 §9.9.4.9.
func (p *pdn) nasAddress() eps.PDNAddress {
	a := p.address()
	out := eps.PDNAddress{Type: eps.PDNType(a.Type()), IPv4: a.IPv4}
	if a.IPv6.IsValid() {
		v := a.IPv6.As16()
		out.IID = [8]byte(v[8:])
	}
	return out
}

// fits says that the gateway gave an address of a type that was asked for.
func (w *wish) fits(p *pdn) bool {
	got := p.address().Type()
	return got != 0 && got&^uint8(w.pdn) == 0
}

// twin finds a PDN connection that the phone has with the same APN and an address
// of the same type: it may have no other (TS 24.301 §6.5.1.4, §6.5.1.7 a).
func (u *ue) twin(w wish) *pdn {
	i := slices.IndexFunc(u.pdns, func(p *pdn) bool {
		return p.session.APN == w.Name && p.address().Type()&uint8(w.pdn) != 0
	})
	if i < 0 {
		return nil
	}
	return u.pdns[i]
}
