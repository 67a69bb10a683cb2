package sim

import (
	"cmp"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/ipstack"
)

// defaultMTU is a link's that the network has said nothing of.
const defaultMTU = 1500

// wants is what the phone asks the network for beside addresses (TS 24.008
// §10.5.6.3).
func (p *Phone) wants() (o eps.PCO) {
	if p.o.PDN != eps.PDNTypeIPv6 {
		o = o.With(eps.ContainerDNSv4, nil).With(eps.ContainerIPv4LinkMTU, nil)
	}
	if p.o.PDN != eps.PDNTypeIPv4 {
		o = o.With(eps.ContainerDNSv6, nil)
	}
	return o
}

// startHost brings the phone's IP stack up under the addresses it was given.
func (p *Phone) startHost(s Session) error {
	p.mu.Lock()
	same := p.host != nil && p.hostOf.Address == s.Address && p.hostOf.IID == s.IID
	p.mu.Unlock()
	if !p.o.IP || same { // what was open under the address goes on
		return nil
	}
	p.stopHost()
	h, err := ipstack.NewHostWith(ipstack.HostOptions{Addr: s.Address, InterfaceID: s.IID, MTU: int(cmp.Or(s.MTU, defaultMTU)), DNS: s.DNS})
	if err != nil {
		return fmt.Errorf("sim: IP stack: %w", err)
	}
	done := make(chan struct{})
	p.mu.Lock()
	p.host, p.hostDone, p.hostOf = h, done, s
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
