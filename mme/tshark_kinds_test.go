package mme

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// mmeSays gives the names of all messages of S1AP and NAS that this package's code
// makes, as their standards write them: what a table of them could forget.
func mmeSays(t *testing.T) (names []string) {
	t.Helper()
	eNBs := []string{"ERABSetupResponse", "ERABModifyResponse", "ERABReleaseResponse"} // made in the place of one that does not come
	made := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok {
				if sel, ok := lit.Type.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok {
						made[pkg.Name+"."+sel.Sel.Name] = true
					}
				}
			}
			return true
		})
	}
	for pkg, header := range map[string]*regexp.Regexp{
		"s1ap": regexp.MustCompile(`func \(\*(\w+)\) Header\(\) Header \{\n\treturn Header\{\w+, \w+, \w+, "([^"]+)"`),
		"eps":  regexp.MustCompile(`func \(m \*(\w+)\) MessageType\(\) MessageType \{ return MessageType\((0x\w+)\)`),
	} {
		b, err := os.ReadFile("../3gpp/" + pkg + "/messages_gen.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range header.FindAllStringSubmatch(string(b), -1) {
			if !made[pkg+"."+m[1]] || slices.Contains(eNBs, m[1]) {
				continue
			}
			name := m[2]
			if number, err := strconv.ParseUint(name, 0, 16); err == nil {
				name = eps.MessageType(number).String()
			}
			names = append(names, name)
		}
	}
	if len(names) < 50 {
		t.Fatalf("the MME makes %v alone?", names)
	}
	slices.Sort(names)
	return names
}

// everything is what the MME says in conversations with all kinds of its messages.
func everything(t *testing.T) (said [][]byte) {
	clear := func(o *Options) {
		o.Security = nassec.Policy{EEA: []nassec.EEA{nassec.EEA0}}
		o.NetworkName, o.NetworkShortName = "Campanile", "Camp"
	}
	hear := func(w *world) { w.record = func(b []byte) { said = append(said, b) } }
	play(t, func(o *Options) { clear(o); o.GUTIRequests = 3 }, func(w *world) { hear(w); aDay(w) })
	play(t, func(o *Options) { clear(o); o.NetworkName, o.NetworkShortName = "", "" }, func(w *world) { hear(w); bearersCome(w) })
	play(t, func(o *Options) { noUpdates(o); clear(o); o.NetworkName, o.NetworkShortName = "", "" }, func(w *world) {
		hear(w)
		p := w.phone(w.tower(0x19b))
		p.attach()
		time.Sleep(untilRenewal)
		p.authenticate()
		p.rekeyed()
	})
	play(t, clear, func(w *world) { hear(w); betweenNodes(w) })
	play(t, func(o *Options) { clear(o); o.MaxAttaches = 4 }, func(w *world) {
		hear(w)
		e := w.tower(0x19b)
		for range 4 {
			p := w.phone(e)
			p.initial(p.attachRequest())
			down[*eps.AuthenticationRequest](p)
		}
		e.wait(&s1ap.OverloadStart{}, 20*time.Second)
		e.wait(&s1ap.OverloadStop{}, 5*time.Minute)
	})
	play(t, func(o *Options) { clear(o); o.Messages = &testCentre{} }, func(w *world) {
		hear(w)
		p := w.phone(w.tower(0x19b))
		p.attachCombined()
		down[*eps.EMMInformation](p)
		out := w.deliver(p.imsi, "ciao")
		p.takes()
		w.acknowledged(out)
		p.says(&sms.CPError{TI: sms.TI{Value: 3}})
		p.idleAndBack()
	})
	return said
}

// bearersCome are PDN connections and dedicated bearers, and what a phone may not
// ask of them.
func bearersCome(w *world) {
	p := w.attached()
	s, _ := w.gw.only(w)
	ch := w.creates(s, voice(0x700))
	setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
	p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
	p.standing(6)
	w.told(ch, gtpc.Accepted)
	q := *voice(0).QoS
	q.GBRDL = 48 * id.Kbps
	ch = w.updates(s, s11.BearerContext{EBI: 6, QoS: &q})
	expect[*s1ap.ERABModifyRequest](p.e)
	p.modified(6)
	p.uplink(&eps.ModifyEPSBearerContextAccept{EBI: 6})
	w.told(ch, gtpc.Accepted)
	p.uplink(&eps.PDNDisconnectRequest{PTI: 3, Linked: 5})
	down[*eps.PDNDisconnectReject](p)
	p.uplink(&eps.BearerResourceAllocationRequest{PTI: 3, Linked: 9, Aggregate: *voice(0).TFT, QoS: eps.EPSQoS{QCI: 5}})
	down[*eps.BearerResourceAllocationReject](p)
	p.uplink(&eps.BearerResourceModificationRequest{PTI: 3, FilterEBI: 9, Aggregate: eps.TFT{Operation: eps.TFTDelete}})
	down[*eps.BearerResourceModificationReject](p)
	p.uplink(&eps.RemoteUEReport{PTI: 1})
	down[*eps.ESMStatus](p)
	ch = w.deletes(s, 6)
	releases[*eps.DeactivateEPSBearerContextRequest](p)
	p.erabsGone(6)
	p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
	w.told(ch, gtpc.Accepted)
	p.connectTo(4, ims)
}

// betweenNodes is what concerns no phone, or its place.
func betweenNodes(w *world) {
	e, f := w.tower(0x19b), w.tower(0x19c)
	e.send(&s1ap.ENBConfigurationUpdate{ENBname: "renamed"})
	expect[*s1ap.ENBConfigurationUpdateAcknowledge](e)
	e.send(&s1ap.ENBConfigurationUpdate{SupportedTAs: s1ap.SupportedTAs{{TAC: s1ap.FromTAC(9), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(thirdPLMN)}}}})
	expect[*s1ap.ENBConfigurationUpdateFailure](e)
	g := func(n uint32) s1ap.GlobalENBID {
		return s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: n})
	}
	e.send(&s1ap.ENBConfigurationTransfer{SONConfigurationTransferECT: &s1ap.SONConfigurationTransfer{
		TargeteNBID: s1ap.TargeteNBID{GlobalENBID: g(0x19c), SelectedTAI: f.tai()}, SourceeNBID: s1ap.SourceeNBID{GlobalENBID: g(0x19b), SelectedTAI: e.tai()},
		SONInformation: s1ap.SONInformation{Choice: s1ap.SONInformationChoiceSONInformationRequest}}})
	expect[*s1ap.MMEConfigurationTransfer](f)
	p := w.phone(e)
	p.attach()
	down[*eps.EMMInformation](p)
	for _, mode := range []LocationMode{LocateOnce, LocateMoves, LocateNoMore} {
		if err := w.m.Locate(p.imsi, mode); err != nil {
			w.t.Fatal(err)
		}
		expect[*s1ap.LocationReportingControl](e)
	}
	if err := w.m.Reconfigure(Configuration{Name: "second", Capacity: 7, Shared: []id.PLMN{secondPLMN}}); err != nil {
		w.t.Fatal(err)
	}
	for _, x := range []*enbPeer{e, f} {
		expect[*s1ap.MMEConfigurationUpdate](x)
		x.send(&s1ap.MMEConfigurationUpdateAcknowledge{})
	}
	done := make(chan error, 1)
	go func() {
		done <- w.m.Reset(context.Background(), id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b})
	}()
	expect[*s1ap.Reset](e)
	e.send(&s1ap.ResetAcknowledge{})
	if err := <-done; err != nil {
		w.t.Error(err)
	}
}
