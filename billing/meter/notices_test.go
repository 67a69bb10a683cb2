package meter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/link"
)

// notice says one and waits.
func (m *mast) notice(epoch, number uint64, code link.NoticeCode, text string) {
	m.w.t.Helper()
	if err := m.conn.Send(link.FromTower{Notice: &link.Notice{Code: code, Text: text, Epoch: epoch, Number: number, At: time.Now()}}); err != nil {
		m.w.t.Fatal(err)
	}
	synctest.Wait()
}

// What a tower says is known once, whatever it repeats, and is confirmed when it
// is stored; what the radio does is not its word on whether it serves.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		m.notice(5, 1, link.Serving, "serving")
		m.notice(5, 1, link.Serving, "serving")
		m.notice(5, 0, link.NoChannel, "no number")
		m.notice(5, 2, link.VouchersLag, "lag")
		m.notice(5, 4, link.RadioChanged, "radio: failing") // 3 did not fit into its store
		if v := w.view(); v.Said != 3 || v.Notice.Text != "lag" || len(v.Notices) != 3 || v.Notices[2].Text != "radio: failing" || v.Missed != 1 {
			t.Errorf("%+v", v)
		}
		if c := m.confirmed; len(c) != 3 || c[2] != (link.Heard{Epoch: 5, Number: 4}) {
			t.Errorf("confirmed %+v", c)
		}
		m.leave()
		w.stop()
		w.start()
		m = w.join()
		synctest.Wait()
		if c := m.confirmed; len(c) != 1 || c[0].Number != 4 {
			t.Errorf("confirmed after a restart: %+v", c)
		}
		m.notice(5, 4, link.RadioChanged, "radio: failing")
		m.notice(6, 1, link.Serving, "another store") // the tower's own was lost
		if v := w.view(); v.Said != 4 || v.Notice.Text != "another store" {
			t.Errorf("after a restart: %+v", v)
		}
	})
}
