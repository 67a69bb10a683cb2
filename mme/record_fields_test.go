package mme

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"campanile.network/mme/s11"
	"campanile.network/wire/home"
)

// notStored says why a field is in no record. A field that is neither here nor comes
// back from a record is one that a restarted MME forgets.
var notStored = map[string]string{
	"ue.owner": "a connection ends with the MME", "ue.paging": "the gateway notifies again, or the phone comes", "ue.data": "likewise",
	"ue.order": "whoever ordered it is told nothing yet, and asks again", "ue.renewal": "likewise", "ue.orders": "the gateway repeats its requests",
	"ue.sms": "the message centre tries again", "ue.smsTurn": "of callers", "ue.alert": "Messages.Ready is called after the next attach",
	"ue.secMu": "a lock", "ue.infoMu": "a lock",
	"ue.guesses": "a restart is rarer than a minute", "ue.guessedAt": "likewise",
	"ue.guest": "a phone without authentication has no record", "ue.written": "of the pool's link",
	"ue.entered": "who has a record is known", "ue.accepted": "it becomes registered",
	"ue.number": "of this run", "ue.history": "for people; of this run",
	"pagingHelp.cells": "only a help", "pagingHelp.enbs": "only a help",
	"bearer.enb": "no radio bearer stands after a restart",
	"pdn.less":   "told with the first acceptance alone", "pdn.asked": "what the phone has not accepted is deleted",
	"keyset.open": "made of folded", "lease.ticket": "read from raw", "lease.guest": "a phone without authentication has no record",
	"Session.IMSI": "the record's", "Session.tunnel": "made by Client.Restore", "Session.remote": "State.Remote", "Session.peer": "State.Peer", "Session.run": "State.Run",
}

// Every field of what a phone is to the MME comes back from its record, or is known not
// to: a field that is added to one of these types has to be thought of.
func TestEveryFieldIsStoredOrNot(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	seen := map[string]bool{} // set in some sample
	kept := map[string]bool{} // and back from its record
	for range 200 {
		u := someUE(r)
		u.epoch, u.radioPaging = 7, []byte{1}
		p := &u.lease.profile
		p.IPv4, p.PDN = netip.MustParseAddr("10.0.0.1"), home.PDNEither
		p.APNs = []home.APN{{Name: ims, QCI: 5, ARP: 3, AMBRUL: 1, AMBRDL: 2, IPv4: p.IPv4, PDN: home.PDNEither}}
		for _, x := range u.pdns {
			x.session.IPv6 = netip.MustParseAddr("2001:db8::1")
			x.bearers[len(x.bearers)-1].tft = voice(1).TFT
		}
		got, err := parseRecord(u.record(), asWritten)
		if err != nil {
			t.Fatal(err)
		}
		fields(u, seen)
		fields(got, kept)
	}
	full := s11.State{Local: 1, Remote: 2, Peer: netip.MustParseAddrPort("127.0.0.30:2123"), Run: 3}
	full.EBI = 5
	var again s11.State
	sessionRows.read(&tlvReader{b: sessionRows.append(nil, &full), restore: asWritten}, &again)
	noteFields(reflect.ValueOf(&again), kept)
	names := map[string]bool{}
	for _, v := range []any{ue{}, pagingHelp{}, saving{}, pdn{}, bearer{}, keyset{}, lease{}, home.Profile{}, home.APN{}, s11.Session{}, s11.State{}} {
		for f := range reflect.TypeOf(v).Fields() {
			if !f.Anonymous {
				names[reflect.TypeOf(v).Name()+"."+f.Name] = true
			}
		}
	}
	for n := range names {
		switch why := notStored[n]; {
		case why == "" && !kept[n] && seen[n]:
			t.Errorf("%s is lost over a restart: it needs a row in record.go, or a reason in notStored", n)
		case why == "" && !kept[n]:
			t.Errorf("%s is set by no sample: someUE is to set it, so that its row can be tried; or give a reason in notStored", n)
		}
	}
	for n := range notStored {
		if !names[n] {
			t.Errorf("%s is no field any more", n)
		}
	}
}

// noteFields notes which fields of a struct are not zero.
func noteFields(v reflect.Value, into map[string]bool) {
	if v.IsNil() {
		return
	}
	v = v.Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			into[v.Type().Name()+"."+v.Type().Field(i).Name] = true
		}
	}
}

// fields does so for a phone and what belongs to it.
func fields(u *ue, into map[string]bool) {
	note := func(v reflect.Value) { noteFields(v, into) }
	note(reflect.ValueOf(u))
	note(reflect.ValueOf(&u.pagingHelp))
	note(reflect.ValueOf(&u.saving))
	for _, k := range []*keyset{u.sec, u.next} {
		note(reflect.ValueOf(k))
	}
	for _, l := range []*lease{u.lease, u.shown} {
		note(reflect.ValueOf(l))
		if l != nil {
			note(reflect.ValueOf(&l.profile))
			for i := range l.profile.APNs {
				note(reflect.ValueOf(&l.profile.APNs[i]))
			}
		}
	}
	for p, b := range u.bearersOf() {
		note(reflect.ValueOf(p))
		note(reflect.ValueOf(b))
		note(reflect.ValueOf(p.session))
		st := p.session.State()
		note(reflect.ValueOf(&st))
	}
}
