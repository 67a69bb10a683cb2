package town

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/config"
	"campanile.network/mme"
)

// loaded reads a home whose configuration is text.
func loaded(t *testing.T, text string) (*Config, error) {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ConfigFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(home)
}

// A mistake in [mme] is told with its line and its remedy.
func TestMMEMistakes(t *testing.T) {
	for says, line := range map[string]string{
		`mme.capacity: 0; write 1 to 255`: `capacity = 0`,
		`mme.capacity: 256`:               `capacity = 256`,
		`mme.x2: "some" is unknown; write "same owner", "all" or "none"`:           `x2 = "some"`,
		`mme.areas: 65536 is no tracking area code`:                                `areas = [[7], [65536]]`,
		`mme.areas: tracking area code 7 stands twice; each may be in one group`:   `areas = [[7, 8], [9, 7]]`,
		`mme.areas: a group of 17; a group has 1 to 16`:                            `areas = [[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]]`,
		`mme.areas: a group of 0`:                                                  `areas = [[]]`,
		`mme.paging: "area 2 5s"; a stage is "last", "areas" or "all"`:             `paging = ["last 1 3s", "area 2 5s"]`,
		`mme.paging: "last 17 5s"`:                                                 `paging = ["last 17 5s"]`,
		`mme.paging: "last 1 5"`:                                                   `paging = ["last 1 5"]`,
		`mme.paging: "last 1 5s 2"`:                                                `paging = ["last 1 5s 2"]`,
		`mme.paging: "all 1 -1s"`:                                                  `paging = ["all 1 -1s"]`,
		`mme.paging: no stage: nobody would be reached`:                            `paging = []`,
		`mme.paging_priority: 9; write at most 15 numbers, 0 to 8`:                 `paging_priority = [1, 9]`,
		`mme.paging_priority: 16 numbers`:                                          `paging_priority = [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]`,
		`mme.psm: 30m0s; write "0s", or from periodic_update, 54m0s, to 9920h0m0s`: `psm = "30m"`,
		`mme.psm: 9921h0m0s`:                                                       `psm = "9921h"`,
		`mme.edrx: 5s; write "0s", or from 5.12s to 43m41.44s`:                     `edrx = "5s"`,
		`mme.edrx: 44m0s`:                                                          `edrx = "44m"`,
		`mme.emergency: "all" is unknown; write "subscribers" or "anyone"`:         `emergency = "all"`,
		`mme.emergency_qci: 4 is no QCI of a default bearer`:                       `emergency_qci = 4`,
		`mme.emergency_arp: 16; write 1 to 15`:                                     `emergency_arp = 16`,
		`mme.emergency_mbps: 0; write 1 to 1000`:                                   `emergency_mbps = 0`,
		`unknown key "mme.pagin"; did you mean "mme.paging"?`:                      `pagin = []`,
		`mme.ciphering: "EEA9" is unknown; write some of 128-EEA2`:                 `ciphering = ["EEA9"]`,
	} {
		_, err := loaded(t, "[mme]\n"+line+"\n")
		var m *config.Error
		if !errors.As(err, &m) || !strings.Contains(err.Error(), says) || m.Line != 2 {
			t.Errorf("%s: %v, want line 2: %s", line, err, says)
		}
	}
	for says, line := range map[string]string{
		`network.emergency_apn: it is subscribers' as well`: `emergency_apn = "internet"`,
		`network.emergency_apn: `:                           `emergency_apn = "s o s"`,
	} {
		_, err := loaded(t, "[network]\n"+line+"\n")
		var m *config.Error
		if !errors.As(err, &m) || !strings.Contains(err.Error(), says) || m.Line != 2 {
			t.Errorf("%s: %v, want line 2: %s", line, err, says)
		}
	}
}

// What [mme] says is what the MME is given; what it leaves out is the MME's own
// default, and so is what init writes.
func TestMMESettings(t *testing.T) {
	written := newHome(t, nil)
	for name, read := range map[string]func() (*Config, error){
		"nothing":          func() (*Config, error) { return loaded(t, "") },
		"what init writes": func() (*Config, error) { return LoadConfig(written.HomePath) },
	} {
		c, err := read()
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.resolve()
		if err != nil {
			t.Fatal(err)
		}
		o := s.mmeOptions
		want := []mme.PagingStage{{Where: mme.PageLast, Times: 1, Wait: 3 * time.Second}, {Where: mme.PageAreas, Times: 2, Wait: 5 * time.Second}, {Where: mme.PageAll, Times: 1, Wait: 5 * time.Second}}
		if !reflect.DeepEqual(o.Paging, want) || o.PagingPriority(1) != 0 || o.PSM != 0 || o.EDRX != 0 || !o.HyperFrames.Equal(time.Unix(0, 0)) ||
			o.Emergency != nil || o.Areas != nil || o.Capacity != 255 || o.T3412 != 54*time.Minute {
			t.Errorf("%s: %+v", name, o)
		}
	}

	c, err := loaded(t, `
[network]
emergency_apn = "sos"
[mme]
capacity = 7
areas = [[7, 8], [9]]
paging = ["all 3 2s"]
paging_priority = [1, 0, 8]
psm = "240h"
edrx = "81.92s"
hyper_frames = 2026-01-01T00:00:00Z
emergency = "anyone"
emergency_qci = 8
emergency_arp = 2
emergency_mbps = 3
`)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.resolve()
	if err != nil {
		t.Fatal(err)
	}
	o := s.mmeOptions
	tai := func(tac id.TAC) id.TAI { return id.TAI{PLMN: s.plmn, TAC: tac} }
	if !reflect.DeepEqual(o.Paging, []mme.PagingStage{{Where: mme.PageAll, Times: 3, Wait: 2 * time.Second}}) || !reflect.DeepEqual(o.Areas, [][]id.TAI{{tai(7), tai(8)}, {tai(9)}}) ||
		o.Capacity != 7 || o.PSM != 240*time.Hour || o.EDRX != 81920*time.Millisecond || !o.HyperFrames.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", o)
	}
	for arp, want := range map[uint8]uint8{0: 0, 1: 1, 2: 0, 3: 8, 4: 0, 255: 0} {
		if got := o.PagingPriority(arp); got != want {
			t.Errorf("ARP priority level %d pages with priority %d, want %d", arp, got, want)
		}
	}
	if e := o.Emergency; e == nil || !e.Unauthenticated || e.APN.Name.String() != "sos" || e.APN.QCI != 8 || e.APN.ARP != 2 || e.APN.AMBRUL != 3*id.Mbps || e.APN.AMBRDL != 3*id.Mbps || len(s.apns()) != 2 {
		t.Errorf("%+v, APNs %v", o.Emergency, s.apns())
	}
}
