package radio_test

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// behaviour is how the test binary plays srsenb, when it is set.
const behaviour = "CAMPANILE_FAKE_SRSENB"

func TestMain(m *testing.M) {
	if how := os.Getenv(behaviour); how != "" {
		os.Exit(srsenb(how))
	}
	os.Exit(m.Run())
}

// srsenb plays the program: it reads its configuration, writes what srsenb
// writes where srsenb writes it, and behaves as it is told.
func srsenb(how string) int {
	if os.Args[1] == "--version" {
		fmt.Print("---  Software Radio Systems LTE eNodeB  ---\n\nVersion 23.4.0")
		return 0
	}
	conf, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Println("Failed to read configuration file " + os.Args[1] + " - exiting")
		return 1
	}
	runs := note(filepath.Join(filepath.Dir(os.Args[1]), "runs"))
	say := func(lines ...string) { fmt.Println(strings.Join(lines, "\n")) }
	say("---  Software Radio Systems LTE eNodeB  ---", "", "Reading configuration file "+os.Args[1]+"...", "", "Built in Release mode using 23.04.0.", "")
	if how == "no device" || how == "no device once" && runs == 1 {
		say("No Soapy devices found.", "Error initializing radio.", "2026-11-22T14:29:07.352542 [RF     ] [E] Error opening RF device")
		return 255
	}
	interrupted := make(chan os.Signal, 1)
	if how == "deaf" {
		signal.Ignore(syscall.SIGINT)
	} else {
		signal.Notify(interrupted, syscall.SIGINT)
	}
	dl := "2680.0"
	if how == "elsewhere" {
		dl = "2670.0"
	}
	say(`2026-11-22T14:35:40.042013 [S1AP   ] [I] Proc "MME Connection" - S1Setup procedure completed successfully`,
		"Setting frequency: DL="+dl+" Mhz, UL=2560.0 MHz for cc_idx=0 nof_prb=25", "", "==== eNodeB started ===", "Type <t> to view trace")
	keys := make(chan string)
	go func() {
		for b := bufio.NewScanner(os.Stdin); b.Scan(); {
			keys <- b.Text()
		}
		close(keys)
	}()
	if key := <-keys; key != "t" {
		say("Error: nobody asked for a trace")
		return 3
	}
	report, err := os.OpenFile(regexp.MustCompile(`report_json_filename = (\S+)`).FindStringSubmatch(string(conf))[1], os.O_WRONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		say("Error: " + err.Error())
		return 4
	}
	golden, err := os.ReadFile(os.Getenv("CAMPANILE_FAKE_REPORT"))
	if err != nil {
		say("Error: " + err.Error())
		return 5
	}
	report.Write(golden)
	switch how {
	case "dies":
		say("RF status: O=1, U=2, L=3", "*** buffer overflow detected ***: terminated")
		return 134
	case "core lost":
		say("SCTP Association Shutdown. Association: 3", "Failed to initiate S1 connection. Attempting reconnection in 10 seconds")
	}
	select {
	case <-keys:
		say("Closing stdin thread.")
		return 6
	case <-interrupted:
		say("Stopping ..", "---  exiting  ---")
	case <-time.After(time.Minute):
	}
	return 0
}

// note counts the runs of the program in a file.
func note(file string) int {
	b, _ := os.ReadFile(file)
	b = append(b, '.')
	os.WriteFile(file, b, 0o600)
	return len(b)
}
