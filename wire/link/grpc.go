package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"google.golang.org/grpc/peer"

	"campanile.network/3gpp/id"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

var errEmpty = errors.New("link: message with nothing in it")

// maxCounts bounds one report.
const maxCounts = 65536

// maxText bounds a notice, in octets.
const maxText = 512

type coreEnd struct{ pb.Link_JoinServer }

func (c coreEnd) Recv() (FromTower, error) {
	m, err := c.Link_JoinServer.Recv()
	if err != nil {
		return FromTower{}, err
	}
	switch b := m.Body.(type) {
	case *pb.FromTower_Report:
		if len(b.Report.Counts) > maxCounts {
			return FromTower{}, fmt.Errorf("link: report of %d bearers, at most %d", len(b.Report.Counts), maxCounts)
		}
		r := &Report{Epoch: b.Report.Epoch, Counts: make([]Count, len(b.Report.Counts))}
		for i, n := range b.Report.Counts {
			r.Counts[i] = Count{id.TEID(n.Teid), n.UlOctets, n.DlOctets}
		}
		return FromTower{Report: r}, nil
	case *pb.FromTower_Notice:
		n := b.Notice
		return FromTower{Notice: &Notice{NoticeCode(n.Code), cut(n.Text), n.Epoch, n.Number, time.UnixMilli(n.AtUnixMs)}}, nil
	case *pb.FromTower_Seen:
		return FromTower{Seen: &Seen{b.Seen.Channel, b.Seen.Seq}}, nil
	case *pb.FromTower_Radio:
		return FromTower{Radio: radioOf(b.Radio)}, nil
	}
	return FromTower{}, errEmpty
}

func (c coreEnd) Send(m ToTower) error {
	switch {
	case m.Terms != nil:
		t := m.Terms
		return c.Link_JoinServer.Send(&pb.ToTower{Body: &pb.ToTower_Terms{Terms: &pb.Terms{ChainId: t.ChainID, Channel: t.Channel, Payer: t.Payer[:],
			PricePerGb: t.Prices.PerGB.String(), PricePerMinute: t.Prices.PerMinute.String(), PricePerMessage: t.Prices.PerMessage.String(),
			WindowOctets: t.WindowOctets, WindowPermille: t.WindowPermille, BilledOctets: t.BilledOctets, SeenAs: seenAs(c.Context())}}})
	case m.Voucher != nil:
		return c.Link_JoinServer.Send(&pb.ToTower{Body: &pb.ToTower_Voucher{Voucher: m.Voucher}})
	case m.Heard != nil:
		return c.Link_JoinServer.Send(&pb.ToTower{Body: &pb.ToTower_Heard{Heard: &pb.NoticesHeard{Epoch: m.Heard.Epoch, Number: m.Heard.Number}}})
	}
	return errEmpty
}

// seenAs is the address that a caller's connection comes from.
func seenAs(ctx context.Context) []byte {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	a, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return nil
	}
	return a.AddrPort().Addr().Unmap().AsSlice()
}

type towerEnd struct{ pb.Link_JoinClient }

func (c towerEnd) Recv() (ToTower, error) {
	m, err := c.Link_JoinClient.Recv()
	if err != nil {
		return ToTower{}, err
	}
	switch b := m.Body.(type) {
	case *pb.ToTower_Terms:
		t := b.Terms
		if len(t.Payer) != 32 {
			return ToTower{}, fmt.Errorf("link: payer key of %d octets", len(t.Payer))
		}
		var prices proof.Prices
		for _, p := range []struct {
			of   *proof.Amount
			text string
		}{{&prices.PerGB, t.PricePerGb}, {&prices.PerMinute, t.PricePerMinute}, {&prices.PerMessage, t.PricePerMessage}} {
			if *p.of, err = proof.ParseAmount(p.text); err != nil {
				return ToTower{}, fmt.Errorf("link: terms: %w", err)
			}
		}
		seen, _ := netip.AddrFromSlice(t.SeenAs)
		return ToTower{Terms: &Terms{t.ChainId, t.Channel, proof.OperatorKey(t.Payer), prices, t.WindowOctets, t.WindowPermille, t.BilledOctets, seen.Unmap()}}, nil
	case *pb.ToTower_Voucher:
		return ToTower{Voucher: b.Voucher}, nil
	case *pb.ToTower_Heard:
		return ToTower{Heard: &Heard{b.Heard.Epoch, b.Heard.Number}}, nil
	}
	return ToTower{}, errEmpty
}

func (c towerEnd) Send(m FromTower) error {
	switch {
	case m.Report != nil:
		r := &pb.TowerReport{Epoch: m.Report.Epoch, Counts: make([]*pb.TowerCount, len(m.Report.Counts))}
		for i, n := range m.Report.Counts {
			r.Counts[i] = &pb.TowerCount{Teid: uint32(n.TEID), UlOctets: n.UL, DlOctets: n.DL}
		}
		return c.Link_JoinClient.Send(&pb.FromTower{Body: &pb.FromTower_Report{Report: r}})
	case m.Notice != nil:
		n := m.Notice
		return c.Link_JoinClient.Send(&pb.FromTower{Body: &pb.FromTower_Notice{Notice: &pb.TowerNotice{Code: uint32(n.Code), Text: cut(n.Text), Epoch: n.Epoch, Number: n.Number, AtUnixMs: n.At.UnixMilli()}}})
	case m.Radio != nil:
		return c.Link_JoinClient.Send(&pb.FromTower{Body: &pb.FromTower_Radio{Radio: m.Radio.message()}})
	case m.Seen != nil:
		return c.Link_JoinClient.Send(&pb.FromTower{Body: &pb.FromTower_Seen{Seen: &pb.VoucherSeen{Channel: m.Seen.Channel, Seq: m.Seen.Seq}}})
	}
	return errEmpty
}
