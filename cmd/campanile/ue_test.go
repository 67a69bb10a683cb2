package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/console"
)

// running is a network in a home of its own, at addresses no other test has, with
// what campanile up says to its caller.
func running(t *testing.T) (home string, stop func()) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "home")
	if _, _, err := call(t, "init", "--home", home); err != nil {
		t.Fatal(err)
	}
	f := filepath.Join(home, "campanile.toml")
	b, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, n := range []int{10, 11, 12, 20, 30, 50} {
		own = append(own, fmt.Sprintf("'127.0.0.%d'", n), fmt.Sprintf("'127.0.46.%d'", n))
	}
	for _, port := range []int{7100, 7101, 7103, 8080, 9100} {
		own = append(own, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.46.1:%d", port))
	}
	own = append(own, "127.0.0.40:5060", "127.0.46.40:5060", "gsm_phones = 2", "gsm_phones = 0", "grpc = '127.0.0.1:9090'", "grpc = ''", "more_apns = []", "more_apns = ['ims']", "inactivity = '10s'", "inactivity = '2s'")
	if err := os.WriteFile(f, []byte(strings.NewReplacer(own...).Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		c := root()
		c.SetOut(&bytes.Buffer{})
		c.SetErr(&bytes.Buffer{})
		c.SetArgs([]string{"up", "--home", home, "--log-level", "error"})
		done <- c.ExecuteContext(ctx)
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("up: %v", err)
		}
	}
	for end := time.Now().Add(time.Minute); ; {
		select {
		case err := <-done:
			t.Fatalf("up ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		out, _, err := call(t, "ue", "list", "--home", home, "--json")
		var l console.PhoneList
		if err == nil && json.Unmarshal([]byte(out), &l) == nil && len(l.Phones) == 1 && l.Phones[0].Address.IsValid() {
			return home, stop
		}
		if time.Now().After(end) {
			stop()
			t.Fatalf("no phone within a minute: %v\n%s", err, out)
		}
	}
}

// The verbs on phones and their subscriptions, as an operator types them beside a
// running node; then without it.
func TestPhoneVerbs(t *testing.T) {
	home, stop := running(t)
	say := func(code int, args ...string) string {
		t.Helper()
		out, got, err := call(t, append(args, "--home", home)...)
		if got != code {
			t.Errorf("%v: code %d, %v\n%s", args, got, err, out)
		}
		if err != nil {
			out += err.Error()
		}
		return out
	}
	has := func(text string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("no %q in\n%s", w, text)
			}
		}
	}
	has(say(0, "ue", "list"), "ID  IMSI", "p1", "99970········01", "first tower")
	whole := say(0, "ue", "list", "--imsi", "--json")
	var l console.PhoneList
	if err := json.Unmarshal([]byte(whole), &l); err != nil {
		t.Fatal(err)
	}
	imsi := l.Phones[0].IMSI
	has(say(0, "ue", "list", "--imsi-prefix", "00101"), "no phone; the MME knows 1")
	has(say(2, "ue", "list", "--state", "asleep"), `state "asleep"`, "deregistered, attaching, connected, idle")
	has(say(0, "ue", "show", "p1"), "phone      p1 99970········01", "bearer 5", "internet", "ENDED", "attach")
	has(say(0, "ue", "show", imsi, "--imsi"), imsi)
	has(say(1, "ue", "show", "999700000099999"), "the MME knows no phone", "campanile ue list")
	has(say(2, "ue", "trace", imsi, "--for", "25h"), "--for")
	has(say(2, "ue", "trace", imsi, "--keys"), "--pcapng")
	traced(t, home, imsi, has)

	has(say(2, "subscriber", "set", imsi, "--apn", "ims,qci=x"), "qci=x")
	has(say(2, "subscriber", "set", imsi, "--apn", "nowhere"), "network.more_apns")
	has(say(0, "subscriber", "set", imsi, "--apn", "internet", "--apn", "ims,qci=5", "--apn", "*"), "internet, ims, * since block")
	has(say(0, "subscriber", "list"), "ACCESS POINTS", "internet, ims, *")
	has(say(0, "subscriber", "set", imsi, "--msisdn", "15550001"), "number 15550001 since block")
	has(say(2, "subscriber", "set", "999700000099999", "--msisdn", "15550001"), "no subscriber has")
	has(say(0, "sms", "send", "--to", "15550001", "--from", "Campanile", "the tower is up again"), "taken")
	has(say(0, "sms", "send", "--to", imsi, "--in", "23h30m", "later"), "taken")
	has(say(0, "sms", "list"), "NEXT TRY", "the network", "99970········01", "in 23h")
	has(say(2, "sms", "send", "--to", "4711", "hello"), "no subscriber has this number")
	has(say(2, "sms", "send", "hello"), "--to NUMBER")
	has(say(0, "sip", "registrations"), "IMSI", "EXPIRES IN")
	has(say(0, "sip", "calls"), "FROM", "SPOKEN")
	has(say(0, "sip", "stations"), "STATION", "HEARD")
	has(say(0, "subscriber", "app-password", imsi), "user      "+imsi, "realm     ims.mnc070.mcc999.3gppnetwork.org", "password  ", "not shown again")
	transcript(t, home)
	imports := []string{"subscriber", "import", "--openbts", "../../sip/openbts/testdata/sqlite-3.40.1-registry.db", "--algorithm", "comp128v3"}
	has(say(0, append(imports, "--yes")...), "3 subscribers on the ledger", "IMSI999700000001003: computes COMP128v1", "has no Ki")
	has(say(1, append(imports, "--yes")...), "IMSI999700000001001: ")
	strangers(t, home)
	paged(t, home)
	has(say(0, "ue", "detach", "p1"), "network detach done")
	stop()
	has(say(1, "ue", "list"), "no node is running")
}

// traced records the phone while it is detached and attaches again: the transcript,
// the capture as tshark reads it, the end by time, and the note of who asked.
func traced(t *testing.T, home, imsi string, has func(string, ...string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace.pcapng")
	text := make(chan string, 1)
	go func() {
		out, _, err := call(t, "ue", "trace", imsi, "--home", home, "--for", "6s", "--pcapng", file)
		text <- fmt.Sprint(out, err)
	}()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); { // until the recording runs
		if b, err := os.ReadFile(filepath.Join(home, "audit.log")); err == nil && len(b) > 0 {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if out, code, err := call(t, "ue", "detach", imsi, "--home", home, "--reattach"); code != 0 {
		t.Errorf("detach: %v %s", err, out)
	}
	has(<-text, "tracing for 6s", "DETACH REQUEST", "the trace ends", "<nil>")
	audit, err := os.ReadFile(filepath.Join(home, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	has(string(audit), `"what":"trace begins"`, `"for":"6s"`, `"imsi":"99970········01"`, fmt.Sprintf(`"uid":%d`, os.Getuid()), `"what":"trace ends"`)
	if strings.Contains(string(audit), imsi) {
		t.Error("the audit log has the whole IMSI")
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		return
	}
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "_ws.col.Info").Output()
	if err != nil {
		t.Fatal(err)
	}
	// NAS is in the capture as it was on the air, ciphered, and tshark would guess that
	// some of it is not; the transcript has it in clear.
	has(string(out), "UEContextReleaseCommand [NAS-cause=detach]", "InitialUEMessage, Attach request, PDN connectivity request", "InitialContextSetupRequest", "Delete Session Request", "Create Session Response")
	if bad, err := exec.Command(tshark, "-r", file, "-o", "nas-eps.null_decipher:FALSE", "-Y", "_ws.malformed").Output(); err != nil || len(bad) > 0 {
		t.Errorf("tshark: %v\n%s", err, bad)
	}
}
