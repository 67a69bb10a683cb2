package ledger

import (
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// The file's records: the ledger's types with identifiers written out.
type (
	storedOperator struct {
		Account Account
		Key     []byte
		Name    string
		PLMNs   []string
		Ranges  []Range
		Nodes   []storedNode
		Prices  []storedPrice
		Version uint64
	}
	storedNode struct {
		Key, HPKE []byte
		IND       uint8
		Endpoint  string
	}
	storedPrice struct {
		Class uint8
		PerGB proof.Amount
	}
	storedSubscriber struct {
		Operator Account
		State    uint8
		Plan     string
		Version  uint64
		Blob     []byte
		Epoch    uint64
	}
	storedTower struct {
		Key     []byte
		Owner   Account
		Name    string
		ENB     string
		Cells   []storedCell
		Shares  []Share
		Prices  proof.Prices
		Version uint64
		Health  *storedHealth `json:",omitempty"`
	}
	storedHealth struct {
		State              uint8
		Since, Said, Heard time.Time
		Restarts           uint32
	}
	storedCell struct {
		PLMN string
		ECI  uint32
	}
	storedChannel struct {
		ID                                uint64
		Payer, Owner                      Account
		Operator, Tower                   []byte
		Prices                            proof.Prices
		Shares                            []Share
		Reserve, Promised, Paid, Returned proof.Amount
		Seq                               uint64
		Carried                           proof.Carried
		Root                              []byte
		State                             uint8
		ClosesAt                          time.Time
	}
)

func storeOperator(o Operator) storedOperator {
	s := storedOperator{Account: o.Account, Key: o.Key[:], Name: o.Name, Ranges: o.Ranges, Version: o.Version}
	for _, p := range o.PLMNs {
		s.PLMNs = append(s.PLMNs, p.String())
	}
	for _, n := range o.Nodes {
		s.Nodes = append(s.Nodes, storedNode{n.Key[:], n.HPKE, n.IND, n.Endpoint})
	}
	for _, p := range o.Prices {
		s.Prices = append(s.Prices, storedPrice{uint8(p.Class), p.PerGB})
	}
	return s
}

func (s storedOperator) open() (Operator, error) {
	o := Operator{Account: s.Account, Key: octets32(s.Key), Name: s.Name, Ranges: s.Ranges, Version: s.Version}
	for _, text := range s.PLMNs {
		p, err := id.ParsePLMN(text)
		if err != nil {
			return Operator{}, err
		}
		o.PLMNs = append(o.PLMNs, p)
	}
	for _, n := range s.Nodes {
		o.Nodes = append(o.Nodes, HSSNode{octets32(n.Key), n.HPKE, n.IND, n.Endpoint})
	}
	for _, p := range s.Prices {
		o.Prices = append(o.Prices, Price{proof.Class(p.Class), p.PerGB})
	}
	return o, nil
}

func storeSubscriber(s Subscriber) storedSubscriber {
	return storedSubscriber{s.Operator, uint8(s.State), s.Plan, s.Version, s.BlobHash[:], s.Epoch}
}

func (s storedSubscriber) open(key []byte) (Subscriber, error) {
	if len(key) != len(id.SubscriberID{}) {
		return Subscriber{}, fmt.Errorf("%d octets of key", len(key))
	}
	return Subscriber{
		ID: id.SubscriberID(key), Operator: s.Operator, State: SubscriberState(s.State), Plan: s.Plan,
		Version: s.Version, BlobHash: octets32(s.Blob), Epoch: s.Epoch,
	}, nil
}

func storeTower(t Tower) storedTower {
	s := storedTower{
		Key: t.Key[:], Owner: t.Owner, Name: t.Name, ENB: t.ENB.String(),
		Shares: t.Shares, Prices: t.Prices, Version: t.Version,
	}
	for _, c := range t.Cells {
		s.Cells = append(s.Cells, storedCell{c.PLMN.String(), uint32(c.ECI)})
	}
	if h := t.Health; h.State != 0 {
		s.Health = &storedHealth{uint8(h.State), h.Since, h.Said, h.Heard, h.Restarts}
	}
	return s
}

func (s storedTower) open() (Tower, error) {
	enb, err := id.ParseGlobalENBID(s.ENB)
	if err != nil {
		return Tower{}, err
	}
	t := Tower{
		Key: octets32(s.Key), Owner: s.Owner, Name: s.Name, ENB: enb,
		Shares: s.Shares, Prices: s.Prices, Version: s.Version,
	}
	for _, c := range s.Cells {
		plmn, err := id.ParsePLMN(c.PLMN)
		if err != nil {
			return Tower{}, err
		}
		t.Cells = append(t.Cells, id.ECGI{PLMN: plmn, ECI: id.ECI(c.ECI)})
	}
	if h := s.Health; h != nil {
		t.Health = Health{proof.RadioState(h.State), h.Since, h.Restarts, h.Said, h.Heard}
	}
	return t, nil
}

func storeChannel(c Channel) storedChannel {
	return storedChannel{
		ID: c.ID, Payer: c.Payer, Owner: c.Owner, Operator: c.Operator[:], Tower: c.Tower[:],
		Prices: c.Prices, Shares: c.Shares,
		Reserve: c.Reserve, Promised: c.Promised, Paid: c.Paid, Returned: c.Returned,
		Seq: c.Seq, Carried: c.Carried, Root: c.Root[:], State: uint8(c.State), ClosesAt: c.ClosesAt,
	}
}

func (s storedChannel) open() Channel {
	return Channel{
		ID: s.ID, Payer: s.Payer, Owner: s.Owner, Operator: octets32(s.Operator), Tower: octets32(s.Tower),
		Prices: s.Prices, Shares: s.Shares,
		Reserve: s.Reserve, Promised: s.Promised, Paid: s.Paid, Returned: s.Returned,
		Seq: s.Seq, Carried: s.Carried, Root: octets32(s.Root), State: ChannelState(s.State), ClosesAt: s.ClosesAt,
	}
}

// octets32 reads a field of 32 octets; our own file holds no other length.
func octets32(b []byte) (v [32]byte) {
	copy(v[:], b)
	return v
}
