package mme

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// The SIM of the captures; their README gives it.
const (
	capturedK   = "00112233445566778899aabbccddeeff"
	capturedOPc = "63bfa50ee6523365ff14c1f45f88737d"
)

// Conversations of srsRAN's eNB and phone with another core, played to this MME:
// what the eNB sent is sent, what the core answered is compared. The home gives
// the captured challenge, so that the phone's codes must verify and K_eNB must
// be the captured one.
func TestReplayOfSrsRAN(t *testing.T) {
	for _, c := range []struct {
		file string
		enb  string
	}{
		{"testdata/srsran_raw132_25prb_attach_idle_service_paging_detach_guti.pcap", "10.77.0.2"},
		{"testdata/srsran_linux_kernel_sctp_attach.pcap", "10.78.0.2"},
	} {
		t.Run(c.file, func(t *testing.T) {
			messages, err := readS1AP(c.file)
			if err != nil {
				t.Fatal(err)
			}
			r := &replay{t: t, enb: netip.MustParseAddr(c.enb), messages: messages, ids: map[s1ap.ENBUES1APID]s1ap.MMEUES1APID{}}
			tmsis := r.collect()
			play(t, func(o *Options) {
				o.Security = nassec.Policy{EIA: []nassec.EIA{nassec.EIA1}, EEA: []nassec.EEA{nassec.EEA0}}
				o.Home, o.Rand, o.NetworkName = r, bytes.NewReader(tmsis), "Software Radio Systems LTE"
			}, r.run)
		})
	}
}

// replay is a capture being played, and the home of its SIM.
type replay struct {
	t         *testing.T
	w         *world
	enb       netip.Addr
	messages  []captured
	setup     []byte // an S1 Setup Request, if the capture has one
	challenge *eps.AuthenticationRequest
	ids       map[s1ap.ENBUES1APID]s1ap.MMEUES1APID
	compared  int
}

// collect finds what the home and the random source must give.
func (r *replay) collect() (tmsis []byte) {
	for _, m := range r.messages {
		pdu := must(s1ap.Parse(m.data))
		if _, ok := pdu.Message.(*s1ap.S1SetupRequest); ok {
			r.setup = m.data
		}
		switch n := r.nas(pdu.Message, m.from).(type) {
		case *eps.AuthenticationRequest:
			r.challenge = n
		case *eps.AttachAccept:
			g, _ := n.GUTI.V.GUTI()
			tmsis = append(tmsis, byte(g.TMSI>>24), byte(g.TMSI>>16), byte(g.TMSI>>8), byte(g.TMSI))
		}
	}
	return tmsis
}

func (r *replay) Challenge(_ context.Context, q home.ChallengeRequest) (home.Challenge, error) {
	if q.IMSI != must(id.ParseIMSI("001010123456780")) || q.PLMN != testPLMN || q.Resync != nil {
		r.t.Errorf("the home was asked for %+v", q)
	}
	return home.Challenge{RAND: r.challenge.RAND, AUTN: r.challenge.AUTN}, nil
}

func (r *replay) Prove(_ context.Context, q home.ProveRequest) (home.Lease, error) {
	k, opc := must(hex.DecodeString(capturedK)), must(hex.DecodeString(capturedOPc))
	res, ck, ik, _ := milenage.New(secret.Key128(k), secret.Key128(opc)).F2345([16]byte(r.challenge.RAND))
	if !res.Equal(q.RES) {
		r.t.Errorf("RES %x, want %x", q.RES, res.Bytes())
	}
	p := testProfile()
	p.APN = must(id.ParseAPN("srsapn"))
	return home.Lease{KASME: aka.KASME(ck, ik, testPLMN, aka.AUTN(r.challenge.AUTN)), Ticket: r.w.home.ticket(), Profile: p}, nil
}

// nas gives the NAS message in an S1AP message; all of it is unciphered.
func (r *replay) nas(m s1ap.Message, from netip.Addr) eps.Message {
	var pdu []byte
	switch m := m.(type) {
	case *s1ap.InitialUEMessage:
		pdu = m.NASPDU
	case *s1ap.UplinkNASTransport:
		pdu = m.NASPDU
	case *s1ap.DownlinkNASTransport:
		pdu = m.NASPDU
	case *s1ap.InitialContextSetupRequest:
		pdu = m.ERABToBeSetupListCtxtSUReq[0].NASPDU
	}
	if pdu == nil {
		return nil
	}
	dir := eps.Downlink
	if from == r.enb {
		dir = eps.Uplink
	}
	return must(eps.Parse(dir, must(readable(pdu))))
}

func (r *replay) run(w *world) {
	r.w = w
	e := w.dial()
	if m := must(s1ap.Parse(r.messages[0].data)); m.ProcedureCode != s1ap.ProcedureS1Setup {
		e.raw(r.setup) // the capture began later
		expect[*s1ap.S1SetupResponse](e)
	}
	last := r.messages[0].at
	for i, m := range r.messages {
		time.Sleep(m.at - last)
		last = m.at
		pdu := must(s1ap.Parse(m.data))
		if m.from == r.enb {
			if pdu.ProcedureCode == s1ap.ProcedureS1Setup && i > 0 {
				e.a.Abort("the eNB was started anew")
				e = w.dial()
			}
			r.translate(pdu.Message)
			e.raw(must(s1ap.Append(nil, pdu.Message)))
			continue
		}
		if pdu.ProcedureCode == s1ap.ProcedurePaging {
			s, _ := w.gw.only(w)
			w.m.DownlinkData(s, 5, 0)
		}
		r.compare(m, pdu.Message, e.next())
	}
	e.silent(time.Second)
	if s := w.m.Stats(); len(s.Dropped) != 0 {
		r.t.Errorf("dropped %v", s.Dropped)
	}
	w.gw.none(w)
	r.t.Logf("%d messages played, %d of them the core's, in the captured order; %v", len(r.messages), r.compared, w.m.Stats().Procedures)
}

// translate puts this MME's UE ids in the place of the captured ones.
func (r *replay) translate(m s1ap.Message) {
	if mmeID, enbID := s1ap.UEIDs(m); mmeID != nil {
		*mmeID = r.ids[*enbID]
	}
}

// compare checks that the MME sent what the captured core sent.
func (r *replay) compare(c captured, want, got s1ap.Message) {
	r.t.Helper()
	r.compared++
	if want.Header() != got.Header() {
		r.t.Fatalf("frame %d: the MME sent %s, the captured core %s", c.frame, got.Header().Name, want.Header().Name)
	}
	x, y := r.nas(want, c.from), r.nas(got, c.from)
	if (x == nil) != (y == nil) || x != nil && x.MessageType() != y.MessageType() {
		r.t.Fatalf("frame %d: the MME sent\n%v\nthe captured core\n%v", c.frame, y, x)
	}
	switch got := got.(type) {
	case *s1ap.DownlinkNASTransport:
		r.ids[got.ENBUES1APID] = got.MMEUES1APID
	case *s1ap.InitialContextSetupRequest:
		r.ids[got.ENBUES1APID] = got.MMEUES1APID
		if want := want.(*s1ap.InitialContextSetupRequest); got.SecurityKey != want.SecurityKey {
			r.t.Errorf("frame %d: K_eNB is not the captured one", c.frame)
		}
	case *s1ap.Paging:
		if want := want.(*s1ap.Paging); got.UEPagingID.STMSI.ID() != want.UEPagingID.STMSI.ID() || got.UEIdentityIndexValue != want.UEIdentityIndexValue {
			r.t.Errorf("frame %d: Paging %+v, captured %+v", c.frame, got, want)
		}
	}
	if a, ok := y.(*eps.AttachAccept); ok {
		if got, _ := a.GUTI.V.GUTI(); got != must2(x.(*eps.AttachAccept).GUTI.V.GUTI()) {
			r.t.Errorf("frame %d: GUTI %v", c.frame, got)
		}
	}
}

func must2[T any](v T, _ bool) T { return v }
