// Package peertls is mutual TLS 1.3 between parties that know each other by
// ed25519 key: the certificate is made on the spot, self-signed, and only its
// key counts. There are no names and no authorities; who may speak is
// decided by the caller's check of the key, or of the pass that another key has
// given to it for a time.
package peertls

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Refused says whether err comes of a server whose check did not admit this
// end: TLS tells no more than that.
func Refused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "remote error: tls: bad certificate")
}

// Check decides whether the holder of an ed25519 public key may speak. Its
// error ends the handshake.
type Check func(key [32]byte) error

// Server is a server's TLS configuration that shows key and admits whom check
// admits.
func Server(key ed25519.PrivateKey, check Check) (*tls.Config, error) {
	return ServerFor(key, func(p Peer) error { return check(p.Key) })
}

// Client is a client's TLS configuration that shows key and talks to the
// holder of want only.
func Client(key ed25519.PrivateKey, want [32]byte) (*tls.Config, error) {
	own, err := selfSigned(key)
	if err != nil {
		return nil, err
	}
	return config(key, own, only(want)), nil
}

func only(want [32]byte) func(Peer) error {
	return func(p Peer) error {
		if p.Key != want {
			return fmt.Errorf("peer shows key %x…, want %x…", p.Key[:4], want[:4])
		}
		return nil
	}
}

var forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280 §4.1.2.5: no expiry

func selfSigned(key ed25519.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: forever}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("peertls: %w", err)
	}
	return der, nil
}

func config(key ed25519.PrivateKey, cert []byte, check func(Peer) error) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // names and authorities mean nothing here; VerifyConnection checks the key
		NextProtos:         []string{"h2"},
		VerifyConnection: func(s tls.ConnectionState) error {
			p, err := peerOf(s)
			if err != nil {
				return err
			}
			if err := check(p); err != nil {
				return fmt.Errorf("peertls: key %s: %w", hex.EncodeToString(p.Key[:4]), err)
			}
			return nil
		},
	}
}

func peerOf(s tls.ConnectionState) (Peer, error) {
	if len(s.PeerCertificates) == 0 {
		return Peer{}, errors.New("peertls: peer shows no certificate")
	}
	c := s.PeerCertificates[0]
	pub, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok {
		return Peer{}, errors.New("peertls: peer's key is not ed25519")
	}
	return Peer{[32]byte(pub), c}, nil
}

// PeerKey gives the key that the caller of a gRPC method has proven in TLS.
func PeerKey(ctx context.Context) (k [32]byte, err error) {
	p, err := PeerOf(ctx)
	return p.Key, err
}

func stateOf(ctx context.Context) (s tls.ConnectionState, err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return s, errors.New("peertls: no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return s, errors.New("peertls: connection without TLS")
	}
	return info.State, nil
}
