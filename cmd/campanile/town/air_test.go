package town

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sip/sipgw"
)

// What an OpenBTS publishes is said of its station, and kept when the town ends.
func TestAirIsFollowed(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Write([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1}) // ZMTP 2.0
		c.Write([]byte{1, 0, 0})
		for i := range 3 {
			e := fmt.Sprintf(`{"name":"PhysicalStatus","version":"0.1","data":{"burst":{"RSSI":-40,"actualMSTimingAdvance":1},"channel":{"IMSI":"00101000000000%d"}}}`, i)
			c.Write(append([]byte{0, byte(len(e))}, e...))
		}
		io.Copy(io.Discard, c)
	}()
	home := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	tn := &Town{stack: newStack(log), cfg: &Config{HomePath: home}}
	tn.log = log
	events := l.Addr().(*net.TCPAddr).AddrPort()
	tn.followAir(sipSettings{stations: []sipgw.Station{{Name: "hill", Cells: []id.CGI{{LAC: 7, CI: 1}}}, {Name: "dale"}}, events: []netip.AddrPort{events, {}}})
	for end := time.Now().Add(time.Minute); !strings.HasPrefix(tn.air.say("hill"), "3 reports"); {
		if s := tn.air.say("hill"); strings.Contains(s, "tells nothing") || time.Now().After(end) {
			t.Fatal(s)
		}
		runtime.Gosched()
	}
	if s := tn.air.say("dale"); s != "" {
		t.Errorf("a station that is not asked: %s", s)
	}
	if err := tn.stack.end(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(filepath.Join(home, coverageFile))
	if err != nil || !strings.Contains(string(b), `"reports":3,"phones":3`) || strings.Contains(string(b), "00101000") {
		t.Errorf("%s %v", b, err)
	}
}
