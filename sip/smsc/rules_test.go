package smsc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// A long text in UCS-2 arrives whole, its parts in order and apart, also through a
// restart; texts to apps and from apps likewise.
func TestLongText(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		long := strings.Repeat("Щось дуже довге, 😀. ", 15) // 300 characters
		if n := len([]rune(long)); n != 300 {
			t.Fatalf("%d characters", n)
		}
		parts := must(sms.Split(long, sms.SplitOptions{Reference: 77}))
		for i, p := range parts { // as a phone sends it
			w.takes(a, &sms.Submit{Reference: uint8(i), Destination: sms.FromMSISDN(b.MSISDN), DCS: p.DCS, User: p.User}, uint8(i))
		}
		if err := w.c.SubmitText(context.Background(), a, b.MSISDN.Digits(), long, smsc.Key{1}); err != nil { // as an app does
			t.Fatal(err)
		}
		w.restart()
		if err := w.c.SubmitText(context.Background(), a, b.MSISDN.Digits(), long, smsc.Key{1}); err != nil { // and again
			t.Fatal(err)
		}
		w.gsm.on(b)
		w.c.Ready(b.IMSI)
		passes(time.Minute)
		j := sms.NewJoiner(sms.JoinLimits{})
		var got []string
		numbers := []uint8{}
		for _, d := range w.gsm.to(b) {
			m := must(d.Data.TPDU()).(*sms.Deliver)
			h, _ := m.User.Header()
			c, _ := h.Concatenation()
			numbers = append(numbers, c.Number)
			if whole, _ := j.Add(time.Now(), sms.Peer{From: m.Originator}, m.Part()); whole != nil {
				got = append(got, must(sms.Join(whole)))
			}
		}
		if !slices.Equal(got, []string{long, long}) || !slices.IsSorted(numbers[:len(parts)]) || len(numbers) != 2*len(parts) {
			t.Errorf("%d texts from parts %v", len(got), numbers)
		}
	})
}

// Status reports come back through the store: of delivery, of what the phone does
// not take, and of what was not to be delivered in time (TS 23.040 §9.2.3.15).
func TestStatusReports(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", nil), w.phone("00002", w.gsm)
		want := []sms.Status{sms.StatusReceived, sms.StatusIncompatible, sms.StatusStoppedBusy, sms.StatusExpired}
		var stamps []sms.Timestamp
		send := func(n uint8, with ...func(*sms.Submit)) {
			stamps = append(stamps, w.takes(a, submit(b, "ciao", append(with, ref(n), reported)...), n))
		}
		send(0)
		w.gsm.does(b, says(sms.RPCauseProtocolError))
		send(1)
		w.gsm.does(b, says(sms.RPCauseTemporaryFailure))
		send(2)
		passes(10 * time.Minute)
		w.gsm.does(b, fails(smsc.ErrAbsent))
		w.gsm.to(b)
		w.takes(a, submit(b, "nobody asks", ref(9), valid(sms.ValidFor(5*time.Minute))), 9)
		send(3, valid(sms.ValidFor(time.Hour)))
		passes(2 * time.Hour)
		w.restart()
		w.lte.on(a)
		w.c.Ready(a.IMSI)
		passes(time.Minute)
		all := reports(w.lte, a)
		if len(all) != len(want) {
			t.Fatalf("%d reports: %v", len(all), all)
		}
		for i, r := range all {
			if int(r.Reference) != i || r.Status != want[i] || r.Timestamp != stamps[i] || r.Recipient != sms.FromMSISDN(b.MSISDN) || r.ForCommand {
				t.Errorf("report %d: %v", i, r)
			}
		}
		if s := w.c.Stats(); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A message waits as long as its sender says, or three days; and no message to a
// phone is so long valid that it fills the store.
func TestValidity(t *testing.T) {
	at := func(d time.Duration) sms.Validity { return sms.ValidUntil(time.Now().Add(d)) }
	for name, c := range map[string]struct {
		v    func() sms.Validity
		last time.Duration
	}{
		"none":                {func() sms.Validity { return sms.Validity{} }, 72 * time.Hour},
		"relative":            {func() sms.Validity { return sms.ValidFor(2 * time.Hour) }, 2 * time.Hour},
		"enhanced":            {func() sms.Validity { return sms.ValidExactly(40*time.Second, false) }, 40 * time.Second},
		"absolute":            {func() sms.Validity { return at(36 * time.Hour) }, 36 * time.Hour},
		"longer than allowed": {func() sms.Validity { return sms.ValidFor(60 * 24 * time.Hour) }, 14 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, smsc.Options{}, func(w *world) {
				a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
				w.takes(a, submit(b, "ciao", valid(c.v())), 1)
				passes(c.last - time.Second)
				if n := w.c.Stats().Waiting; n != 1 {
					t.Errorf("%d wait a second before the end", n)
				}
				passes(3 * time.Second)
				if n := w.c.Stats().Waiting; n != 0 {
					t.Errorf("%d wait after the end", n)
				}
			})
		})
	}
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		w.refuses(a, submit(b, "ciao", valid(at(-time.Hour))), sms.RPCauseSemanticallyIncorrect, sms.FailureVP)
	})
}

// A single shot is sent once, also if the process ends meanwhile.
func TestSingleShot(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		once := valid(sms.ValidExactly(time.Hour, true))
		w.gsm.does(b, fails(errNobodyKnows))
		w.takes(a, submit(b, "now or never", once, ref(1)), 1)
		w.gsm.does(b, func(smsc.Delivery) (sms.RP, error) {
			w.end() // the process ends while the phone is asked
			time.Sleep(time.Second)
			return nil, errNobodyKnows
		})
		w.takes(a, submit(b, "again", once, ref(2), reported), 2)
		<-w.ended
		w.gsm.does(b, nil)
		w.start()
		passes(2 * time.Hour)
		w.got(w.gsm, b, "now or never", "again")
		if r := reports(w.gsm, a); len(r) != 1 || r[0].Status != sms.StatusStoppedNoResponse {
			t.Errorf("%v", r)
		}
	})
}

// Who may not send, and to whom nothing can be sent, with the cause (TS 24.011
// §8.2.5.4, TS 23.040 §9.2.3.22).
func TestRefused(t *testing.T) {
	barred := smsc.Sender{}
	o := smsc.Options{Dial: smsc.DialPlan{Country: "88", Own: []string{"88299"}}, Barred: func(s smsc.Sender) bool { return s == barred }}
	play(t, o, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		w.refuses(a, submit(smsc.Sender{MSISDN: a.MSISDN}, "x", func(s *sms.Submit) { s.Destination = must(sms.NewAddress("+882991234567")) }), sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress)
		w.refuses(a, submit(b, "x", func(s *sms.Submit) { s.Destination = must(sms.NewAddress("+4930123456")) }), sms.RPCauseFacilityRejected, sms.FailureInvalidAddress)
		w.refuses(a, submit(b, "x", func(s *sms.Submit) { s.Destination = must(sms.NewName("Campanile")) }), sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress)
		for _, p := range []sms.PID{sms.PIDType0, sms.PIDUSIMDownload, sms.PIDMEDeperso, sms.PIDDeviceTrig} {
			w.refuses(a, submit(b, "x", pid(p)), sms.RPCauseFacilityRejected, sms.FailurePID)
		}
		stranger := smsc.Sender{IMSI: w.phone("00009", nil).IMSI}
		w.mu.Lock()
		clear(w.numbers)
		w.numbers[b.MSISDN] = b.IMSI
		w.mu.Unlock()
		w.refuses(stranger, submit(b, "x"), sms.RPCauseFacilityNotSubscribed, sms.FailureNoSubscription)
		barred = a
		w.refuses(a, submit(b, "x"), sms.RPCauseOperatorDeterminedBarring, sms.FailureBarred)
		barred = smsc.Sender{}
		w.refuses(a, &sms.Command{Type: sms.CommandSpecificFirst, Destination: sms.FromMSISDN(b.MSISDN)}, sms.RPCauseFacilityNotImplemented, sms.FailureCommandUnsupported)
		rp := must(w.c.Submit(context.Background(), a, &sms.RPData{User: []byte{1, 2, 3}}))
		if e, ok := rp.(*sms.RPError); !ok || len(e.User) == 0 {
			t.Errorf("%v", rp)
		}
		w.broken = errors.New("the directory is away")
		if rp, err := w.submits(a, submit(b, "x"), 1); err == nil {
			t.Errorf("%v", rp)
		}
		w.broken = nil
		for i, digits := range []string{"+" + b.MSISDN.Digits(), b.MSISDN.Digits(), "00" + b.MSISDN.Digits(), "0" + b.MSISDN.Digits()[2:], b.MSISDN.Digits()[2:]} {
			w.takes(a, submit(b, "ways to dial", ref(uint8(i)), func(s *sms.Submit) { s.Destination = must(sms.NewAddress(digits)) }), uint8(i))
		}
		if n := len(w.gsm.to(b)); n != 5 {
			t.Errorf("%d of 5 ways to dial reach the phone", n)
		}
		if s := w.c.Stats(); s.Submitted["failed"] != 1 || s.Submitted["Facility rejected (#29)"] != 5 {
			t.Errorf("%+v", s.Submitted)
		}
	})
}

// Nobody fills the store: not for one phone, not at all, and not by himself.
func TestBounds(t *testing.T) {
	play(t, smsc.Options{Limits: smsc.Limits{PerPhone: 5, Total: 12, PerSender: 6, Burst: 8}}, func(w *world) {
		a, b, c := w.phone("00001", w.gsm), w.phone("00002", nil), w.phone("00003", nil)
		for i := range 5 {
			w.takes(a, submit(b, "x", ref(uint8(i))), uint8(i))
		}
		w.refuses(a, submit(b, "x", ref(9)), sms.RPCauseCongestion, sms.FailureBusy) // its box is full
		w.takes(a, submit(c, "x", ref(10)), 10)
		w.takes(a, submit(c, "x", ref(11)), 11)
		w.refuses(a, submit(c, "x", ref(12)), sms.RPCauseCongestion, sms.FailureBusy) // eight at once
		passes(10 * time.Second)
		w.takes(a, submit(c, "x", ref(13)), 13) // and one each ten seconds
		w.refuses(a, submit(c, "x", ref(14)), sms.RPCauseCongestion, sms.FailureBusy)
		for i := range 4 {
			d := w.phone(fmt.Sprintf("0001%d", i), nil)
			w.takes(d, submit(smsc.Sender{MSISDN: w.phone(fmt.Sprintf("0002%d", i), nil).MSISDN}, "x"), 1)
		}
		w.refuses(b, submit(w.phone("00030", nil), "x"), sms.RPCauseCongestion, sms.FailureSystem) // twelve wait
	})
}

// A command tells of, deletes, and changes what is reported of a message that waits
// (TS 23.040 §9.2.3.19).
func TestCommands(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		command := func(n, of uint8, c sms.CommandType) *sms.Command {
			return &sms.Command{Reference: n, Number: of, Type: c, Destination: sms.FromMSISDN(b.MSISDN), StatusReport: c == sms.CommandDelete}
		}
		told := func(want sms.Status, reference uint8) {
			t.Helper()
			if r := reports(w.gsm, a); len(r) != 1 || r[0].Status != want || !r[0].ForCommand || r[0].Reference != reference {
				t.Errorf("%v, want %v", r, want)
			}
		}
		w.takes(a, submit(b, "first", ref(1), reported), 1)
		w.takes(a, submit(b, "second", ref(2)), 2)
		w.takes(a, submit(b, "third", ref(3), reported), 3)
		w.takes(a, command(4, 1, sms.CommandEnquiry), 4)
		told(sms.StatusTryingNoResponse, 4)
		w.takes(a, command(5, 77, sms.CommandEnquiry), 5)
		told(sms.StatusDoesNotExist, 5)
		w.takes(a, command(6, 1, sms.CommandDelete), 6)
		told(sms.StatusDeletedByOriginator, 6)
		w.refuses(a, command(7, 1, sms.CommandDelete), sms.RPCauseTransferRejected, sms.FailureCannotBeActioned)
		w.takes(a, command(8, 2, sms.CommandEnableReport), 8)
		w.takes(a, command(9, 3, sms.CommandCancelReport), 9)
		w.refuses(w.phone("00005", nil), command(8, 2, sms.CommandDelete), sms.RPCauseTransferRejected, sms.FailureCannotBeActioned) // not its own
		w.restart()
		w.gsm.on(b)
		w.c.Ready(b.IMSI)
		passes(0)
		w.got(w.gsm, b, "second", "third")
		if r := reports(w.gsm, a); len(r) != 1 || r[0].Reference != 2 || r[0].Status != sms.StatusReceived || r[0].ForCommand {
			t.Errorf("%v", r)
		}
	})
}

// What has the same replace short message type takes the place of what waits; the
// sender of that is told (TS 23.040 §9.2.3.9, §9.2.3.15).
func TestReplaces(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		w.takes(a, submit(b, "sunny", ref(1), pid(sms.PIDReplace1), reported), 1)
		w.takes(a, submit(b, "to stay", ref(2)), 2)
		w.takes(a, submit(b, "rain", ref(3), pid(sms.PIDReplace1)), 3)
		w.takes(a, submit(b, "another type", ref(4), pid(sms.PIDReplace7)), 4)
		w.takes(w.phone("00003", nil), submit(b, "another sender", ref(5), pid(sms.PIDReplace1)), 5)
		if r := reports(w.gsm, a); len(r) != 1 || r[0].Status != sms.StatusReplaced {
			t.Errorf("%v", r)
		}
		w.gsm.on(b)
		w.c.Ready(b.IMSI)
		passes(0)
		w.got(w.gsm, b, "to stay", "rain", "another type", "another sender")
	})
}
