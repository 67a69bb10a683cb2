package profiles

import (
	"errors"
	"fmt"
	"strings"
)

// Tool is a vendor's program that lists what is plugged in.
type Tool struct {
	Program string // empty: there is nothing to look for
	Args    []string
	Package string // of Debian, that has it
	Parse   func(output string) ([]Found, error)
}

// Tools of the vendors.
var (
	FindUHD     = Tool{"uhd_find_devices", []string{"--args", "type=b200"}, "uhd-host", parseUHD}
	FindLime    = Tool{"LimeUtil", []string{"--find"}, "limesuite", parseLime}
	FindBladeRF = Tool{"bladeRF-cli", []string{"-p"}, "bladerf", parseBladeRF}
)

// Found is a device that a tool has listed.
type Found struct {
	Model  string // as the tool says it
	Serial string
	USB    int // 2 or 3; 0: the tool does not say
}

func (f Found) String() string {
	s := f.Model
	if f.Serial != "" {
		s += ", serial " + f.Serial
	}
	if f.USB != 0 {
		s += fmt.Sprintf(", USB %d", f.USB)
	}
	return s
}

// ErrOutput means that a tool has printed what this package does not
// understand.
var ErrOutput = errors.New("profiles: the tool's output is not understood")

// maxFound bounds what is taken from one output.
const maxFound = 32

// fields reads blocks of "key: value" lines; a block begins at a line that
// starts says so. Values keep no quotes.
func fields(output string, starts func(string) bool, sep string) (blocks []map[string]string) {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if starts(line) {
			blocks = append(blocks, map[string]string{})
		}
		k, v, ok := strings.Cut(line, sep)
		if ok && len(blocks) > 0 && len(blocks) <= maxFound {
			blocks[len(blocks)-1][strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return blocks
}

// parseUHD reads uhd_find_devices.
func parseUHD(output string) ([]Found, error) {
	if strings.Contains(output, "No UHD Devices Found") {
		return nil, nil
	}
	var out []Found
	for _, b := range fields(output, func(l string) bool { return strings.HasPrefix(l, "-- UHD Device ") }, ":") {
		model := b["product"]
		if model == "" {
			model = b["type"]
		}
		if model != "" {
			out = append(out, Found{Model: model, Serial: b["serial"]})
		}
	}
	if out == nil {
		return nil, fmt.Errorf("%w: %q", ErrOutput, firstLine(output))
	}
	return out, nil
}

// parseLime reads LimeUtil --find: a line for each device, and none without.
func parseLime(output string) ([]Found, error) {
	var out []Found
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		inner, ok := strings.CutPrefix(line, "* [")
		if !ok {
			continue
		}
		f := Found{}
		for i, part := range strings.Split(strings.TrimSuffix(inner, "]"), ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch {
			case i == 0:
				f.Model = k
			case k == "serial":
				f.Serial = v
			case k == "media" && strings.Contains(v, "USB 3"):
				f.USB = 3
			case k == "media" && strings.Contains(v, "USB 2"):
				f.USB = 2
			}
		}
		if f.Model != "" && len(out) < maxFound { // what has no name does not answer
			out = append(out, f)
		}
	}
	if out == nil && strings.TrimSpace(output) != "" {
		return nil, fmt.Errorf("%w: %q", ErrOutput, firstLine(output))
	}
	return out, nil
}

// parseBladeRF reads bladeRF-cli -p.
func parseBladeRF(output string) ([]Found, error) {
	if strings.Contains(output, "No devices are available") || strings.Contains(output, "No bladeRF devices") {
		return nil, nil
	}
	var out []Found
	for _, b := range fields(output, func(l string) bool { return strings.HasPrefix(l, "Description:") }, ":") {
		out = append(out, Found{Model: b["Description"], Serial: b["Serial"]})
	}
	if out == nil {
		return nil, fmt.Errorf("%w: %q", ErrOutput, firstLine(output))
	}
	return out, nil
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line[:min(len(line), 80)]
		}
	}
	return ""
}

// Is says whether a found device is one of these kits.
func (k *Kit) Is(f Found) bool {
	m := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(f.Model))
	switch k.Name {
	case "b200mini":
		return strings.Contains(m, "b200mini") || strings.Contains(m, "b205mini")
	case "b210":
		return strings.Contains(m, "b210")
	case "limesdr-usb":
		return strings.Contains(m, "limesdrusb")
	case "limesdr-mini":
		return strings.Contains(m, "limesdrmini")
	case "bladerf-micro":
		return strings.Contains(m, "bladerf2.0")
	}
	return false
}
