// Package peertls is mutual TLS 1.3 between parties that know each other by
// ed25519 key: the certificate is made on the spot, self-signed, and only its
// key counts. There are no names, no authorities and no expiry; who may speak
// is decided by the caller's check of the key.
package peertls

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Check decides whether the holder of an ed25519 public key may speak. Its
// error ends the handshake.
type Check func(key [32]byte) error

// Server is a server's TLS configuration that shows key and admits whom check
// admits.
func Server(key ed25519.PrivateKey, check Check) (*tls.Config, error) {
	return config(key, check)
}

// Client is a client's TLS configuration that shows key and talks to the
// holder of want only.
func Client(key ed25519.PrivateKey, want [32]byte) (*tls.Config, error) {
	return config(key, func(got [32]byte) error {
		if got != want {
			return fmt.Errorf("peer shows key %x…, want %x…", got[:4], want[:4])
		}
		return nil
	})
}

func config(key ed25519.PrivateKey, check Check) (*tls.Config, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 §4.1.2.5: no expiry
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("peertls: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:         tls.RequireAnyClientCert,
		InsecureSkipVerify: true, // names and authorities mean nothing here; VerifyConnection checks the key
		NextProtos:         []string{"h2"},
		VerifyConnection: func(s tls.ConnectionState) error {
			got, err := peerKey(s)
			if err != nil {
				return err
			}
			if err := check(got); err != nil {
				return fmt.Errorf("peertls: key %s: %w", hex.EncodeToString(got[:4]), err)
			}
			return nil
		},
	}, nil
}

func peerKey(s tls.ConnectionState) (k [32]byte, err error) {
	if len(s.PeerCertificates) == 0 {
		return k, errors.New("peertls: peer shows no certificate")
	}
	pub, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return k, errors.New("peertls: peer's key is not ed25519")
	}
	return [32]byte(pub), nil
}

// PeerKey gives the key that the caller of a gRPC method has proven in TLS.
func PeerKey(ctx context.Context) (k [32]byte, err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return k, errors.New("peertls: no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return k, errors.New("peertls: connection without TLS")
	}
	return peerKey(info.State)
}
