package hss_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/hss"
	"campanile.network/wire/home"
)

func TestBadSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		good := hss.Subscription{IMSI: w.imsi, K: w.k, OPc: w.opc, SQN: hss.Array32, Profile: home.Profile{QCI: 9, ARP: 1, AMBRUL: 1, AMBRDL: 1}}
		good.Profile.APN, _ = id.ParseAPN("internet")
		if _, err := w.hss.Provision([]hss.Subscription{good}, ""); !errors.Is(err, hss.ErrExists) {
			t.Error(err)
		}
		good.IMSI, _ = id.ParseIMSI("999700000000009")
		if _, err := w.hss.Provision([]hss.Subscription{good, good}, ""); !errors.Is(err, hss.ErrExists) {
			t.Error(err)
		}
		if w.hss.Has(good.IMSI) {
			t.Error("half a batch was taken")
		}
		for name, spoil := range map[string]func(*hss.Subscription){
			"K": func(s *hss.Subscription) { s.K = secret.Key128{} }, "QCI": func(s *hss.Subscription) { s.Profile.QCI = 0 },
			"ARP": func(s *hss.Subscription) { s.Profile.ARP = 16 }, "APN": func(s *hss.Subscription) { s.Profile.APN = id.APN{} },
			"SQN": func(s *hss.Subscription) { s.SQN = 7 }, "IMSI": func(s *hss.Subscription) { s.IMSI = id.IMSI{} },
		} {
			s := good
			spoil(&s)
			if _, err := w.hss.Provision([]hss.Subscription{s}, ""); err == nil {
				t.Errorf("subscription with bad %s taken", name)
			}
		}
		if err := w.hss.Erase(w.record.ID); err != nil {
			t.Fatal(err)
		}
		_, err := w.ask()
		wantCode(t, err, home.UnknownSubscriber)
		if _, ok := w.hss.Blob(w.record.BlobHash); ok {
			t.Error("blob of an erased subscriber is still there")
		}
	})
}

func FuzzImport(f *testing.F) {
	w := newTown(f)
	f.Cleanup(w.close)
	blob, _ := w.hss.Blob(w.record.BlobHash)
	f.Add(blob)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := w.hss.Import(b); err == nil && !bytes.Equal(b, blob) {
			t.Error("a blob nobody sealed was taken")
		}
	})
}
