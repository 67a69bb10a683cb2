package mme

import (
	"errors"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

func begun(name string, in inbound) *procedure {
	if in.leg != nil {
		in.leg.enb.m.count.begins(name)
	}
	return &procedure{name: name, began: time.Now(), asked: in}
}

// begin runs the procedure that a message asks for.
func (c *conn) begin(in inbound) error {
	c.over = s1ap.Cause{}
	switch m := in.msg.(type) {
	case newLeg:
		c.cutLines()
		c.move(in.leg)
		c.secured, c.spoke, c.start = true, false, in.count
		c.cameAs(in, m.msg.(*s1ap.InitialUEMessage))
	case *s1ap.InitialUEMessage:
		if err := c.meet(&in, m); err != nil {
			return err
		}
		if err := c.fromPool(&in, m); err != nil {
			return err
		}
	default:
		if _, esm := in.nas.(eps.ESM); in.sec == verified && !esm {
			c.start = in.count
		}
	}
	if c.order != nil && in.sec == verified {
		if err := c.begunAnyway(in.nas); err != nil {
			return err
		}
	}
	if _, is := in.msg.(renewOrder); is {
		return c.renewLive()
	}
	switch m := in.nas.(type) {
	case *eps.AttachRequest:
		c.proc = begun("attach", in)
		return c.attachIfRoom(m, in)
	case *eps.ServiceRequest:
		c.proc = begun("service request", in)
		return c.service(in)
	case *eps.ExtendedServiceRequest:
		c.proc = begun("extended service request", in)
		return c.extendedService(m, in)
	case *eps.TrackingAreaUpdateRequest:
		c.proc = begun("tracking area update", in)
		return c.update(m, in)
	case *eps.DetachRequest:
		c.proc = begun("detach", in)
		return c.detach(m, in)
	case *eps.ControlPlaneServiceRequest:
		c.proc = begun("service request", in)
		return refuse(eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, errors.New("control plane optimisation, which this network does not have"))
	}
	if _, first := in.msg.(*s1ap.InitialUEMessage); !first {
		if is, err := c.beginESM(in); is {
			return err
		}
	}
	c.proc = begun("connection", in)
	return silent(errors.New("the first message is none that begins a procedure"))
}
