package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/internal/vault"
	"campanile.network/mme"
)

// maxPeers bounds the eNBs remembered.
const maxPeers = 4096

// peer is an eNB as it is stored.
type peer struct {
	ENB   string       `json:"enb"`
	Addrs []netip.Addr `json:"addrs"`
	Port  uint16       `json:"port"`
	Encap uint16       `json:"encap,omitempty"`
	Since time.Time    `json:"since"`
}

func (s *Store) write(g id.GlobalENBID, value []byte) error {
	return s.v.Apply(context.Background(), []vault.Write{{Kind: kindENB, Name: []byte(g.String()), Value: value}})
}

// Remember implements [mme.Memory].
func (s *Store) Remember(p mme.Peer) error {
	value, err := json.Marshal(peer{p.ENB.String(), p.At.Addrs, p.At.Port, p.At.EncapPort, p.Since})
	if err != nil {
		return fmt.Errorf("store of the MME: eNB %v: %w", p.ENB, err)
	}
	s.mu.Lock()
	if _, known := s.peers[p.ENB]; !known && len(s.peers) >= maxPeers {
		s.mu.Unlock()
		return fmt.Errorf("store of the MME: eNB %v: %d eNBs are remembered, more are not", p.ENB, maxPeers)
	}
	s.peers[p.ENB] = p
	s.mu.Unlock()
	return s.write(p.ENB, value)
}

// Forget implements [mme.Memory].
func (s *Store) Forget(p mme.Peer) error {
	s.mu.Lock()
	have, known := s.peers[p.ENB]
	if !known || !have.Since.Equal(p.Since) {
		s.mu.Unlock()
		return nil
	}
	delete(s.peers, p.ENB)
	s.mu.Unlock()
	return s.write(p.ENB, nil)
}

// Peers implements [mme.Memory].
func (s *Store) Peers() ([]mme.Peer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.peers)), nil
}

// loadPeers reads the eNBs. One that cannot be read is forgotten: it is not called back.
func (s *Store) loadPeers() error {
	s.peers = map[id.GlobalENBID]mme.Peer{}
	return s.v.Each(kindENB, func(name, b []byte, err error) {
		var p mme.Peer
		if err == nil {
			p, err = parse(b)
		}
		if err != nil {
			s.log.Warn("a remembered eNB cannot be read, it is not called back", "record", fmt.Sprintf("%x", name), "err", err)
			return
		}
		s.peers[p.ENB] = p
	})
}

func parse(b []byte) (mme.Peer, error) {
	var p peer
	if err := json.Unmarshal(b, &p); err != nil {
		return mme.Peer{}, err
	}
	g, err := id.ParseGlobalENBID(p.ENB)
	if err == nil && len(p.Addrs) == 0 {
		err = errors.New("it has no address")
	}
	return mme.Peer{ENB: g, At: sctp.Peer{Addrs: p.Addrs, Port: p.Port, EncapPort: p.Encap}, Since: p.Since}, err
}
