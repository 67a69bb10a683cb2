package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// Timers of short messages in a phone (TS 24.011 §10).
const (
	tc1  = 10 * time.Second // CP-ACK
	tr1m = 40 * time.Second // RP-ACK
)

// cpSends is how often a phone sends a CP-DATA that nobody acknowledges.
const cpSends = 3

// ErrNoSMS says that the network has given the phone no short messages.
var ErrNoSMS = errors.New("sim: the network has accepted the phone for EPS services only")

// texting is the short messages of a phone.
type texting struct {
	granted  bool
	ti       uint8
	mo       chan sms.CP // of the transaction under way; nil: none
	last     *sms.CPData // the network's last
	received []sms.RPData
}

// Received gives the RP-DATA that the network has brought, oldest first.
func (p *Phone) Received() []sms.RPData {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sms.RPData(nil), p.sms.received...)
}

// SendSMS sends an *sms.RPData or *sms.RPSMMA over NAS (TS 24.301 §5.6.3), after a
// service request if the phone is idle, and gives the network's *sms.RPAck or
// *sms.RPError. One at a time.
func (p *Phone) SendSMS(ctx context.Context, m sms.RP) (sms.RP, error) {
	user, err := sms.Append(nil, m)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer p.end()
	if p.State() == Idle {
		if err := p.service(ctx, s1ap.RRCEstablishmentCauseMoSignalling); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tr1m)
	defer cancel()
	p.mu.Lock()
	c, freed, granted := p.conn, p.freed, p.sms.granted
	p.sms.ti = (p.sms.ti + 1) % 7
	ti, in := sms.TI{Value: p.sms.ti}, make(chan sms.CP, 8)
	p.sms.mo = in
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.sms.mo = nil
		p.mu.Unlock()
	}()
	switch {
	case !granted:
		return nil, ErrNoSMS
	case c == nil:
		return nil, errors.New("sim: no connection for a short message")
	}
	return p.exchangeCP(ctx, c, ti, user, in, freed)
}

// exchangeCP sends CP-DATA until it is acknowledged and gives what the network
// answers to it (TS 24.011 §5.3.2).
func (p *Phone) exchangeCP(ctx context.Context, c *conn, ti sms.TI, user []byte, in <-chan sms.CP, freed <-chan struct{}) (sms.RP, error) {
	for sends := 0; ; {
		var again <-chan time.Time
		if sends >= 0 {
			if sends++; sends > cpSends {
				return nil, errors.New("sim: no CP-ACK")
			}
			if err := p.sendCP(c, &sms.CPData{TI: ti, User: user}); err != nil {
				return nil, err
			}
			again = time.After(tc1)
		}
		select {
		case m := <-in:
			sends = -1 // it is acknowledged, whatever this is
			switch m := m.(type) {
			case *sms.CPError:
				return nil, fmt.Errorf("sim: CP-ERROR: %v", m.Cause)
			case *sms.CPData:
				rp, err := m.RP()
				if err != nil {
					return nil, fmt.Errorf("sim: %w", err)
				}
				return rp, p.sendCP(c, &sms.CPAck{TI: ti})
			}
		case <-again:
		case <-freed:
			return nil, errors.New("sim: released in the middle of a short message")
		case <-ctx.Done():
			return nil, fmt.Errorf("sim: short message: %w", ctx.Err())
		}
	}
}

// sendCP sends a CP message.
func (p *Phone) sendCP(c *conn, m sms.CP) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answerCP(c, m)
}

// answerCP is sendCP with mu held.
func (p *Phone) answerCP(c *conn, m sms.CP) error {
	b, err := sms.Append(nil, m)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return p.answer(c, &eps.UplinkNASTransport{Container: b})
}

// downlinkSMS takes what the network sends (TS 24.011 §5.3): the answer to the
// phone's own message, or one to the phone, which is acknowledged. Called with mu
// held.
func (p *Phone) downlinkSMS(c *conn, m *eps.DownlinkNASTransport) error {
	cp, err := sms.ParseCP(m.Container)
	if err != nil {
		p.stats.Undecodable.Add(1)
		return nil
	}
	data, isData := cp.(*sms.CPData)
	if !isData || data.TI.Flag {
		if p.sms.mo != nil {
			select {
			case p.sms.mo <- cp:
			default:
			}
		}
		return nil
	}
	if err := p.answerCP(c, &sms.CPAck{TI: data.TI.Reply()}); err != nil {
		return err
	}
	rp, err := data.RP()
	d, ok := rp.(*sms.RPData)
	if err != nil || !ok {
		p.stats.Undecodable.Add(1)
		return nil
	}
	if l := p.sms.last; l == nil || l.TI != data.TI || !bytes.Equal(l.User, data.User) { // not the same again
		p.sms.received = append(p.sms.received, *d)
	}
	p.sms.last = data
	user, err := sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference})
	if err != nil {
		return err
	}
	return p.answerCP(c, &sms.CPData{TI: data.TI.Reply(), User: user})
}
