package radio

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"campanile.network/sdr/band"
)

// What a line of srsenb's console means.
type meaning uint8

const (
	nothing   meaning = iota
	started           // samples flow
	coreUp            // S1 Setup Response
	coreLost          // the association is gone, or S1 Setup failed
	frequency         // dl and ul are what the kit was tuned to
	rfTrouble         // rf are counts since the line before
	warning           // the program's own
	fault             // the program's own, or what it says when it gives up
	slowUSB           // the kit is at a USB 2 port
	version           // text is the version
)

// said is a line understood.
type said struct {
	meaning meaning
	text    string
	dl, ul  band.Freq
	rf      RF
}

// logLine is srslog's: time, layer, level, text. Levels are D, I, W, E.
var logLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT[\d:.]+ \[(\w+) *\] \[(\w)\] *(?:\[ *\d+\] *)?(.*)$`)

var (
	tuned   = regexp.MustCompile(`^Setting frequency: DL=([\d.]+) Mhz, UL=([\d.]+) MHz`)
	rfLine  = regexp.MustCompile(`^RF status: O=(\d+), U=(\d+), L=(\d+)$`)
	builtIn = regexp.MustCompile(`^Built in (\w+) mode using (.+?)\.?$`)
)

// plain are console lines that mean something by how they begin.
var plain = []struct {
	begins string
	meaning
}{
	{"==== eNodeB started ===", started},
	{"Failed to initiate S1 connection", coreLost},
	{"S1 Setup Failure. Cause:", coreLost},
	{"S1setup failed", coreLost},
	{"S1 setup failed", coreLost},
	{"SCTP Association Shutdown", coreLost},
	{"SCTP peer address unreachable", coreLost},
	{"SCTP remote error", coreLost},
	{"Error - buffer pool is empty", warning}, // for a moment, on a busy machine
	// What is said before it gives up.
	{"Error", fault},
	{"ERROR", fault},
	{"Failed to ", fault},
	{"Invalid ", fault},
	{"No Soapy devices found", fault},
	{"No compatible RF", fault},
	{"PARSER ERROR", fault},
	{"Couldn't stop after", warning},
	{"WARNING", warning},
	{"Warning", warning},
}

// understand reads one line of the console.
func understand(line string) said {
	line = strings.TrimSpace(line)
	if m := logLine.FindStringSubmatch(line); m != nil {
		return logged(m[1], m[2], m[3])
	}
	if m := tuned.FindStringSubmatch(line); m != nil {
		return said{meaning: frequency, text: line, dl: units(m[1]), ul: units(m[2])}
	}
	if m := rfLine.FindStringSubmatch(line); m != nil {
		return said{meaning: rfTrouble, text: line, rf: RF{Overflows: count(m[1]), Underflows: count(m[2]), Late: count(m[3])}}
	}
	if m := builtIn.FindStringSubmatch(line); m != nil {
		return said{meaning: version, text: m[2] + " (" + m[1] + ")"}
	}
	if strings.Contains(line, "Operating over USB 2") {
		return said{meaning: slowUSB, text: line}
	}
	for _, p := range plain {
		if strings.HasPrefix(line, p.begins) {
			return said{meaning: p.meaning, text: line}
		}
	}
	return said{text: line}
}

// logged reads a line of srsenb's log.
func logged(layer, level, text string) said {
	s := said{text: fmt.Sprintf("%s: %s", layer, text)}
	switch {
	case layer == "S1AP" && strings.Contains(text, "S1Setup procedure completed successfully"):
		s.meaning = coreUp
	case level == "W":
		s.meaning = warning
	case level == "E":
		s.meaning = fault
	}
	return s
}

func count(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// units are MHz with one place, as srsenb prints them.
func units(mhz string) band.Freq {
	v, err := strconv.ParseFloat(mhz, 64)
	if err != nil || v < 0 || v > 1e5 {
		return 0
	}
	return band.Freq(v*10 + 0.5)
}
