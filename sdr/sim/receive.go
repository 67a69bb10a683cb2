package sim

import (
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
)

// receive handles one S1AP message of the MME.
func (e *ENB) receive(m sctp.Message) {
	p, err := s1ap.Parse(m.Data)
	if err != nil {
		e.stats.SyntaxErrors.Add(1)
		e.log.Warn("S1AP not understood", logs.Error, err)
		if p.Message == nil {
			return
		}
	}
	switch m := p.Message.(type) {
	case *s1ap.S1SetupResponse:
		e.setUp(m)
	case *s1ap.S1SetupFailure:
		e.setupFailed(m)
	case *s1ap.DownlinkNASTransport:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.downlinkNAS(m.NASPDU)
		}
	case *s1ap.InitialContextSetupRequest:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.setupContext(m)
		}
	case *s1ap.UEContextModificationRequest:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.modifyContext(m)
		}
	case *s1ap.ERABSetupRequest:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.setupERABs(m)
		}
	case *s1ap.ERABModifyRequest:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.modifyERABs(m)
		}
	case *s1ap.ERABReleaseCommand:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			c.releaseERABs(m)
		}
	case *s1ap.UEContextReleaseCommand:
		e.releaseCommand(m)
	case *s1ap.HandoverRequest:
		e.prepare(m)
	case *s1ap.HandoverCommand, *s1ap.HandoverPreparationFailure, *s1ap.PathSwitchRequestAcknowledge, *s1ap.PathSwitchRequestFailure:
		mme, enb := s1ap.UEIDs(m)
		if c := e.find(*enb, *mme); c != nil {
			c.answered(m)
		}
	case *s1ap.HandoverCancelAcknowledge:
		e.find(m.ENBUES1APID, m.MMEUES1APID)
	case *s1ap.MMEStatusTransfer:
		if c := e.find(m.ENBUES1APID, m.MMEUES1APID); c != nil {
			e.stats.StatusTransfers.Add(1)
			select {
			case c.status <- struct{}{}:
			default:
			}
		}
	case *s1ap.Paging:
		e.page(m)
	case *s1ap.Reset:
		e.reset(m)
	case *s1ap.ResetAcknowledge:
		select {
		case e.acked <- struct{}{}:
		default: // nobody waits
		}
	case *s1ap.ErrorIndication:
		e.errorIndication(m)
	case *s1ap.MMEConfigurationUpdate:
		e.stats.ConfigurationUpdates.Add(1)
		if !e.o.SRSENB {
			e.send(streamCommon, &s1ap.MMEConfigurationUpdateAcknowledge{})
		}
	case *s1ap.OverloadStart:
		e.stats.Overloads.Add(1)
	case *s1ap.OverloadStop:
	default:
		e.stats.Unknown.Add(1)
		e.log.Debug("message not handled", logs.Procedure, p.Message.Header().Name)
	}
}

// setUp is the end of S1 Setup (TS 36.413 §8.7.3.2).
func (e *ENB) setUp(m *s1ap.S1SetupResponse) {
	e.mu.Lock()
	if !e.setup {
		e.setup, e.refuse = true, nil
		e.stats.Setups.Add(1)
		close(e.up)
	}
	e.mu.Unlock()
	e.log.Info("cell is up", logs.Cell, e.cells[0].ecgi(), "mme", string(m.MMEname))
}

// setupFailed: the association is of no use (TS 36.413 §8.7.3.3).
func (e *ENB) setupFailed(m *s1ap.S1SetupFailure) {
	e.mu.Lock()
	e.refuse = fmt.Errorf("sim: S1 Setup Failure: %v", m.Cause)
	a := e.assoc
	e.mu.Unlock()
	e.log.Warn("S1 Setup Failure", logs.Cause, m.Cause)
	if a != nil {
		a.Abort("S1 Setup Failure")
	}
}

// find looks a phone's connection up, and learns the MME's identity for it
// from the first message (TS 36.413 §8.6.2.1). An unknown or wrong pair is
// answered with an Error Indication (TS 36.413 §10.6).
func (e *ENB) find(enb s1ap.ENBUES1APID, mme s1ap.MMEUES1APID) *conn {
	e.mu.Lock()
	c := e.conns[id.ENBUEID(enb)]
	e.mu.Unlock()
	if c != nil && c.pair(id.MMEUEID(mme)) {
		return c
	}
	e.stats.Unknown.Add(1)
	cause := s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause()
	e.send(streamCommon, &s1ap.ErrorIndication{MMEUES1APID: &mme, ENBUES1APID: &enb, Cause: &cause})
	return nil
}

// findMME looks a connection up by the MME's identity alone.
func (e *ENB) findMME(mme s1ap.MMEUES1APID) *conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.conns {
		if c.named(mme) {
			return c
		}
	}
	return nil
}

func (e *ENB) releaseCommand(m *s1ap.UEContextReleaseCommand) {
	var c *conn
	switch m.UES1APIDs.Choice {
	case s1ap.UES1APIDsChoiceUES1APIDPair:
		pair := m.UES1APIDs.UES1APIDPair
		if c = e.find(pair.ENBUES1APID, pair.MMEUES1APID); c == nil {
			return
		}
	case s1ap.UES1APIDsChoiceMMEUES1APID:
		if c = e.findMME(m.UES1APIDs.MMEUES1APID); c == nil {
			e.stats.Unknown.Add(1)
			return
		}
	default:
		e.stats.Unknown.Add(1)
		return
	}
	e.mu.Lock()
	delete(e.conns, c.id)
	e.mu.Unlock()
	e.send(c.stream, &s1ap.UEContextReleaseComplete{MMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id)})
	c.release(&Released{m.Cause}) // only then: the phone may come back at once
}
