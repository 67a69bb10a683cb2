package mme

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/home"
)

// All kinds of messages that the MME can send are read by tshark without a malformed
// packet or an expert's warning. NAS is not ciphered here.
func TestTsharkReadsTheMME(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	said := everything(t)
	file := filepath.Join(t.TempDir(), "mme.pcap")
	if err := os.WriteFile(file, pcapOf(said), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "_ws.col.Info").Output()
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "")) }
	seen := map[string]bool{}
	for _, part := range regexp.MustCompile(`, | ?\[| ?\(|\n`).Split(string(out), -1) {
		seen[plain(part)] = true
	}
	for _, want := range mmeSays(t) {
		if !seen[plain(want)] {
			t.Errorf("the MME can say %s, and tshark is not shown one", want)
		}
	}
	// 0x600000 is warn, 0x800000 error.
	bad, err := exec.Command(tshark, "-r", file, "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000", "-O", "s1ap,nas-eps").Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) != 0 {
		t.Errorf("tshark finds fault:\n%s", bad)
	}
}

// aDay makes the MME say nearly all it can.
func aDay(w *world) {
	e := w.dial()
	e.send(e.setupRequest(0x777))
	expect[*s1ap.S1SetupFailure](e)
	e.send(e.setupRequest(0x19b))
	expect[*s1ap.S1SetupResponse](e)
	wholeLife(w, e)
	wanderer(w, e)
	unknownPhone(w, e)
	refusals(w, e)
}

// wholeLife is a phone that does everything in turn.
func wholeLife(w *world, e *enbPeer) {
	p := w.phone(e)
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	down[*eps.EMMInformation](p)
	p.idle()
	s, _ := w.gw.only(w)
	w.m.DownlinkData(s, 5, 0)
	expect[*s1ap.Paging](e)
	p.request()
	p.setupResponse()
	p.settled()
	p.uplink(&eps.UplinkNASTransport{Container: []byte{9, 1, 0}})
	down[*eps.EMMStatus](p)
	p.uplink(&eps.PDNConnectivityRequest{PTI: 3, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4})
	down[*eps.PDNConnectivityReject](p)
	p.idle()
	p.initial(p.updateRequest(eps.UpdateCombined))
	down[*eps.TrackingAreaUpdateAccept](p)
	down[*eps.EMMInformation](p)
	p.released()
	p.initial(p.updateRequest(eps.UpdatePeriodic))
	p.updated()
	down[*eps.EMMInformation](p)
	p.released()
	for range 2 {
		p.request()
		p.setupResponse()
		p.idle()
	}
	p.request()
	p.setupResponse()
	p.reallocated()
	p.settled()
	p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
	down[*eps.DetachAccept](p)
	p.released()
	p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
	down[*eps.ServiceReject](p)
	p.released()
}

// unknownPhone comes with another MME's GUTI, and loses its session while idle.
func unknownPhone(w *world, e *enbPeer) {
	q := w.phone(e)
	q.guti = &id.GUTI{GUMMEI: w.m.o.GUMMEI, TMSI: 1}
	q.initial(q.updateRequest(eps.UpdateTA))
	down[*eps.TrackingAreaUpdateReject](q)
	q.released()
	m := q.attachRequest()
	m.Type = eps.AttachTypeCombined
	m.ESM = must(eps.Append(nil, &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4v6}))
	q.initial(m)
	down[*eps.IdentityRequest](q)
	q.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(q.imsi)})
	q.authenticate()
	q.accepted()
	q.setupResponse()
	q.complete()
	down[*eps.EMMInformation](q)
	q.idle()
	w.gw.forget = os.ErrInvalid
	q.request()
	q.setupResponse()
	down[*eps.NetworkDetachRequest](q)
	q.uplink(&eps.DetachAccept{})
	q.released()
}

// refusals are of phones and of S1AP.
func refusals(w *world, e *enbPeer) {
	r := w.phone(e)
	r.initial(r.attachRequest())
	down[*eps.AuthenticationRequest](r)
	r.uplink(&eps.AuthenticationResponse{RES: []byte{1, 2, 3, 4}})
	down[*eps.AuthenticationReject](r)
	r.released()
	m := r.attachRequest()
	m.ESM = []byte{2, 1, 0xd0, 0x14}
	r.initial(m)
	r.rejected(eps.EMMCauseESMFailure)
	w.home.refuse = home.Barred
	r.initial(r.attachRequest())
	r.rejected(eps.EMMCauseNoSuitableCellsInTrackingArea)
	e.raw([]byte{0x00, 0x0c, 0x40, 0x03, 0x00, 0x00, 0x07})
	expect[*s1ap.ErrorIndication](e)
	e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface,
		PartOfS1Interface: s1ap.UEAssociatedLogicalS1ConnectionListRes{{ENBUES1APID: new(s1ap.ENBUES1APID(1))}}}})
	expect[*s1ap.ResetAcknowledge](e)
}

// pcapOf puts each S1AP message into a packet of its own: Ethernet, IPv4, SCTP.
func pcapOf(messages [][]byte) []byte {
	be, le := binary.BigEndian, binary.LittleEndian
	out := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	for i, m := range messages {
		chunk := be.AppendUint16([]byte{0, 3}, uint16(16+len(m)))
		chunk = be.AppendUint32(chunk, uint32(i+1)) // TSN
		chunk = be.AppendUint16(chunk, 1)           // stream
		chunk = be.AppendUint16(chunk, uint16(i))
		chunk = append(be.AppendUint32(chunk, ppid), m...)
		chunk = append(chunk, make([]byte, -len(chunk)&3)...)
		sctp := be.AppendUint16(be.AppendUint16(nil, 36412), 36412)
		sctp = append(sctp, 0, 0, 0, 1, 0, 0, 0, 0) // tag; no checksum
		sctp = append(sctp, chunk...)
		ip := be.AppendUint16([]byte{0x45, 0}, uint16(20+len(sctp)))
		ip = append(ip, 0, 0, 0, 0, 64, 132, 0, 0, 127, 0, 0, 20, 127, 0, 0, 10)
		packet := append(append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, ip...), sctp...)
		out = le.AppendUint32(le.AppendUint32(out, uint32(i)), 0)
		out = le.AppendUint32(le.AppendUint32(out, uint32(len(packet))), uint32(len(packet)))
		out = append(out, packet...)
	}
	return out
}

// wanderer is a phone that is handed over, or not.
func wanderer(w *world, e *enbPeer) {
	f := w.towerIn(0x19c, 8)
	p := w.phone(e)
	p.attach()
	down[*eps.EMMInformation](p)
	p.arrive(f)
	m := p.switchRequest(e)
	m.UESecurityCapabilities.EncryptionAlgorithms = 0
	m.ERABToBeSwitchedDLList = append(m.ERABToBeSwitchedDLList, s1ap.ERABToBeSwitchedDLItem{ERABID: 9, TransportLayerAddress: s1ap.FromAddr(e.addr), GTPTEID: s1ap.FromTEID(1)})
	e.send(m)
	expect[*s1ap.PathSwitchRequestAcknowledge](e)
	p.e, p.enbID = e, m.ENBUES1APID
	m = p.switchRequest(f)
	m.SourceMMEUES1APID++
	f.refusedSwitch(m)
	r := p.required(e)
	r.TargetID.TargeteNBID.SelectedTAI.TAC = s1ap.FromTAC(77)
	e.send(r)
	p.failed()
	p.prepare(f)
	p.cancel()
	expect[*s1ap.UEContextReleaseCommand](f)
	moving, _ := p.prepare(f)
	moving.commanded()
	e.send(&s1ap.ENBStatusTransfer{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ENBStatusTransferTransparentContainer: s1ap.ENBStatusTransferTransparentContainer{
		BearersSubjectToStatusTransferList: s1ap.BearersSubjectToStatusTransferList{{ERABID: 5}}}})
	expect[*s1ap.MMEStatusTransfer](f)
	moving.notify()
	moving.left()
	p.idle()
}
