package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/internal/logs"
)

// capability of the phone: EEA0-3, EIA1-3, as srsue's.
func capability() eps.UENetworkCapability {
	return eps.NewUENetworkCapability(0, 1, 2, 3, 8+1, 8+2, 8+3)
}

// protect encodes and protects a message. Called with mu held.
func (p *Phone) protect(h nassec.HeaderType, m eps.Message) ([]byte, error) {
	plain, err := eps.Append(nil, m)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	b, err := p.sec.Protect(nil, h, plain)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	return b, nil
}

// receive handles one downlink NAS message.
func (p *Phone) receive(c *conn, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c {
		return
	}
	m, protected, err := p.open(b)
	if err != nil {
		p.stats.count(err)
		p.log.Warn("NAS message dropped", logs.Error, err)
		return
	}
	if err := p.handle(c, m, protected); err != nil {
		p.log.Info("procedure failed", logs.Procedure, m.MessageType(), logs.Error, err)
		p.finish(err)
	}
}

// open checks protection (TS 24.301 §4.4.4.2). From the first protected message
// on a connection takes no other.
func (p *Phone) open(b []byte) (m eps.Message, protected bool, err error) {
	p.fresh = nil
	t, err := nassec.TypeOf(b)
	if err != nil {
		return nil, false, err
	}
	plain := b
	switch {
	case t == nassec.IntegrityNewContext:
		if plain, err = p.openSecurityModeCommand(b); err != nil {
			return nil, false, err
		}
	case t != nassec.Plain:
		if p.sec == nil {
			return nil, false, errors.New("protected message without a security context")
		}
		r, err := p.sec.Unprotect(nil, b)
		if err != nil {
			return nil, false, err
		}
		plain, p.secured = r.Plain, true
	}
	m, err = eps.Parse(eps.Downlink, plain)
	return m, t != nassec.Plain, err
}

// openSecurityModeCommand checks a SECURITY MODE COMMAND under the keys it
// announces, which wait in fresh until its content is found right.
func (p *Phone) openSecurityModeCommand(b []byte) ([]byte, error) {
	h, err := nassec.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	m, err := eps.Parse(eps.Downlink, h.Payload)
	if err != nil {
		return nil, err
	}
	smc, ok := m.(*eps.SecurityModeCommand)
	if !ok {
		return nil, fmt.Errorf("%v under a new security context", m.MessageType())
	}
	var st nassec.State
	switch {
	case p.pending != nil:
		st = *p.pending
	case p.o.Emergency && smc.Algorithms == eps.Algorithms{}:
		st = nassec.State{Role: nassec.Phone, AllowNullIntegrity: true}
	default:
		return nil, errors.New("SECURITY MODE COMMAND without authentication")
	}
	st.EEA, st.EIA = nassec.EEA(smc.Algorithms.Ciphering), nassec.EIA(smc.Algorithms.Integrity)
	sec, err := nassec.New(st)
	if err != nil {
		return nil, err
	}
	r, err := sec.Unprotect(nil, b)
	if err != nil {
		return nil, err
	}
	if smc.KSI.Value() != st.KSI {
		return nil, fmt.Errorf("SECURITY MODE COMMAND for key set %v, want %d", smc.KSI, st.KSI)
	}
	p.fresh = sec
	return r.Plain, nil
}

// count says why a message was dropped.
func (s *PhoneStats) count(err error) {
	switch {
	case errors.Is(err, nassec.ErrMAC):
		s.MAC.Add(1)
	case errors.Is(err, nassec.ErrReplay):
		s.Replayed.Add(1)
	default:
		s.Undecodable.Add(1)
	}
}

// handle answers one message. Called with mu held; its error ends the running
// procedure.
func (p *Phone) handle(c *conn, m eps.Message, protected bool) error {
	if !protected && (p.secured || !plainAccepted(m)) {
		p.stats.Plain.Add(1)
		p.log.Warn("plain NAS message refused", logs.Procedure, m.MessageType())
		return nil
	}
	switch m := m.(type) {
	case *eps.IdentityRequest:
		return p.identityRequest(c, m)
	case *eps.AuthenticationRequest:
		return p.authenticationRequest(c, m)
	case *eps.AuthenticationReject:
		p.forget()
		p.deregister()
		return ErrAuthenticationReject
	case *eps.SecurityModeCommand:
		return p.securityModeCommand(c, m)
	case *eps.ESMInformationRequest:
		r := &eps.ESMInformationResponse{PTI: m.PTI, PCO: eps.Some(p.wants())}
		if !p.o.APN.IsZero() {
			r.APN = eps.Some(p.o.APN)
		}
		return p.answer(c, r)
	case *eps.AttachAccept:
		return p.attachAccept(c, m)
	case *eps.AttachReject:
		return p.attachReject(m)
	case *eps.ServiceReject:
		return p.serviceReject(c, m)
	case *eps.DetachAccept:
		p.finish(nil)
	case *eps.NetworkDetachRequest:
		return p.networkDetach(c, m)
	case *eps.TrackingAreaUpdateAccept:
		return p.updateAccept(c, m)
	case *eps.TrackingAreaUpdateReject:
		return p.updateReject(c, m)
	case *eps.GUTIReallocationCommand:
		if !p.o.SRSUE {
			return p.reallocate(c, m)
		}
	case *eps.DownlinkNASTransport:
		return p.downlinkSMS(c, m)
	case *eps.EMMInformation:
		p.inform(m)
	case *eps.EMMStatus:
		p.log.Debug("information", logs.Procedure, m.MessageType())
	case eps.ESM:
		return p.handleESM(c, m)
	default:
		return p.answer(c, &eps.EMMStatus{Cause: eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState})
	}
	return nil
}

// plainAccepted lists what a phone takes without integrity protection
// (TS 24.301 §4.4.4.2).
func plainAccepted(m eps.Message) bool {
	switch m := m.(type) {
	case *eps.IdentityRequest:
		return m.Type == eps.IdentityTypeIMSI
	case *eps.AuthenticationRequest, *eps.AuthenticationReject, *eps.AttachReject, *eps.DetachAccept, *eps.TrackingAreaUpdateReject, *eps.ServiceReject:
		return true
	}
	return false
}

// inform keeps what the network says of itself; what it leaves out stays.
func (p *Phone) inform(m *eps.EMMInformation) {
	if m.FullName.OK {
		p.network.FullName = m.FullName.V.Text()
	}
	if m.ShortName.OK {
		p.network.ShortName = m.ShortName.V.Text()
	}
	if m.Time.OK {
		p.network.Time = m.Time
	}
	p.log.Info("network", "name", p.network.FullName, "short", p.network.ShortName)
}

// forget deletes GUTI and security context.
func (p *Phone) forget() {
	p.at.enb.camp(p, p.tmsi(), nil)
	p.guti, p.sec, p.pending, p.fresh, p.tais, p.secured = nil, nil, nil, nil, nil, false
}

// deregister ends a registration; an attach that runs ends by itself.
func (p *Phone) deregister() {
	if p.state != Attaching {
		p.state = Deregistered
	}
}

// answer sends a message, protected as soon as there is a context.
func (p *Phone) answer(c *conn, m eps.Message) error {
	var b []byte
	var err error
	if p.sec != nil {
		b, err = p.protect(nassec.IntegrityCiphered, m)
	} else {
		b, err = eps.Append(nil, m)
	}
	if err != nil {
		return err
	}
	return c.uplinkNAS(b)
}

func (p *Phone) identityRequest(c *conn, m *eps.IdentityRequest) error {
	r := &eps.IdentityResponse{Identity: eps.MobileIMSI(p.o.SIM.IMSI)}
	if m.Type != eps.IdentityTypeIMSI {
		r.Identity = eps.MobileIMEI(p.o.IMEISV)
	}
	return p.answer(c, r)
}

// authenticationRequest is TS 24.301 §5.4.2.3 and §5.4.2.6 in the phone.
func (p *Phone) authenticationRequest(c *conn, m *eps.AuthenticationRequest) error {
	res, kasme, err := p.card.AuthenticateEPS(aka.RAND(m.RAND), aka.AUTN(m.AUTN), p.at.cell.TAI.PLMN)
	if err == nil {
		p.pending = &nassec.State{Role: nassec.Phone, KSI: m.KSI.Value(), KASME: kasme}
		return p.answer(c, &eps.AuthenticationResponse{RES: res.Bytes()})
	}
	cause, known := aka.Cause(err)
	if !known {
		return err
	}
	f := &eps.AuthenticationFailure{Cause: eps.EMMCause(cause)}
	var synch *aka.SynchFailure
	if errors.As(err, &synch) {
		f.AUTS = eps.Some(eps.AUTS(synch.AUTS))
	}
	p.log.Info("AUTHENTICATION FAILURE", logs.Cause, f.Cause)
	return p.answer(c, f)
}

// securityModeCommand is TS 24.301 §5.4.3.3: the replayed capabilities must be
// the phone's own. If not, what was in use before stays in use, for the reject
// too (§5.4.3.5).
func (p *Phone) securityModeCommand(c *conn, m *eps.SecurityModeCommand) error {
	fresh := p.fresh
	p.fresh = nil
	if fresh == nil {
		return p.answer(c, &eps.EMMStatus{Cause: eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState})
	}
	p.pending = nil
	if want := capability().Security(eps.Opt[eps.MSNetworkCapability]{}); m.Capability != want {
		p.stats.Capabilities.Add(1)
		return p.answer(c, &eps.SecurityModeReject{Cause: eps.EMMCauseUESecurityCapabilitiesMismatch})
	}
	p.sec, p.secured = fresh, true
	r := &eps.SecurityModeComplete{}
	if m.IMEISVRequest.OK && m.IMEISVRequest.V == eps.IMEISVRequestYes && p.o.IMEISV.Digits() != "" {
		r.IMEISV = eps.Some(eps.MobileIMEI(p.o.IMEISV))
	}
	if m.HashMME.OK && m.HashMME.V != hashUE(p.asked) {
		p.stats.Changed.Add(1)
		r.ReplayedMessage = eps.Some(eps.EMMContainer(p.asked))
	}
	p.kenb = p.sec.UL()
	b, err := p.protect(nassec.CipheredNewContext, r)
	if err != nil {
		return err
	}
	return c.uplinkNAS(b)
}

// hashUE is the HASH_UE of an attach request (TS 33.401 §I.2).
func hashUE(plain []byte) eps.HashMME {
	f := hmac.New(sha256.New, make([]byte, 32))
	f.Write(plain)
	return eps.HashMME(f.Sum(nil)[24:])
}

// renumber takes a new GUTI and camps under it.
func (p *Phone) renumber(g id.GUTI) {
	now := g.STMSI()
	p.at.enb.camp(p, p.tmsi(), &now)
	p.guti = &g
	p.session.GUTI = g
}
