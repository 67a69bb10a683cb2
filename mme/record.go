package mme

import (
	"net/netip"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// recordVersion is the first octet of a record. A field more is a row more and no
// other version: an older campanile says that it does not know the row.
const recordVersion = 1

// Bounds of what a record has. An eNB cannot make the MME exceed them.
const (
	maxRecord   = 1 << 15
	maxTicket   = 1024
	maxPCO      = 512
	maxSessions = 16
)

// ueRows is a phone's record: what an idle or connected phone needs after a
// restart. Another field is another row.
var ueRows = table[ue]{
	field(1, "IMSI", func(u *ue) *id.IMSI { return &u.imsi }, imsiCodec()),
	field(2, "IMEI", func(u *ue) *id.IMEI { return &u.imei }, parsed(id.IMEI.Digits, id.ParseIMEI)),
	field(tmsiRow, "M-TMSI", func(u *ue) *id.MTMSI { return &u.tmsi }, number[id.MTMSI](1<<32-1)),
	field(formerTMSIRow, "former M-TMSI", func(u *ue) *id.MTMSI { return &u.formerTMSI }, number[id.MTMSI](1<<32-1)),
	list(5, "tracking area", maxTAIList, func(u *ue) *[]id.TAI { return &u.tais }, taiCodec()),
	list(6, "former tracking area", 2*maxTAIList, func(u *ue) *[]id.TAI { return &u.formerTAIs }, taiCodec()),
	field(7, "UE security capability", func(u *ue) *eps.UESecurityCapability { return &u.capability }, capabilityCodec()),
	octets(8, "UE radio capability", maxRadioCapability, func(u *ue) *[]byte { return &u.radio }),
	field(9, "DRX", func(u *ue) *eps.DRX { return &u.drx }, drxCodec()),
	field(10, "NAS context", func(u *ue) **keyset { return &u.sec }, keysetCodec()),
	field(11, "unconfirmed NAS context", func(u *ue) **keyset { return &u.next }, keysetCodec()),
	field(12, "lease", func(u *ue) **lease { return &u.lease }, leaseCodec()),
	field(13, "ticket shown to the gateway", func(u *ue) **lease { return &u.shown }, toldCodec()),
	field(14, "registered", func(u *ue) *bool { return &u.registered }, truth()),
	field(15, "accepted", func(u *ue) *bool { return &u.accepted }, truth()),
	field(16, "served", func(u *ue) *bool { return &u.served }, truth()),
	field(17, "heard", heardNow, instant()),
	field(18, "M-TMSI assigned", func(u *ue) *time.Time { return &u.assigned }, instant()),
	field(19, "service requests", func(u *ue) *int { return &u.requests }, number[int](1<<31-1)),
	list(20, "PDN connection", maxSessions, func(u *ue) *[]*pdn { return &u.pdns }, pdnCodec()),
	field(21, "sessions being opened", func(u *ue) *eps.BearerStatus { return &u.opening }, number[eps.BearerStatus](1<<16-1)),
	list(22, "session being deleted", maxSessions, stillClosing, closingCodec()),
	field(23, "state since", func(u *ue) *time.Time { return &u.info.Since }, instant()),
	field(24, "last eNB", func(u *ue) *id.GlobalENBID { return &u.info.ENB }, enbCodec()),
	field(25, "last tower", func(u *ue) *proof.TowerKey { return &u.info.Tower }, towerCodec()),
	field(26, "last cell", func(u *ue) *id.ECGI { return &u.info.Cell }, cellCodec()),
	field(27, "last tracking area", func(u *ue) *id.TAI { return &u.info.TAI }, taiCodec()),
	field(28, "short messages", func(u *ue) *bool { return &u.texts }, truth()),
	octets(29, "UE radio capability for paging", maxRadioCapability, func(u *ue) *[]byte { return &u.radioPaging }),
	field(30, "T3324", func(u *ue) *eps.Opt[eps.GPRSTimer] { return &u.saving.active }, some[eps.GPRSTimer]()),
	field(31, "T3412 extended", func(u *ue) *eps.Opt[eps.GPRSTimer3] { return &u.saving.periodic }, some[eps.GPRSTimer3]()),
	field(32, "extended DRX", func(u *ue) *eps.Opt[eps.ExtendedDRX] { return &u.saving.edrx }, some[eps.ExtendedDRX]()),
	field(epochRow, "epoch", func(u *ue) *uint64 { return &u.epoch }, number[uint64](1<<63-1)),
}

// keysetRows is a NAS security context. The downlink COUNT in it is the mark: all
// below it may have been used.
var keysetRows = table[keyset]{
	field(1, "KSI", func(k *keyset) *uint8 { return &k.folded.KSI }, number[uint8](15)),
	field(2, "K_ASME", func(k *keyset) *secret.Key256 { return &k.folded.KASME }, keyCodec()),
	field(3, "EEA", func(k *keyset) *nassec.EEA { return &k.folded.EEA }, number[nassec.EEA](3)),
	field(4, "EIA", func(k *keyset) *nassec.EIA { return &k.folded.EIA }, number[nassec.EIA](3)),
	field(5, "uplink COUNT", func(k *keyset) *nassec.Count { return &k.folded.UL }, number[nassec.Count](uint64(nassec.MaxCount)+1)),
	field(6, "downlink COUNT", func(k *keyset) *nassec.Count { return &k.mark }, number[nassec.Count](uint64(nassec.MaxCount)+1)),
	field(7, "lease", func(k *keyset) **lease { return &k.grant }, leaseCodec()),
	field(8, "EIA0 is allowed", func(k *keyset) *bool { return &k.folded.AllowNullIntegrity }, truth()),
}

// leaseRows is what a home granted.
var leaseRows = table[lease]{
	octets(1, "ticket", maxTicket, func(l *lease) *[]byte { return &l.raw }),
	field(2, "segments signed", func(l *lease) *uint32 { return &l.segments }, number[uint32](1<<32-1)),
	field(3, "MSISDN", func(l *lease) *id.MSISDN { return &l.profile.MSISDN }, parsed(id.MSISDN.Digits, id.ParseMSISDN)),
	field(4, "APN", func(l *lease) *id.APN { return &l.profile.APN }, apnCodec()),
	field(5, "QCI", func(l *lease) *id.QCI { return &l.profile.QCI }, number[id.QCI](255)),
	field(6, "ARP", func(l *lease) *uint8 { return &l.profile.ARP }, number[uint8](15)),
	field(7, "AMBR uplink", func(l *lease) *id.BitRate { return &l.profile.AMBRUL }, rateCodec()),
	field(8, "AMBR downlink", func(l *lease) *id.BitRate { return &l.profile.AMBRDL }, rateCodec()),
	field(9, "fixed address", func(l *lease) *netip.Addr { return &l.profile.IPv4 }, addressCodec()),
	field(10, "PDN type", func(l *lease) *home.PDNType { return &l.profile.PDN }, number[home.PDNType](uint64(home.PDNEither))),
	list(11, "further APN", home.MaxAPNs, func(l *lease) *[]home.APN { return &l.profile.APNs }, value(nested(apnRows))),
}

// apnRows is what a subscriber may have at an access point.
var apnRows = table[home.APN]{
	field(1, "APN", func(a *home.APN) *id.APN { return &a.Name }, apnCodec()),
	field(2, "QCI", func(a *home.APN) *id.QCI { return &a.QCI }, number[id.QCI](255)),
	field(3, "ARP", func(a *home.APN) *uint8 { return &a.ARP }, number[uint8](15)),
	field(4, "AMBR uplink", func(a *home.APN) *id.BitRate { return &a.AMBRUL }, rateCodec()),
	field(5, "AMBR downlink", func(a *home.APN) *id.BitRate { return &a.AMBRDL }, rateCodec()),
	field(6, "fixed address", func(a *home.APN) *netip.Addr { return &a.IPv4 }, addressCodec()),
	field(7, "PDN type", func(a *home.APN) *home.PDNType { return &a.PDN }, number[home.PDNType](uint64(home.PDNEither))),
}

// pdnRows is a PDN connection.
var pdnRows = table[pdn]{
	field(1, "session", func(p *pdn) **s11.Session { return &p.session }, sessionCodec()),
	field(2, "ticket at the gateway", func(p *pdn) **lease { return &p.told }, toldCodec()),
	list(3, "bearer", maxSessions, func(p *pdn) *[]*bearer { return &p.bearers }, nested(bearerRows)),
	field(4, "AMBR uplink", func(p *pdn) *id.BitRate { return &p.ambr.UL }, rateCodec()),
	field(5, "AMBR downlink", func(p *pdn) *id.BitRate { return &p.ambr.DL }, rateCodec()),
	field(6, "not accepted yet", func(p *pdn) *bool { return &p.asked }, truth()),
}

// bearerRows is an EPS bearer. The eNB's end of its tunnel is not kept: after a
// restart no radio bearer stands.
var bearerRows = table[bearer]{
	field(1, "EBI", func(b *bearer) *id.EBI { return &b.ebi }, ebiCodec()),
	field(2, "QoS", func(b *bearer) *gtpc.QoS { return &b.qos }, qosCodec()),
	field(3, "S1-U address", func(b *bearer) *netip.Addr { return &b.sgw.Addr }, addressCodec()),
	field(4, "S1-U TEID", func(b *bearer) *id.TEID { return &b.sgw.TEID }, teidCodec()),
	field(5, "TFT", func(b *bearer) **eps.TFT { return &b.tft }, tftCodec()),
}

// sessionRows is a PDN session. Its IMSI is the record's.
var sessionRows = table[s11.State]{
	field(1, "EBI", func(s *s11.State) *id.EBI { return &s.EBI }, ebiCodec()),
	field(2, "APN", func(s *s11.State) *id.APN { return &s.APN }, apnCodec()),
	field(3, "address", func(s *s11.State) *netip.Addr { return &s.Address }, addressCodec()),
	field(4, "S1-U address", func(s *s11.State) *netip.Addr { return &s.SGW.Addr }, addressCodec()),
	field(5, "S1-U TEID", func(s *s11.State) *id.TEID { return &s.SGW.TEID }, teidCodec()),
	octets(6, "PCO", maxPCO, func(s *s11.State) *[]byte { return &s.PCO }),
	field(7, "AMBR uplink", func(s *s11.State) *id.BitRate { return &s.AMBR.UL }, rateCodec()),
	field(8, "AMBR downlink", func(s *s11.State) *id.BitRate { return &s.AMBR.DL }, rateCodec()),
	field(9, "QoS", func(s *s11.State) *gtpc.QoS { return &s.QoS }, qosCodec()),
	field(10, "charging id", func(s *s11.State) *uint32 { return &s.ChargingID }, number[uint32](1<<32-1)),
	field(11, "cause", func(s *s11.State) *gtpc.Cause { return &s.Cause }, number[gtpc.Cause](255)),
	field(12, "local TEID", func(s *s11.State) *id.TEID { return &s.Local }, teidCodec()),
	field(13, "remote TEID", func(s *s11.State) *id.TEID { return &s.Remote }, teidCodec()),
	field(14, "gateway", func(s *s11.State) *netip.AddrPort { return &s.Peer }, peerCodec()),
	field(15, "IPv6 prefix and interface", func(s *s11.State) *netip.Addr { return &s.IPv6 }, addressCodec()),
	field(16, "gateway's restart counter and one", func(s *s11.State) *uint16 { return &s.Run }, number[uint16](256)),
}

// record gives the phone's record. It is called by the owner, or under
// registry.mu while there is none.
func (u *ue) record() []byte {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	u.infoMu.Lock()
	defer u.infoMu.Unlock()
	return ueRows.append(append(make([]byte, 0, 1024), recordVersion), u)
}

// heardNow is when the phone was last heard of: now, while it has an owner.
func heardNow(u *ue) *time.Time {
	if u.owner != nil {
		return new(time.Now())
	}
	return &u.heard
}

// parseRecord makes of a record the phone, idle.
func parseRecord(b []byte, restore restorer) (*ue, error) {
	r := restore.reader(b)
	defer r.done()
	if len(b) > maxRecord {
		r.fail("%d octets, want at most %d", len(b), maxRecord)
		return nil, r.err
	}
	if v := r.take(1)[0]; r.err == nil && v != recordVersion {
		r.fail("version %d, this campanile reads %d", v, recordVersion)
	}
	u := &ue{}
	ueRows.read(r, u)
	if r.err == nil && (u.imsi.IsZero() || u.sec == nil) {
		r.fail("without IMSI or NAS context")
	}
	if r.err != nil {
		return nil, r.err
	}
	u.revive()
	return u, nil
}
