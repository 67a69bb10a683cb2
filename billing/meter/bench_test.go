package meter_test

import (
	"path/filepath"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// BenchmarkReport is one report of 1000 phones that each moved 1500 octets, at
// one tower: taken, stored, and a voucher signed for it. ns/phone is the share
// of one.
func BenchmarkReport(b *testing.B) {
	operator, node, tower := proof.NewSigningKey(), proof.NewSigningKey(), proof.NewSigningKey().Public()
	l := &ledger{towers: map[proof.TowerKey]bool{tower: true}, nodes: map[proof.NodeKey]proof.OperatorKey{node.Public(): operator.Public()},
		channels: map[proof.TowerKey]meter.Channel{tower: {ID: 1, Prices: proof.Prices{PerGB: proof.AmountOf(1_000_000_000)}, Reserve: proof.AmountOf(1 << 62)}}}
	m, err := meter.New(meter.Options{Operator: operator, ChainID: chainID, Ledger: l, Path: filepath.Join(b.TempDir(), "meter.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	plmn := must[id.PLMN](b)(id.ParsePLMN("00101"))
	now := time.Now()
	records := make([]usage.Record, 1000)
	for i := range records {
		tk := proof.Ticket{ChainID: chainID, ID: proof.TicketID{byte(i), byte(i >> 8)}, Home: operator.Public(), Node: node.Public(), Serving: operator.Public(),
			Class: proof.Proven, NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour), Cap: proof.Carried{Bytes: 1 << 60}}
		sg := proof.Segment{ChainID: chainID, Ticket: tk.ID, No: 1, Tower: tower, Cell: proof.EUTRAN(id.ECGI{PLMN: plmn, ECI: 1}), Start: now}
		records[i] = usage.Record{Session: uint64(i), TEID: id.TEID(i + 1), At: now,
			Ticket: must[[]byte](b)(tk.Sign(node)), Segment: must[[]byte](b)(sg.Sign(operator))}
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range records {
			records[i].UL += 1500
		}
		if err := m.Report(b.Context(), records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/phone")
	if v := m.Snapshot().Towers[0]; v.Seq == 0 || v.Lag.Bytes != 0 {
		b.Fatalf("%+v", v)
	}
}
