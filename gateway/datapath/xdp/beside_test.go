//go:build linux

package xdp

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"campanile.network/gateway/datapath/dptest"
)

// besideEnv names data paths that are not of this module and are to be measured on
// the same course: a line each, name=command. The command is given to a shell in
// the namespace that has s1, towards the towers, and sgi, towards the packet
// network, and is told by its environment
//
//	BENCH_LOCAL    the address of s1, where G-PDUs come to
//	BENCH_TOWER    where they come from
//	BENCH_PHONES   address of the first phone; the others follow
//	BENCH_TEID     TEID of the first phone's uplink; its downlink goes to TEID 1 of the tower
//	BENCH_BEARERS  how many phones there are
//
// It writes a line when packets may come, and ends when its input does. What its
// group of processes spends is the cost of the packets.
const besideEnv = "BENCH_BESIDE"

func beside() (vs []variant) {
	for line := range strings.Lines(os.Getenv(besideEnv)) {
		if name, command, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			vs = append(vs, variant{name: name, n: 1000, packets: slowPackets, command: command})
		}
	}
	return vs
}

// measureBeside measures what a command makes. Where that has a program in the
// drivers, the ends have theirs there too, as for this module's own.
func (c *course) measureBeside(v variant) (up, down result) {
	must(c.t, c.town.gro(true))
	must(c.t, c.town.towers.gro(true))
	must(c.t, c.town.network.gro(true))
	cmd := exec.Command("sh", "-c", v.command)
	cmd.Env = append(os.Environ(), "BENCH_LOCAL="+townLocal4.String(), "BENCH_TOWER="+dptest.TowerA.String(), "BENCH_PHONES="+phone(0).String(),
		fmt.Sprint("BENCH_TEID=", 1<<20), fmt.Sprint("BENCH_BEARERS=", v.n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(c.t, err)
	out, err := cmd.StdoutPipe()
	must(c.t, err)
	must(c.t, cmd.Start())
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		c.t.Fatalf("%s: %v before it was ready: %v", v.name, err, cmd.Wait())
	}
	s1, err := netlink.LinkByName("s1")
	must(c.t, err)
	program := s1.Attrs().Xdp
	driver := program != nil && program.AttachMode == nl.XDP_ATTACHED_DRV
	if driver {
		must(c.t, c.town.gro(false))
	}
	if program != nil && program.Attached {
		v.packets = fastPackets
	}
	c.beside = group(c.t, cmd.Process.Pid)
	up, down = c.cross(v, driver)
	c.beside = nil
	must(c.t, in.Close())
	_, err = io.Copy(io.Discard, out)
	must(c.t, err)
	must(c.t, cmd.Wait())
	return up, down
}

// group gives the processes of a group.
func group(t testing.TB, leader int) (pids []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		if g, err := syscall.Getpgid(pid); err == nil && g == leader {
			pids = append(pids, pid)
		}
	}
	return pids
}
