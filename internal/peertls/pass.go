package peertls

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Pass is issuer's word that the holder of key acts for it in a role until end:
// a certificate, DER. It cannot be taken back before; give it no longer than a
// stolen key may be tolerated.
func Pass(issuer ed25519.PrivateKey, key [32]byte, role string, end time.Time) ([]byte, error) {
	if role == "" || len(role) > 64 {
		return nil, fmt.Errorf("peertls: pass for role %q", role)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: role},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "issuer"}}, ed25519.PublicKey(key[:]), issuer)
	if err != nil {
		return nil, fmt.Errorf("peertls: %w", err)
	}
	return der, nil
}

// Peer is the other end of a connection.
type Peer struct {
	Key  [32]byte // proven
	cert *x509.Certificate
}

// PassEnd is when a pass ends.
func PassEnd(pass []byte) (time.Time, error) {
	c, err := x509.ParseCertificate(pass)
	if err != nil {
		return time.Time{}, fmt.Errorf("peertls: pass: %w", err)
	}
	return c.NotAfter, nil
}

// Role is what the peer does for issuer, or "" when it shows no pass of its
// that is valid now.
func (p Peer) Role(issuer [32]byte) string {
	c := p.cert
	if c == nil || time.Now().After(c.NotAfter) || c.SignatureAlgorithm != x509.PureEd25519 || p.Key == issuer || !ed25519.Verify(issuer[:], c.RawTBSCertificate, c.Signature) {
		return ""
	}
	return c.Subject.CommonName
}

// ServerFor is Server for a check that looks at passes, too.
func ServerFor(key ed25519.PrivateKey, check func(Peer) error) (*tls.Config, error) {
	own, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return config(key, own, check), nil
}

// ClientWith is Client for a key with a pass.
func ClientWith(key ed25519.PrivateKey, pass []byte, want [32]byte) (*tls.Config, error) {
	c, err := x509.ParseCertificate(pass)
	if err != nil {
		return nil, fmt.Errorf("peertls: pass: %w", err)
	}
	if own, ok := c.PublicKey.(ed25519.PublicKey); !ok || !own.Equal(key.Public()) {
		return nil, errors.New("peertls: the pass is for another key")
	}
	return config(key, pass, only(want)), nil
}

// PeerOf gives the caller of a gRPC method.
func PeerOf(ctx context.Context) (Peer, error) {
	s, err := stateOf(ctx)
	if err != nil {
		return Peer{}, err
	}
	return peerOf(s)
}
