package mme

import (
	"net/netip"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
)

var (
	internet = must(id.ParseAPN("internet"))
	ims      = must(id.ParseAPN("ims"))
	work     = must(id.ParseAPN("work"))
)

// severalAPNs is a subscription of three APNs.
func (w *world) severalAPNs() {
	p := testProfile()
	for _, n := range []id.APN{ims, work} {
		p.APNs = append(p.APNs, home.APN{Name: n, QCI: 5, ARP: 3, AMBRUL: 1 * id.Mbps, AMBRDL: 2 * id.Mbps})
	}
	w.home.profile = p
}

// attached is a phone with one PDN connection and three APNs in its subscription.
func (w *world) attached() *phone {
	w.t.Helper()
	w.severalAPNs()
	p := w.phone(w.tower(0x19b))
	p.attach()
	return p
}

// wants asks for a PDN connection.
func wants(pti eps.PTI, apn id.APN) *eps.PDNConnectivityRequest {
	return &eps.PDNConnectivityRequest{PTI: pti, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4, APN: eps.Some(apn)}
}

// setUp takes an E-RAB Setup Request of one bearer with a NAS message in it.
func setUp[T eps.ESM](p *phone) (s1ap.ERABToBeSetupItemBearerSUReq, T) {
	p.w.t.Helper()
	m := expect[*s1ap.ERABSetupRequest](p.e)
	if m.MMEUES1APID != p.mmeID || m.ENBUES1APID != p.enbID || len(m.ERABToBeSetupListBearerSUReq) != 1 {
		p.w.t.Fatalf("E-RAB Setup for UE ids %d/%d, phone has %d/%d; %d bearers", m.MMEUES1APID, m.ENBUES1APID, p.mmeID, p.enbID, len(m.ERABToBeSetupListBearerSUReq))
	}
	item := m.ERABToBeSetupListBearerSUReq[0]
	return item, open[T](p, item.NASPDU)
}

// standing says that the eNB has set up a bearer.
func (p *phone) standing(ebi s1ap.ERABID) id.TEID {
	p.w.t.Helper()
	p.teid++
	teid := id.TEID(p.teid)
	p.e.send(&s1ap.ERABSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABSetupListBearerSURes: s1ap.ERABSetupListBearerSURes{
		{ERABID: ebi, TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(teid)}}})
	return teid
}

// connectTo is a further PDN connection, all well.
func (p *phone) connectTo(pti eps.PTI, apn id.APN) id.EBI {
	p.w.t.Helper()
	p.uplink(wants(pti, apn))
	item, m := setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
	if m.PTI != pti || m.APN != apn || id.EBI(item.ERABID) != m.EBI {
		p.w.t.Errorf("E-RAB %d with %v", item.ERABID, m)
	}
	p.standing(item.ERABID)
	p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: m.EBI})
	p.settled()
	return m.EBI
}

// releases takes an E-RAB Release Command with a NAS message in it, and gives the
// bearers it names.
func releases[T eps.ESM](p *phone) ([]id.EBI, T) {
	p.w.t.Helper()
	m := expect[*s1ap.ERABReleaseCommand](p.e)
	var ebis []id.EBI
	for i := range m.ERABToBeReleasedList {
		ebis = append(ebis, id.EBI(m.ERABToBeReleasedList[i].ERABID))
	}
	var v T
	if len(m.NASPDU) > 0 {
		v = open[T](p, m.NASPDU)
	}
	return ebis, v
}

// erabsGone says that the eNB has released bearers.
func (p *phone) erabsGone(ebis ...id.EBI) {
	p.w.t.Helper()
	m := &s1ap.ERABReleaseResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
	for _, e := range ebis {
		m.ERABReleaseListBearerRelComp = append(m.ERABReleaseListBearerRelComp, s1ap.ERABReleaseItemBearerRelComp{ERABID: s1ap.ERABID(e)})
	}
	p.e.send(m)
}

// voice is a dedicated bearer as a gateway asks for it.
func voice(teid id.TEID) s11.BearerContext {
	return s11.BearerContext{
		TFT: &eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{{Direction: eps.FilterBidirectional, ID: 1, Precedence: 10,
			Components: eps.FilterComponents{}.With(eps.FilterProtocol, 17)}}},
		QoS: &gtpc.QoS{QCI: 1, ARP: gtpc.ARP{Level: 2, CanPreempt: true}, MBRUL: 64 * id.Kbps, MBRDL: 64 * id.Kbps, GBRUL: 32 * id.Kbps, GBRDL: 32 * id.Kbps},
		SGW: s11.FTEID{Addr: netip.MustParseAddr("127.0.0.30"), TEID: teid},
	}
}

// asks is a gateway's request of bearers; its answer comes by the channel.
func (w *world) asks(r *s11.BearerRequest) <-chan s11.BearerAnswer {
	ch := make(chan s11.BearerAnswer, 2)
	r.Reply = func(a s11.BearerAnswer) { ch <- a }
	w.m.BearerRequest(r)
	return ch
}

// creates asks for a dedicated bearer on the PDN connection of s.
func (w *world) creates(s *s11.Session, b ...s11.BearerContext) <-chan s11.BearerAnswer {
	return w.asks(&s11.BearerRequest{Type: gtpc.CreateBearerRequest, Session: s, Linked: s.EBI, Bearers: b})
}

// updates asks for changed bearers, deletes for bearers to end.
func (w *world) updates(s *s11.Session, b ...s11.BearerContext) <-chan s11.BearerAnswer {
	return w.asks(&s11.BearerRequest{Type: gtpc.UpdateBearerRequest, Session: s, Bearers: b})
}

func (w *world) deletes(s *s11.Session, ebis ...id.EBI) <-chan s11.BearerAnswer {
	r := &s11.BearerRequest{Type: gtpc.DeleteBearerRequest, Session: s}
	for _, e := range ebis {
		r.Bearers = append(r.Bearers, s11.BearerContext{EBI: e})
	}
	return w.asks(r)
}

// told takes the answer that the gateway got; there must be one, and one only.
func (w *world) told(ch <-chan s11.BearerAnswer, want gtpc.Cause) s11.BearerAnswer {
	w.t.Helper()
	synctest.Wait()
	select {
	case a := <-ch:
		if a.Cause != want {
			w.t.Errorf("the gateway is answered %v %+v, want %v", a.Cause, a.Bearers, want)
		}
		select {
		case again := <-ch:
			w.t.Errorf("and once more: %v", again)
		default:
		}
		return a
	case <-time.After(2 * writeEvery): // of the store, if there is one
		w.t.Fatalf("the gateway is not answered, want %v", want)
	}
	return s11.BearerAnswer{}
}

// untold checks that the gateway has no answer yet.
func (w *world) untold(ch <-chan s11.BearerAnswer) {
	w.t.Helper()
	synctest.Wait()
	if len(ch) != 0 {
		w.t.Errorf("the gateway is answered already: %v", <-ch)
	}
}

// session finds the session of an APN at the gateway; nil if there is none.
func (g *testGateway) session(apn id.APN) *s11.Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.sessions {
		if s.APN == apn {
			return s
		}
	}
	return nil
}

// dedicated activates a voice bearer on the phone's first PDN connection.
func (p *phone) dedicated(s *s11.Session, teid id.TEID) id.EBI {
	p.w.t.Helper()
	ch := p.w.creates(s, voice(teid))
	item, m := setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
	p.standing(item.ERABID)
	p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: m.EBI})
	p.w.told(ch, gtpc.Accepted)
	return m.EBI
}

// bearers are what others see of a phone's bearers.
func (p *phone) bearers() map[id.EBI]BearerInfo {
	p.w.t.Helper()
	out := map[id.EBI]BearerInfo{}
	for _, b := range p.settled().Bearers {
		out[b.EBI] = b
	}
	return out
}
