package town

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The main job, end to end: three equal counts, money that adds up.
func TestDemo(t *testing.T) {
	r, err := Demo(deadline(t), DemoOptions{Down: 3_000_000, Up: 400_000}, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if !r.Attached || r.IP == "" || r.DeliveredDL < 3_000_000 || r.DeliveredUL < 400_000 || r.VoucherSeq == 0 || r.Height == 0 {
		t.Errorf("%+v", r)
	}
	for _, key := range []string{`"attach_ms":`, `"delivered_ul":`, `"counted_gateway_dl":`, `"counted_tower_dl":`, `"paid":"`, `"owner_balance_after":"`} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("%s is not in %s", key, b)
		}
	}
}
