//go:build linux

package xdp

import (
	"log/slog"
	"testing"

	"campanile.network/gateway/datapath/dptest"
)

// TestNative and TestGeneric run the suite that every data path passes, on veth
// devices.
func TestNative(t *testing.T)  { conform(t, Native) }
func TestGeneric(t *testing.T) { conform(t, Generic) }

func conform(t *testing.T, m Mode) {
	if !inside(t) {
		return
	}
	w := newTown(t)
	must(t, w.towers.gro(true))
	must(t, w.network.gro(true))
	pins := bpffs(t)
	dptest.Run(t, func(t *testing.T, c dptest.Config, body func(*testing.T, *dptest.Rig)) {
		r, end := newRig(t, w, c, Options{Mode: m, Pin: pinDir(pins, c)}, slog.New(slog.DiscardHandler))
		defer end()
		if m == Native { // a veth whose other end has no NAPI takes no redirect; generic ones it takes like any packet
			r.netRefuses = func(refuse bool) { must(t, w.network.gro(!refuse)) }
		}
		body(t, r.rig())
		if f, err := r.path.Fast(); err != nil || f.Unmatched != 0 {
			t.Errorf("%+v, %v", f, err)
		}
	})
}
