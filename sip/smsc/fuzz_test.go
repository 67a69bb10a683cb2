package smsc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// FuzzSubmit sends any TPDU. It is taken or refused with a cause, what is sent then is
// a message that a phone reads, and the centre can be opened again.
func FuzzSubmit(f *testing.F) {
	part := must(sms.Split("ciao", sms.SplitOptions{}))[0]
	long := must(sms.Split(string(make([]byte, 400)), sms.SplitOptions{}))[1]
	to := must(sms.NewAddress("+8829900002"))
	for _, m := range []sms.Message{
		&sms.Submit{Reference: 1, Destination: to, DCS: part.DCS, User: part.User, StatusReport: true},
		&sms.Submit{Reference: 2, Destination: to, DCS: long.DCS, User: long.User, PID: sms.PIDReplace1, Validity: sms.ValidExactly(time.Minute, true), ReplyPath: true},
		&sms.Submit{Reference: 3, Destination: must(sms.NewAddress("101")), DCS: part.DCS, User: part.User, Validity: sms.ValidFor(time.Hour), RejectDuplicates: true},
		&sms.Submit{Reference: 4, Destination: must(sms.NewAddress("+4930")), DCS: sms.DCS8Bit, User: must(sms.New8Bit(nil, []byte{1, 2, 3}))},
		&sms.Command{Reference: 5, Number: 1, Destination: to, Type: sms.CommandDelete, StatusReport: true},
		&sms.Command{Reference: 6, Number: 2, Destination: to, Type: sms.CommandEnquiry},
	} {
		f.Add(must(sms.Append(nil, m)), uint8(0))
	}
	f.Fuzz(func(t *testing.T, tpdu []byte, answer uint8) {
		if len(tpdu) > 232 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzed(t, tpdu, answer) })
	})
}

func fuzzed(t *testing.T, tpdu []byte, answer uint8) {
	w := &world{t: t, fs: vfs.NewMem(), gsm: newRadio(), lte: newRadio(), numbers: map[id.MSISDN]id.IMSI{}}
	w.o = smsc.Options{Dir: "sms.db", FS: w.fs, Address: must(sms.NewAddress("+882990000")), Directory: w, Codes: &codes{}, Trunk: &trunk{},
		Paths: []smsc.NamedPath{{Name: "gsm", Path: w.gsm}}}
	a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
	w.gsm.does(b, func(d smsc.Delivery) (sms.RP, error) {
		if answer == 0 {
			return &sms.RPAck{Direction: sms.Uplink}, nil
		}
		return &sms.RPError{Direction: sms.Uplink, Cause: sms.RPCause(answer)}, nil
	})
	w.start()
	for _, p := range [][]byte{tpdu, tpdu} { // and a repetition
		rp, err := w.c.Submit(context.Background(), a, &sms.RPData{Reference: 1, User: p})
		if err != nil {
			t.Fatalf("not answered: %v", err)
		}
		if _, err := sms.Append(nil, rp); err != nil {
			t.Fatalf("%v cannot be sent: %v", rp, err)
		}
		passes(0)
	}
	w.restart()
	passes(time.Hour)
	for _, d := range w.gsm.sent {
		if _, err := sms.Append(nil, &d.Data); err != nil {
			t.Fatalf("delivered what cannot be sent: %v", err)
		}
		switch m := must(d.Data.TPDU()).(type) {
		case *sms.Deliver, *sms.StatusReport:
		default:
			t.Fatalf("delivered %T", m)
		}
	}
	passes(20 * 24 * time.Hour)
	if s := w.c.Stats(); s.Waiting != 0 || s.Lost != 0 {
		t.Fatalf("left behind: %+v", s)
	}
	w.stop()
}
