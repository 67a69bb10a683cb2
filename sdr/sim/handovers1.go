package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
)

// require is handover preparation at the source (TS 36.413 §8.4.1), cancelled
// when it takes too long.
func (c *conn) require(ctx context.Context, e *ENB, to Cell, token string) (*s1ap.HandoverCommand, error) {
	from := s1ap.FromECGI(c.cell.ecgi())
	box, err := (&s1ap.SourceeNBToTargeteNBTransparentContainer{RRCContainer: []byte(token), TargetCellID: s1ap.FromECGI(to.ecgi()),
		UEHistoryInformation: s1ap.UEHistoryInformation{{Choice: s1ap.LastVisitedCellItemChoiceEUTRANCell, EUTRANCell: &s1ap.LastVisitedEUTRANCellInformation{GlobalCellID: from}}},
	}).Append(nil)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	mme, enb := s1ap.MMEUES1APID(c.mmeID()), s1ap.ENBUES1APID(c.id)
	m := &s1ap.HandoverRequired{MMEUES1APID: mme, ENBUES1APID: enb, HandoverType: s1ap.HandoverTypeIntralte, Cause: s1ap.CauseRadioNetworkHandoverDesirableForRadioReason.Cause(),
		TargetID:                           s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID, TargeteNBID: &s1ap.TargeteNBID{GlobalENBID: s1ap.FromGlobalENBID(e.o.ID), SelectedTAI: s1ap.FromTAI(to.TAI)}},
		SourceToTargetTransparentContainer: box}
	if c.e.user != nil {
		m.DirectForwardingPathAvailability = new(s1ap.DirectForwardingPathAvailabilityDirectPathAvailable)
	}
	c.setLeaves(true)
	answer, err := c.ask(ctx, ts1RelocPrep, m)
	if cmd, ok := answer.(*s1ap.HandoverCommand); ok {
		return cmd, nil
	}
	c.setLeaves(false)
	if f, ok := answer.(*s1ap.HandoverPreparationFailure); ok {
		return nil, fmt.Errorf("sim: HANDOVER PREPARATION FAILURE: %v", f.Cause)
	}
	if !errors.Is(err, errMoved) { // else there is nothing left to be cancelled
		c.e.send(c.stream, &s1ap.HandoverCancel{MMEUES1APID: mme, ENBUES1APID: enb, Cause: s1ap.CauseRadioNetworkTS1relocprepExpiry.Cause()})
	}
	return nil, err
}

// ask sends what the MME answers, and waits for that.
func (c *conn) ask(ctx context.Context, limit time.Duration, m s1ap.Message) (s1ap.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ch := make(chan s1ap.Message, 1)
	c.mu.Lock()
	c.asking = ch
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.asking = nil
		c.mu.Unlock()
	}()
	if err := c.e.send(c.stream, m); err != nil {
		return nil, err
	}
	select {
	case answer := <-ch:
		if answer == nil {
			return nil, fmt.Errorf("%w: the connection was released meanwhile", errMoved)
		}
		return answer, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("sim: no answer to %s: %w", m.Header().Name, ctx.Err())
	}
}

// answered takes the MME's answer to ask.
func (c *conn) answered(m s1ap.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking == nil {
		c.e.stats.Unknown.Add(1)
		return
	}
	c.asking <- m
	c.asking = nil
}

func (c *conn) setLeaves(yes bool) {
	c.mu.Lock()
	c.leaves = yes
	c.mu.Unlock()
}

// tellStatus is eNB Status Transfer (TS 36.413 §8.4.6): where the counts of the
// bearers stand.
func (c *conn) tellStatus() {
	m := &s1ap.ENBStatusTransfer{MMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id)}
	list := &m.ENBStatusTransferTransparentContainer.BearersSubjectToStatusTransferList
	c.mu.Lock()
	for _, b := range c.bearers {
		*list = append(*list, s1ap.BearersSubjectToStatusTransferItem{ERABID: s1ap.ERABID(b.ebi)})
	}
	c.mu.Unlock()
	c.e.send(c.stream, m)
}

// hearStatus waits for the MME's word of where the counts stand (TS 36.413
// §8.4.7); the target goes on without it.
func (c *conn) hearStatus(ctx context.Context) error {
	t := time.NewTimer(tStatus)
	defer t.Stop()
	select {
	case <-c.status:
	case <-t.C:
	case <-ctx.Done():
		return fmt.Errorf("sim: handover: %w", ctx.Err())
	}
	return nil
}

// prepare is handover resource allocation at the target (TS 36.413 §8.4.2).
func (e *ENB) prepare(m *s1ap.HandoverRequest) {
	fail := func(cause s1ap.Cause) {
		e.send(streamUE, &s1ap.HandoverFailure{MMEUES1APID: m.MMEUES1APID, Cause: cause})
	}
	box, err := s1ap.ParseSourceToTarget(m.SourceToTargetTransparentContainer)
	e.mu.Lock()
	p := e.expected[string(box.RRCContainer)]
	e.mu.Unlock()
	var to *Cell
	for i := range e.cells {
		if s1ap.FromECGI(e.cells[i].ecgi()).CellID == box.TargetCellID.CellID {
			to = &e.cells[i]
		}
	}
	if err != nil || p == nil || to == nil {
		fail(s1ap.CauseRadioNetworkCellNotAvailable.Cause())
		return
	}
	hop := nassec.NextHop{NCC: m.SecurityContext.NextHopChainingCount, Key: secret.Key256(m.SecurityContext.NextHopParameter)}
	c := e.newConn(p, *to, id.MMEUEID(m.MMEUES1APID))
	c.access = accessKeys{key: star(hop.Key, *to), hop: hop, has: m.UESecurityCapabilities}
	ack := &s1ap.HandoverRequestAcknowledge{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: s1ap.ENBUES1APID(c.id)}
	for i := range m.ERABToBeSetupListHOReq {
		r := &m.ERABToBeSetupListHOReq[i]
		b, err := c.add(r.ERABID, &r.TransportLayerAddress, r.GTPTEID)
		if err != nil {
			ack.ERABFailedtoSetupListHOReqAck = append(ack.ERABFailedtoSetupListHOReqAck,
				s1ap.ERABFailedToSetupItemHOReqAck{ERABID: r.ERABID, Cause: s1ap.CauseTransportTransportResourceUnavailable.Cause()})
			continue
		}
		item := s1ap.ERABAdmittedItem{ERABID: r.ERABID, TransportLayerAddress: s1ap.FromAddr(e.s1u()), GTPTEID: s1ap.FromTEID(b.local)}
		if r.IEExtensions == nil || r.IEExtensions.DataForwardingNotPossible == nil {
			item.DLTransportLayerAddress, item.DLGTPTEID = item.TransportLayerAddress, &item.GTPTEID
		}
		ack.ERABAdmittedList = append(ack.ERABAdmittedList, item)
	}
	command := binary.BigEndian.AppendUint32([]byte{hop.NCC}, uint32(c.id))
	ack.TargetToSourceTransparentContainer, err = (&s1ap.TargeteNBToSourceeNBTransparentContainer{RRCContainer: command}).Append(nil)
	if err != nil || len(ack.ERABAdmittedList) == 0 {
		e.mu.Lock()
		delete(e.conns, c.id)
		e.mu.Unlock()
		c.release(errMoved)
		fail(s1ap.CauseRadioNetworkNoRadioResourcesAvailableInTargetCell.Cause())
		return
	}
	e.send(c.stream, ack)
}
