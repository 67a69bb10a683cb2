package radio_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/sdr/radio"
)

// What srsenb is told is what was planned.
func TestRender(t *testing.T) {
	c := lawful()
	c.PhonePower, c.Serial, c.Clock = "10 dBm", "31A", "gpsdo"
	files, err := plan(t, c).Render("/home/r", "/dev/pts/9")
	if err != nil || len(files) != 4 {
		t.Fatal(len(files), err)
	}
	for name, want := range map[string][]string{
		"enb.conf": {"enb_id = 0x19b\n", "name = first-tower\n", "mcc = 999\n", "mnc = 70\n", "mme_addr = 127.0.0.11\n", "s1c_bind_addr = 127.0.0.10\n", "gtp_bind_addr = 127.0.0.10\n",
			"n_prb = 25\n", "sib_config = /home/r/sib.conf\n", "device_name = UHD\n", "device_args = type=b200,clock=gpsdo,serial=31A\n", "tx_gain = 79\n", "rx_gain = 40\n", "rrc_inactivity_timer = 10000\n",
			"eea_pref_list = EEA2, EEA1, EEA0\n", "eia_pref_list = EIA2, EIA1\n", "report_json_filename = /dev/pts/9\n", "all_hex_limit = 0\n",
			"# transmits in band 7 in DE on the ground of experimental, at most 10 dBm"},
		"rr.conf":  {"cell_id = 0x01;", "tac = 0x0007;", "pci = 1;", "root_seq_idx = 128;", "dl_earfcn = 3350;", "ul_earfcn = 21350;", "dl_freq = 2680000000.0;", "ul_freq = 2560000000.0;"},
		"sib.conf": {"p_max = 10;", "root_sequence_index = 128;", "prach_freq_offset = 4;", "default_paging_cycle = 64;", "rs_power = -26;", "presence_ant_port_1 = false;", "p_b = 0;"},
		"rb.conf":  {"qci = 1;", "qci = 5;", "qci = 7;", "qci = 9;"},
	} {
		text := string(files[name])
		for _, w := range append(want, "ritten by campanile, changes are lost") {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q", name, w)
			}
		}
		if strings.Contains(text, "<no value>") || strings.Count(text, "{") != strings.Count(text, "}") || strings.Count(text, "(") != strings.Count(text, ")") && name != "enb.conf" {
			t.Errorf("%s is broken:\n%s", name, text)
		}
	}
}

// The smallest cell has its random access channel at its edge (it fills the
// cell); LimeSDRs take the standard's sample rates; a second antenna is told.
func TestRenderSpecials(t *testing.T) {
	get := func(c radio.Config, file string) string {
		files, err := plan(t, c).Render("/x", "")
		if err != nil {
			t.Fatal(err)
		}
		return string(files[file])
	}
	c := lawful()
	c.Band, c.EARFCN, c.Bandwidth = 3, 1300, 1.4
	if s := get(c, "sib.conf"); !strings.Contains(s, "prach_freq_offset = 0;") {
		t.Error(s)
	}
	if s := get(c, "enb.conf"); strings.Contains(s, "report_json") || strings.Contains(s, "lte_sample_rates") {
		t.Error(s)
	}
	c = lawful()
	c.Kit = "limesdr-mini"
	if s := get(c, "enb.conf"); !strings.Contains(s, "lte_sample_rates = true\n") || !strings.Contains(s, "device_name = soapy\n") {
		t.Error(s)
	}
	c = lawful()
	c.Antennas = 2
	if s := get(c, "enb.conf"); !strings.Contains(s, "tm = 2\n") || !strings.Contains(s, "nof_ports = 2\n") {
		t.Error(s)
	}
	if s := get(c, "sib.conf"); !strings.Contains(s, "p_b = 1;") || !strings.Contains(s, "presence_ant_port_1 = true;") {
		t.Error(s)
	}
}

// Files are the owner's alone, and writing them again replaces them.
func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "radio")
	for range 2 {
		if err := plan(t, virtual()).WriteFiles(dir, ""); err != nil {
			t.Fatal(err)
		}
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
	for _, f := range list {
		if i, err := f.Info(); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), i.Mode(), err)
		}
	}
}
