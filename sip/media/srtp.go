package media

import (
	"encoding/binary"
	"errors"

	"github.com/pion/srtp/v3"
)

// maxSources is how many SSRCs one key may be used with: a peer has one, or one
// for each time it begins anew.
const maxSources = 32

// opener decrypts what comes under one key. The library keeps a record of every
// SSRC it is asked about, authentic or not: so an SSRC that has not shown an
// authentic packet yet is tried on a context that is thrown away.
type opener struct {
	key     *Crypto
	context *srtp.Context
	known   map[uint32]bool
}

// sealer encrypts what goes under one key.
type sealer struct{ context *srtp.Context }

// newCrypt gives nil for no keys.
func newCrypt(open, seal *Crypto) (*opener, *sealer, error) {
	if open == nil {
		return nil, nil, nil
	}
	in, err := open.context()
	if err != nil {
		return nil, nil, err
	}
	out, err := seal.context()
	if err != nil {
		return nil, nil, err
	}
	return &opener{key: open, context: in, known: map[uint32]bool{}}, &sealer{out}, nil
}

func (c *Crypto) context() (*srtp.Context, error) {
	profile := srtp.ProtectionProfileAes128CmHmacSha1_80
	if c.Suite == AESCM32 {
		profile = srtp.ProtectionProfileAes128CmHmacSha1_32
	}
	return srtp.CreateContext(c.key[:16], c.key[16:], profile, srtp.SRTPReplayProtection(128), srtp.SRTCPReplayProtection(64))
}

// open decrypts one packet of RTP into dst, or says why it cannot be believed.
func (o *opener) open(dst []byte, p *packet) ([]byte, Drop, bool) {
	b := p.b
	if len(p.payload) < o.key.Suite.tag() {
		return nil, Garbage, false
	}
	if !o.believes(p.ssrc, func(c *srtp.Context) error {
		_, err := c.DecryptRTP(dst, b, nil)
		return err
	}) {
		return nil, Forged, false
	}
	clear, err := o.context.DecryptRTP(dst, b, nil)
	return clear, reason(err), err == nil
}

// openRTCP is open for RTCP.
func (o *opener) openRTCP(dst, b []byte) ([]byte, Drop, bool) {
	if len(b) < 8+4+10 {
		return nil, Garbage, false
	}
	if !o.believes(binary.BigEndian.Uint32(b[4:]), func(c *srtp.Context) error {
		_, err := c.DecryptRTCP(dst, b, nil)
		return err
	}) {
		return nil, Forged, false
	}
	clear, err := o.context.DecryptRTCP(dst, b, nil)
	return clear, reason(err), err == nil
}

func (o *opener) believes(ssrc uint32, try func(*srtp.Context) error) bool {
	if o.known[ssrc] {
		return true
	}
	if len(o.known) == maxSources {
		return false
	}
	c, err := o.key.context()
	if err != nil || try(c) != nil {
		return false
	}
	o.known[ssrc] = true
	return true
}

// reason tells a replay from a forgery; lengths have been looked at.
func reason(err error) Drop {
	if errors.Is(err, srtp.ErrFailedToVerifyAuthTag) {
		return Forged
	}
	return Replayed
}

func (s *sealer) rtp(dst, b []byte) ([]byte, error)  { return s.context.EncryptRTP(dst, b, nil) }
func (s *sealer) rtcp(dst, b []byte) ([]byte, error) { return s.context.EncryptRTCP(dst, b, nil) }
