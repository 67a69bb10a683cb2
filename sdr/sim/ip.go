package sim

import (
	"fmt"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/ipstack"
)

// startHost brings the phone's IP stack up under the address it was given.
func (p *Phone) startHost(s Session) error {
	p.mu.Lock()
	same := p.host != nil && p.hostAddr == s.Address
	p.mu.Unlock()
	if !p.o.IP || same { // what was open under the address goes on
		return nil
	}
	p.stopHost()
	h, err := ipstack.NewHost(s.Address, 0, s.DNS...)
	if err != nil {
		return fmt.Errorf("sim: IP stack: %w", err)
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.host, p.hostDone, p.hostAddr = h, done, s.Address
	p.mu.Unlock()
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, err := h.ReadPacket(buf)
			if err != nil {
				return
			}
			p.uplink(buf[:n])
		}
	}()
	return nil
}

func (p *Phone) stopHost() {
	p.mu.Lock()
	h, done := p.host, p.hostDone
	p.host, p.queue = nil, nil
	p.mu.Unlock()
	if h != nil {
		h.Close()
		<-done
	}
}

// uplink hands one IP packet to the default bearer, waking the phone when it
// is idle.
func (p *Phone) uplink(packet []byte) {
	p.mu.Lock()
	c := p.conn
	if c == nil || !p.up {
		if p.state != Deregistered && p.state != Detaching {
			if len(p.queue) < maxQueue {
				p.queue = append(p.queue, append([]byte(nil), packet...))
			} else {
				p.lost.Add(1)
			}
		}
		p.mu.Unlock()
		p.wakeUp(s1ap.RRCEstablishmentCauseMoData)
		return
	}
	ebi := p.session.EBI
	p.mu.Unlock()
	b := c.bearer(ebi)
	if b == nil || c.e.user == nil {
		p.lost.Add(1)
		return
	}
	n, err := gtpu.InnerLen(packet)
	if err != nil || c.e.user.send(b, packet) != nil {
		p.lost.Add(1)
		return
	}
	c.touch()
	p.ul.Add(uint64(n))
}

// downlink takes one IP packet from a bearer.
func (p *Phone) downlink(packet []byte) {
	n, err := gtpu.InnerLen(packet)
	if err != nil {
		p.lost.Add(1)
		return
	}
	p.dl.Add(uint64(n))
	if h := p.Host(); h != nil {
		h.WritePacket(packet)
	}
}
