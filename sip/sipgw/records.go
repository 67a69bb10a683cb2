package sipgw

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/vault"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// RecordSchema is the version of what the gateway keeps in its store.
const RecordSchema = 1

const bindingRecord = 'b'

// records keeps registrations on disk. What a phone is told is on disk before.
type records struct{ v *vault.Vault }

// record is a Binding as it is kept, sealed.
type record struct {
	IMSI, MSISDN, Contact, CallID, Transport string
	Kind                                     Kind
	CSeq                                     uint32
	Local, Remote                            netip.AddrPort
	Conn                                     uint64
	PeerKey                                  []byte
	Station                                  string
	Cell                                     []byte
	Phy                                      PhysicalInfo
	Registered, Expires                      time.Time
	Ticket                                   []byte
}

func (r *records) name(b *Binding) []byte { return []byte(b.IMSI.Digits() + " " + b.place()) }

func (r *records) put(ctx context.Context, b *Binding) error {
	if r.v == nil {
		return nil
	}
	rec := record{IMSI: b.IMSI.Digits(), MSISDN: b.MSISDN.Digits(), Contact: b.Contact.String(), CallID: b.callID, CSeq: b.cseq,
		Kind: b.Kind, Transport: b.Flow.Transport, Local: b.Flow.Local, Remote: b.Flow.Remote, Conn: b.Flow.Conn, PeerKey: b.Flow.PeerKey[:],
		Phy: b.Phy, Registered: b.Registered, Expires: b.Expires, Ticket: b.Ticket}
	if b.Station != nil {
		cell := b.Cell.Octets()
		rec.Station, rec.Cell = b.Station.Name, cell[:]
	}
	value, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return r.v.Apply(ctx, []vault.Write{{Kind: bindingRecord, Name: r.name(b), Value: value}})
}

func (r *records) forget(ctx context.Context, b *Binding) error {
	if r.v == nil {
		return nil
	}
	return r.v.Apply(ctx, []vault.Write{{Kind: bindingRecord, Name: r.name(b)}})
}

// restore enters what was registered when the process ended. What is over, was
// altered or is of a station that is not configured any more is left out.
func (g *Gateway) restore() error {
	if g.o.Store == nil {
		return nil
	}
	now := g.o.Now()
	var old []*Binding
	err := g.o.Store.Each(bindingRecord, func(_, value []byte, err error) {
		var b *Binding
		if err == nil {
			b, err = g.read(value)
		}
		if err != nil {
			g.count.unread.Add(1)
			g.log.Warn("a registration is not read: the phone has to register anew", "err", err)
			return
		}
		old = append(old, b)
	})
	if err != nil {
		return fmt.Errorf("sipgw: store: %w", err)
	}
	for _, b := range old {
		if !b.Expires.After(now) {
			if err := g.records.forget(context.Background(), b); err != nil {
				return fmt.Errorf("sipgw: store: %w", err)
			}
			continue
		}
		if err := g.enter(b, nil); err != nil { // it may have been the ticket's time
			g.log.Warn("what a phone does is not counted until it registers anew", "imsi", b.IMSI, "err", err)
		}
		if _, err := g.table.put(b, now); err != nil {
			return fmt.Errorf("sipgw: store: %w", err)
		}
		g.o.Endpoint.Know(b.Flow, b.Expires)
	}
	return nil
}

// read makes a Binding of what was kept.
func (g *Gateway) read(value []byte) (*Binding, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, err
	}
	imsi, err := id.ParseIMSI(r.IMSI)
	if err != nil {
		return nil, err
	}
	contact, err := sip.ParseAddress(r.Contact)
	if err != nil {
		return nil, err
	}
	b := &Binding{IMSI: imsi, Kind: r.Kind, Contact: contact, Phy: r.Phy, Registered: r.Registered, Expires: r.Expires, Ticket: r.Ticket,
		Flow: txn.Flow{Transport: r.Transport, Local: r.Local, Remote: r.Remote, Conn: r.Conn}, callID: r.CallID, cseq: r.CSeq}
	copy(b.Flow.PeerKey[:], r.PeerKey)
	if r.MSISDN != "" {
		if b.MSISDN, err = id.ParseMSISDN(r.MSISDN); err != nil {
			return nil, err
		}
	}
	if b.Kind == 0 || b.Kind > IMS {
		return nil, fmt.Errorf("a registration of kind %d", b.Kind)
	}
	if !b.Kind.GSM() {
		return b, nil
	}
	for i := range g.o.Stations {
		if g.o.Stations[i].Name == r.Station {
			b.Station = &g.o.Stations[i]
		}
	}
	if b.Station == nil || len(r.Cell) != 7 {
		return nil, fmt.Errorf("it is at the station %q, which is not configured", r.Station)
	}
	b.Cell, err = id.DecodeCGI([7]byte(r.Cell))
	return b, err
}
