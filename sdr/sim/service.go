package sim

import (
	"context"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
)

// ServiceRequest brings the user plane up from idle mode. cause is mo-Data, or
// mt-Access after paging.
func (p *Phone) ServiceRequest(ctx context.Context, cause s1ap.RRCEstablishmentCause) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	defer p.end()
	return p.service(ctx, cause)
}

// service is ServiceRequest; the phone's turn is the caller's.
func (p *Phone) service(ctx context.Context, cause s1ap.RRCEstablishmentCause) error {
	if p.State() == Idle {
		if err := p.free(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t3417)
	defer cancel()
	p.mu.Lock()
	if p.state != Idle || p.sec == nil {
		defer p.mu.Unlock()
		return fmt.Errorf("sim: service request while %v", p.state)
	}
	p.kenb = p.sec.UL()
	nas, err := p.sec.AppendServiceRequest(nil)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return p.run(ctx, cause, nas)
}

// paged: the network has something; answer with a service request.
func (p *Phone) paged() { p.wakeUp(s1ap.RRCEstablishmentCauseMtAccess) }

// wakeUp brings the user plane up in the background, by an update where one is
// due.
func (p *Phone) wakeUp(cause s1ap.RRCEstablishmentCause) {
	if p.State() != Idle || !p.waking.CompareAndSwap(false, true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		p.waking.Store(false)
		return
	}
	p.spawn(func(ctx context.Context) {
		defer p.waking.Store(false)
		if p.begin(ctx) != nil {
			return
		}
		defer p.end()
		if p.State() != Idle {
			return
		}
		var err error
		if p.elsewhere() {
			err = p.update(ctx, eps.UpdateTA|eps.UpdateActive)
		} else {
			err = p.service(ctx, cause)
		}
		if err != nil {
			p.log.Info("service request", logs.Error, err)
			p.dropQueue()
		}
	})
}

func (p *Phone) dropQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost.Add(uint64(len(p.queue)))
	p.queue = nil
}
