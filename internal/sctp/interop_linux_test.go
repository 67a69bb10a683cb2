package sctp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/internal/sctp"
)

// interopReport is what TestInterop writes, under make interop.
const interopReport = "../../docs/interop.md"

// meetings are the tests in which a stranger and we meet.
var meetings = []struct {
	who, what string
	test      func(*testing.T)
}{
	{"libusrsctp dials our userspace stack", "in UDP; plain over IPv4 and IPv6 where network namespaces can be made; 0 and 5 % loss; SHUTDOWN and ABORT from either side", TestStrangerConnects},
	{"our userspace stack dials libusrsctp", "the same", TestStrangerListens},
	{"libusrsctp is killed and comes back with its ports", "the association restarts", TestStrangerRestarts},
	{"libusrsctp has two addresses, one fails", "messages go on over the other", TestStrangerFailover},
	{"Linux kernel dials our userspace stack", "plain and in UDP, 0 and 5 % loss each way, messages of 1 to 60,000 bytes on ten streams, SHUTDOWN", TestKernelConnects},
	{"our userspace stack dials the Linux kernel", "the same; then our side loses power and comes back with its ports: the association restarts", TestKernelListens},
	{"our kernel back end and libusrsctp", "each dials the other, plain, 0 and 5 % loss; libusrsctp is killed and comes back, shuts down, aborts", TestKernelMeetsStranger},
	{"our kernel back end and our raw back end", "each dials the other through a tap, 0 and 5 % loss", TestKernelMeetsRaw},
	{"our kernel back end and a peer that falls silent", "is given up after Association.Max.Retrans", TestKernelGivesUp},
	{"our kernel back end, both ends; and a one-to-many socket of the kernel as srsRAN's eNB has it", "the contract of our associations; ports, backlog, sizes, several addresses, IPv6, 500 associations, closing; the eNB sees SHUTDOWN, does not see ABORT, and then opens a new association with its next message", TestKernel},
}

// TestInterop runs every meeting, measures, and writes docs/interop.md. It is for make interop: it takes minutes.
func TestInterop(t *testing.T) {
	if os.Getenv("INTEROP") == "" {
		t.Skip("make interop runs this")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# SCTP among strangers\n\n`make interop` writes this page; what it says is what happened on the machine that ran it last.\n\n%s\n\n", machine(t))
	b.WriteString("## Meetings\n\nThe Linux kernel is a guest (user-mode Linux); between it and our userspace stack lies an Ethernet of the test's own.\n\n" +
		"| who | what | outcome | s |\n| --- | --- | --- | --- |\n")
	for _, m := range meetings {
		outcome := "passed"
		begin := time.Now()
		ok := t.Run(m.who, func(t *testing.T) {
			defer func() {
				if t.Skipped() {
					outcome = "skipped"
				}
			}()
			m.test(t)
		})
		if !ok {
			outcome = "**failed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.1f |\n", m.who, m.what, outcome, time.Since(begin).Seconds())
	}
	t.Run("kernel rates", func(t *testing.T) { kernelRateTable(t, &b) })
	t.Run("userspace rates", func(t *testing.T) { userspaceRateTable(t, &b) })
	if err := os.WriteFile(interopReport, b.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}

// machine says on what the figures were had, and how busy it was.
func machine(t *testing.T) string {
	t.Helper()
	load, _ := os.ReadFile("/proc/loadavg")
	busy, _, _ := strings.Cut(string(load), " ")
	cpu := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, ok := strings.CutPrefix(s.Text(), "model name\t: "); ok {
				cpu = name
				break
			}
		}
	}
	uml, err := exec.Command("/usr/bin/linux.uml", "--version").Output()
	if err != nil {
		t.Log(err)
	}
	note := ""
	if v, err := strconv.ParseFloat(busy, 64); err == nil && v > 1 {
		note = ": **other work ran beside it, take the rates for comparisons only**"
	}
	return fmt.Sprintf("%s, %d cores, %s, guest kernel %s; load average at the start %s%s.", cpu, runtime.NumCPU(), runtime.Version(), bytes.TrimSpace(uml), busy, note)
}

// kernelRateTable is one row per load, beside each other what a C program, we, and the blocking library reach.
func kernelRateTable(t *testing.T, b *bytes.Buffer) {
	rows := map[string]map[string]float64{}
	var order []string
	for _, r := range kernelRates(t) {
		v, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if rows[r[0]] == nil {
			rows[r[0]] = map[string]float64{}
			order = append(order, r[0])
		}
		rows[r[0]][r[1]] = max(v, rows[r[0]][r[1]])
	}
	b.WriteString("\n## Rates over the kernel's SCTP\n\nMessages of 100 bytes per second, the best of three rounds of a second, in one guest of one processor, where a system call costs microseconds: compare within a row. " +
		"The client of every echo is ours. C is one epoll loop of recvmsg and sendmsg; ishidawataru is github.com/ishidawataru/sctp, whose sockets block a thread each.\n\n" +
		"| load | C epoll | ours | ours / C | ishidawataru | ours / ishidawataru |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, load := range order {
		c, ours, lib := rows[load]["C epoll"], rows[load]["ours"], rows[load]["ishidawataru"]
		beside := "- | %.0f | -"
		if c > 0 {
			beside = fmt.Sprintf("%.0f | %%.0f | %.2f", c, ours/c)
		}
		fmt.Fprintf(b, "| %s | "+beside+" | %.0f | %.2f |\n", load, ours, lib, ours/lib)
		if ours < 0.5*c && ours < 20*lib && !strings.HasPrefix(load, "echo, 1 at once") { // one at a time, the guest's scheduler is measured
			t.Errorf("%s: ours %.0f/s, C %.0f/s, the blocking library %.0f/s", load, ours, c, lib)
		}
	}
}

// userspaceRateTable is our userspace stack beside pion/sctp, on this machine's loopback.
func userspaceRateTable(t *testing.T, b *bytes.Buffer) {
	ours := testing.Benchmark(func(b *testing.B) {
		send, recv, _, _ := ends(udpPair(b, sctp.Options{}))
		stream(b, send, recv)
	}).Extra["msg/s"]
	pion := testing.Benchmark(func(b *testing.B) {
		x, y := pionPair(b)
		stream(b, pionSend(x), pionRecv(y))
	}).Extra["msg/s"]
	if ours < pion {
		t.Errorf("ours %.0f/s, pion %.0f/s", ours, pion)
	}
	fmt.Fprintf(b, "\n## Rates in userspace\n\nMessages of 100 bytes per second, one way, in UDP over loopback, on the host.\n\n"+
		"| ours | pion/sctp v1.11.0 | ours / pion |\n| --- | --- | --- |\n| %.0f | %.0f | %.2f |\n", ours, pion, ours/pion)
}
