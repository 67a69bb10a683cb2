package radio

import (
	"os"
	"strings"
	"testing"

	"campanile.network/sdr/band"
)

// What srsenb has really printed: from its start to a phone's download and its
// end.
func TestConsole(t *testing.T) {
	b, err := os.ReadFile("testdata/srsenb-23.04-console.txt")
	if err != nil {
		t.Fatal(err)
	}
	var order []meaning
	for line := range strings.Lines(string(b)) {
		s := understand(line)
		if s.meaning == nothing {
			continue
		}
		order = append(order, s.meaning)
		switch s.meaning {
		case version:
			if s.text != "23.04.0 (Release)" {
				t.Errorf("version %q", s.text)
			}
		case frequency:
			if s.dl != 26800 || s.ul != 25600 {
				t.Errorf("tuned to %v and %v", s.dl, s.ul)
			}
		case coreUp, started:
		default:
			t.Errorf("%q means %d", line, s.meaning)
		}
	}
	has := func(m meaning) bool {
		for _, o := range order {
			if o == m {
				return true
			}
		}
		return false
	}
	if !has(version) || !has(frequency) || !has(coreUp) || !has(started) {
		t.Errorf("%v", order)
	}
}

// Lines of bad days, as srsenb and its drivers print them.
func TestLines(t *testing.T) {
	for line, want := range map[string]said{
		"Failed to initiate S1 connection. Attempting reconnection in 10 seconds":                          {meaning: coreLost},
		"SCTP Association Shutdown. Association: 3":                                                        {meaning: coreLost},
		"S1 Setup Failure. Cause: misc: unknown-PLMN":                                                      {meaning: coreLost},
		"RF status: O=1, U=22, L=333":                                                                      {meaning: rfTrouble, rf: RF{1, 22, 333}},
		"Error - buffer pool is empty":                                                                     {meaning: warning},
		"Error initializing radio.":                                                                        {meaning: fault},
		"No Soapy devices found.":                                                                          {meaning: fault},
		"Failed to find device soapy with args rxant=LNAH,txant=BAND2":                                     {meaning: fault},
		"2026-11-22T14:29:07.352542 [RF     ] [E] Error opening RF device":                                 {meaning: fault, text: "RF: Error opening RF device"},
		"2022-08-03T07:26:53.427346 [PDCP   ] [W] Setting discard timer to 1500ms":                         {meaning: warning, text: "PDCP: Setting discard timer to 1500ms"},
		"2026-11-22T14:28:44.834314 [COMN   ] [D] [    0] Successfully bound to address 127.0.0.10:2152":   {text: "COMN: Successfully bound to address 127.0.0.10:2152"},
		"[INFO] [B200] Operating over USB 2.":                                                              {meaning: slowUSB},
		"[INFO] [B200] Operating over USB 3.":                                                              {},
		"Setting frequency: DL=1842.5 Mhz, UL=1747.5 MHz for cc_idx=0 nof_prb=6":                           {meaning: frequency, dl: 18425, ul: 17475},
		"Setting frequency: DL=99999999999999999999.5 Mhz, UL=-1 MHz":                                      {},
		"lte    1   46   15   0   27    18M  372    0   0% |  99.9   99.9   30   21   544k   62    0   0%": {},
		"Built in Release mode using commit ec29b0c1f on branch master.":                                   {meaning: version, text: "commit ec29b0c1f on branch master (Release)"},
	} {
		s := understand(line + "\r\n")
		if want.text == "" {
			s.text = ""
		}
		if s != want {
			t.Errorf("%s\nmeans %+v, want %+v", line, s, want)
		}
	}
}

// What srsenb has really reported.
func TestReport(t *testing.T) {
	b, err := os.ReadFile("testdata/srsenb-23.04-report.json")
	if err != nil {
		t.Fatal(err)
	}
	var f framer
	var got []metrics
	for line := range strings.Lines("half an object\n}\n" + string(b)) {
		o, ok := f.line(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		if m, err := parseMetrics([]byte(o)); err == nil {
			got = append(got, m)
		} else if err != errNoMetrics {
			t.Errorf("%v:\n%s", err, o)
		}
	}
	if len(got) != 2 || got[0].users != 0 || got[1].users != 1 || len(got[1].phones) != 1 {
		t.Fatalf("%+v", got)
	}
	p := got[1].phones[0]
	if p.RNTI != 0x46 || p.CQI != 15 || p.DL != 18098064 || p.UL != 543613 || got[1].dl != p.DL || got[1].ul != p.UL || got[1].rach != 1 || p.DLMCS < 20 || p.SNR < 20 {
		t.Errorf("%+v", got[1])
	}
}

// What is too long or broken is dropped, and what comes next is read.
func TestFramer(t *testing.T) {
	var f framer
	take := func(lines ...string) (out []string) {
		for _, l := range lines {
			if o, ok := f.line(l); ok {
				out = append(out, o)
			}
		}
		return out
	}
	if o := take("{", `  "a": 1`, "{", `  "b": 2`, "}"); len(o) != 1 || !strings.Contains(o[0], `"b"`) || f.dropped != 1 {
		t.Errorf("%q, %d dropped", o, f.dropped)
	}
	long := strings.Repeat("x", maxLine)
	take("{")
	for range maxReport/maxLine + 1 {
		take(long)
	}
	if o := take("}", "{", "}"); len(o) != 1 || f.dropped != 2 {
		t.Errorf("%q, %d dropped", o, f.dropped)
	}
}

func FuzzReport(f *testing.F) {
	b, err := os.ReadFile("testdata/srsenb-23.04-report.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Fuzz(func(t *testing.T, s string) {
		var f framer
		for line := range strings.Lines(s) {
			if o, ok := f.line(strings.TrimSpace(line)); ok {
				if m, err := parseMetrics([]byte(o)); err == nil && (len(m.phones) > maxPhones || m.users < len(m.phones)) {
					t.Errorf("%+v", m)
				}
			}
		}
	})
}

func FuzzConsole(f *testing.F) {
	f.Add("Setting frequency: DL=2680.0 Mhz, UL=2560.0 MHz for cc_idx=0 nof_prb=25")
	f.Add("2026-11-22T14:29:07.352542 [RF     ] [E] Error opening RF device")
	f.Fuzz(func(t *testing.T, s string) {
		if u := understand(s); u.dl > band.Freq(1_000_001) {
			t.Errorf("%+v", u)
		}
	})
}
