package mme

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"campanile.network/3gpp/eps"
)

// hashMME is what a phone compares with its own attach or update request, if that
// was not protected with keys this MME has: somebody may have changed it on its way
// (TS 24.301 §5.4.3.2). Its last 64 bits are those of the KDF of TS 33.401 §I.2
// under a key of zeros.
func (c *conn) hashMME() (h eps.Opt[eps.HashMME]) {
	if c.proc == nil || c.proc.asked.sec == verified {
		return h
	}
	switch c.proc.asked.nas.(type) {
	case *eps.AttachRequest, *eps.TrackingAreaUpdateRequest:
		f := hmac.New(sha256.New, make([]byte, 32))
		f.Write(c.proc.asked.plain)
		h.OK, h.V = true, eps.HashMME(f.Sum(nil)[24:])
	}
	return h
}

// replayed takes the request that a phone repeats in its Security Mode Complete,
// because another one has arrived here: what it says now is what it has asked
// (TS 24.301 §5.4.3.4).
func (c *conn) replayed(m *eps.SecurityModeComplete) {
	if !m.ReplayedMessage.OK || c.proc == nil {
		return
	}
	raw := []byte(m.ReplayedMessage.V)
	nas, err := eps.Parse(eps.Uplink, raw)
	if err != nil || nas.MessageType() != c.proc.asked.nas.MessageType() {
		c.m.count.drop(dropNASUnexpected)
		c.m.log.Warn("a request repeated in Security Mode Complete is not taken", "imsi", c.ue.imsi, "err", err)
		return
	}
	c.m.count.procedure("initial message changed on its way", "")
	c.m.log.Warn("the phone's request had been changed on its way", "imsi", c.ue.imsi, "message", nas.MessageType().String())
	c.proc.asked.nas, c.proc.asked.plain = nas, raw
}

// meant gives what the phone asks, after security mode control may have shown that
// it is not what has arrived. Its capabilities must be those that the security mode
// was chosen for: a phone rejects others.
func (c *conn) meant(req *eps.AttachRequest, asked *eps.PDNConnectivityRequest) (*eps.AttachRequest, *eps.PDNConnectivityRequest, error) {
	again, ok := c.proc.asked.nas.(*eps.AttachRequest)
	if !ok || again == req {
		return req, asked, nil
	}
	if has := again.Capability.Security(again.MSCapability); has != c.ue.capability {
		return nil, nil, refuse(eps.EMMCauseUESecurityCapabilitiesMismatch, fmt.Errorf("the phone has %v, and took %v for its own", has, c.ue.capability))
	}
	asked, err := c.pdnRequest(again)
	return again, asked, err
}
