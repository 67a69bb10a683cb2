package gtpc_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/memnet"
	"campanile.network/wire/gtpc"
)

// A request that is held is handed on once, however often it is repeated, and its
// answer is repeated as any other.
func TestHeldRequestIsAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(nil)
		var held []*gtpc.Message
		mme := start(t, n, mmeAddr, gtpc.Options{Handler: gtpc.HandlerFunc(func(_ netip.AddrPort, m *gtpc.Message) *gtpc.Message {
			held = append(held, m)
			return gtpc.Held()
		})})
		gw := start(t, n, gwAddr, gtpc.Options{})
		time.AfterFunc(7*time.Second, func() {
			mme.Answer(gwAddr, held[0], gtpc.New(gtpc.CreateBearerResponse, 1, gtpc.CauseIE(nil)))
		})
		began := time.Now()
		res, err := gw.Request(context.Background(), mmeAddr, gtpc.New(gtpc.CreateBearerRequest, 9))
		if err != nil || res.Type != gtpc.CreateBearerResponse || len(held) != 1 {
			t.Errorf("%v, %v; handed on %d times", res, err, len(held))
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("answered after %v", took)
		}
		if d := mme.Stats().Dropped[gtpc.DropRepeated]; d != 2 {
			t.Errorf("%d copies dropped", d)
		}
	})
}

// A command is over with the request that it triggers, which bears its sequence
// number, or with a failure indication (TS 29.274 §7.6).
func TestCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(nil)
		var gw *gtpc.Endpoint
		refuse := false
		seen := 0
		mme := start(t, n, mmeAddr, gtpc.Options{Handler: gtpc.HandlerFunc(func(_ netip.AddrPort, m *gtpc.Message) *gtpc.Message {
			seen++
			return gtpc.New(m.Type.Answer(), 1, gtpc.CauseIE(nil))
		})})
		commands := 0
		gw = start(t, n, gwAddr, gtpc.Options{Handler: gtpc.HandlerFunc(func(from netip.AddrPort, m *gtpc.Message) *gtpc.Message {
			commands++
			if m.Seq&0x800000 == 0 {
				t.Errorf("a command has sequence number %#x", m.Seq)
			}
			if refuse {
				return gtpc.New(gtpc.BearerResourceFailure, 1, gtpc.CauseIE(gtpc.Refuse(gtpc.NoResources, 0, "")))
			}
			go func() {
				if res, err := gw.Trigger(context.Background(), from, m, gtpc.New(gtpc.CreateBearerRequest, 1)); err != nil || res.Check() != nil {
					t.Errorf("%v, %v", res, err)
				}
			}()
			return gtpc.Held()
		})})
		res, err := mme.Command(context.Background(), gwAddr, gtpc.New(gtpc.BearerResourceCommand, 2))
		synctest.Wait()
		if err != nil || res.Type != gtpc.CreateBearerRequest || seen != 1 || commands != 1 {
			t.Errorf("%v, %v; the handler saw %d", res, err, seen)
		}
		refuse = true
		res, err = mme.Command(context.Background(), gwAddr, gtpc.New(gtpc.BearerResourceCommand, 2))
		if err != nil || res.Type != gtpc.BearerResourceFailure || res.Check() == nil {
			t.Errorf("%v, %v", res, err)
		}
		if _, err := mme.Command(context.Background(), gwAddr, gtpc.New(gtpc.CreateBearerRequest, 2)); err == nil {
			t.Error("a request was sent as a command")
		}
	})
}
