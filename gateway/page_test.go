package gateway_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

func TestIdlePhoneIsPagedOnceAndFlushed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		r.must(r.mme.Release(t.Context(), s))
		for n := range 3 {
			r.dl(s, 100+n)
		}
		synctest.Wait()
		if len(r.pages) != 1 {
			t.Fatalf("%d notifications", len(r.pages))
		}
		time.Sleep(11 * time.Second)
		r.dl(s, 103) // still idle after 10 s: told again
		if len(r.pages) != 2 {
			t.Errorf("%d notifications", len(r.pages))
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 2)}))
		for n := range 4 {
			if size, _ := r.towerReads(); size != 100+n {
				t.Errorf("packet %d has %d octets", n, size)
			}
		}
	})
}

func TestErrorIndicationIsToldToTheMME(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		gw := netip.AddrPortFrom(gwIP, 2152)
		r.tower.WriteToUDPAddrPort(gtpu.AppendErrorIndication(nil, enb.TEID, towerIP), gw)
		synctest.Wait()
		r.dl(s, 100)
		if len(r.pages) != 1 || r.pages[0] != gtpc.CauseErrorIndication {
			t.Fatalf("notifications %v", r.pages)
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: towerIP, TEID: 0x5006}, Segment: r.segment(1, 2)}))
		if n, teid := r.towerReads(); n != 100 || teid != 0x5006 {
			t.Errorf("%d octets to %v", n, teid)
		}
	})
}

func TestPhoneIsNotPagedBeforeItWasConnected(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s, err := r.mme.Create(t.Context(), request(t, phone1, r.ticket(1, 1<<30)))
		r.must(err)
		r.dl(s, 100)
		if len(r.pages) != 0 {
			t.Errorf("paged during its own attach")
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 1)}))
		if n, _ := r.towerReads(); n != 100 {
			t.Errorf("%d octets", n)
		}
	})
}

func TestPagingFailureThrowsTheBufferAway(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		r.must(r.mme.Release(t.Context(), s))
		r.dl(s, 100)
		if r.gw.Stats().Path.Buffered != 1 {
			t.Fatal("not buffered")
		}
		r.must(r.mme.PagingFailed(s))
		synctest.Wait()
		if r.gw.Stats().Path.Buffered != 0 {
			t.Error("still buffered after Downlink Data Notification Failure Indication")
		}
		r.answerPages(gtpc.UnableToPageUE)
		time.Sleep(11 * time.Second)
		r.dl(s, 100)
		if st := r.gw.Stats(); st.Path.Buffered != 0 || st.Sessions != 1 {
			t.Errorf("after a refusal: %+v", st)
		}
		r.answerPages(gtpc.ContextNotFound)
		time.Sleep(11 * time.Second)
		r.dl(s, 100)
		time.Sleep(time.Second)
		if n := r.gw.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions the MME does not know", n)
		}
	})
}
