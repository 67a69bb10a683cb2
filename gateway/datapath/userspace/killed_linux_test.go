package userspace

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/table"
	"campanile.network/internal/loopback"
)

const (
	killedTEID  = id.TEID(1<<datapath.SlotBits | 5)
	killedSlots = 16
)

var killedUE = netip.MustParseAddr("10.45.0.2")

// TestKilledPathHasCounted kills a data path under traffic, three times, and its
// successor goes on with the count. What arrived at either end was counted, but for
// what one system call each way had taken when it was killed between that and
// counting: a packet up, a lane down; nothing is counted that was not sent. Charged is
// at most what both lanes had besides.
func TestKilledPathHasCounted(t *testing.T) {
	if s := os.Getenv("DATAPATH_CHILD"); s != "" {
		childPath(strings.Fields(s))
	}
	file := filepath.Join(t.TempDir(), "table")
	gw, tower := loopback.Addr(t), loopback.Addr(t)
	bind := func(a netip.AddrPort) *net.UDPConn {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		tune(c, 8<<20)
		return c
	}
	eNB, world := bind(netip.AddrPortFrom(tower, gtpu.Port)), bind(netip.AddrPortFrom(tower, 0))
	var up, down atomic.Uint64
	const lives = 3
	for life := range lives {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPathHasCounted$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("DATAPATH_CHILD=%s %v %v %v", file, gw, tower, world.LocalAddr()))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		ready, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		at := make([]byte, 64) // the address of its packet network
		n, err := ready.Read(at)
		if err != nil {
			t.Fatal("the data path did not come up: ", err, cmd.Wait())
		}
		inside, err := netip.ParseAddrPort(strings.TrimSpace(string(at[:n])))
		if err != nil {
			t.Fatal(err)
		}
		traffic(t, life, eNB, world, netip.AddrPortFrom(gw, gtpu.Port), inside, &up, &down)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		drain(eNB, &down)
		drain(world, &up)
		tab, err := table.Open(file, killedSlots, killedSlots, false)
		if err != nil {
			t.Fatal(err)
		}
		c, used := tab.Usage(datapath.Slot(killedTEID)), tab.Session(0).Charged()
		tab.Close()
		missed := func(delivered, counted, once uint64) bool {
			return delivered < counted || delivered > counted+once*uint64(life+1)
		}
		if missed(up.Load(), c.ULPackets, 1) || missed(down.Load(), c.DLPackets, laneSize) || c.ULPackets < uint64(life) || c.DLPackets < uint64(life) {
			t.Errorf("life %d: counted %d up and %d down, delivered %d and %d", life, c.ULPackets, c.DLPackets, up.Load(), down.Load())
		}
		if used < c.Octets() || used > c.Octets()+uint64(life+1)*laneSize*(500+1000) {
			t.Errorf("life %d: charged %d, counted %d", life, used, c.Octets())
		}
	}
}

// traffic keeps both directions busy, a few packets ahead, and leaves them so.
func traffic(t *testing.T, life int, eNB, world *net.UDPConn, gtp, inside netip.AddrPort, up, down *atomic.Uint64) {
	server := netip.MustParseAddr("93.184.216.34")
	ulPacket := gtpu.AppendGPDU(nil, killedTEID, dptest.Packet(killedUE, server, 500))
	dlPacket := dptest.Packet(server, killedUE, 1000)
	fromUp, fromDown := up.Load(), down.Load()
	const ahead, enough = 32, 3000
	buf := make([]byte, 2000)
	sent := uint64(0)
	stuck := time.Now().Add(60 * time.Second)
	for up.Load()-fromUp < enough || down.Load()-fromDown < enough {
		for sent < min(up.Load()-fromUp, down.Load()-fromDown)+ahead {
			eNB.WriteToUDPAddrPort(ulPacket, gtp)
			world.WriteToUDPAddrPort(dlPacket, inside)
			sent++
		}
		for c, n := range map[*net.UDPConn]*atomic.Uint64{eNB: down, world: up} {
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := c.Read(buf); err == nil {
				n.Add(1)
			}
		}
		if time.Now().After(stuck) {
			t.Fatalf("life %d: %d up, %d down of %d sent", life, up.Load()-fromUp, down.Load()-fromDown, sent)
		}
	}
	for range 200 { // in full flight
		eNB.WriteToUDPAddrPort(ulPacket, gtp)
		world.WriteToUDPAddrPort(dlPacket, inside)
	}
}

// drain takes what has arrived.
func drain(c *net.UDPConn, n *atomic.Uint64) {
	buf := make([]byte, 2000)
	for {
		c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.Read(buf); err != nil {
			return
		}
		n.Add(1)
	}
}

// udpPort is a Port whose packet network is at the other end of a socket.
type udpPort struct {
	c  *net.UDPConn
	to netip.AddrPort
}

func (p udpPort) ReadPacket(b []byte) (int, error) { return p.c.Read(b) }
func (p udpPort) WritePacket(b []byte) error {
	_, err := p.c.WriteToUDPAddrPort(b, p.to)
	return err
}
func (p udpPort) MTU() int     { return 1400 }
func (p udpPort) Close() error { return p.c.Close() }

// childPath is the process that is killed.
func childPath(args []string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	tab, err := table.Open(args[0], killedSlots, killedSlots, false)
	fail(err)
	gw := netip.MustParseAddr(args[1])
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(gw, 0)))
	fail(err)
	tune(c, 8<<20)
	p, err := New(Options{Local: netip.AddrPortFrom(gw, 0), Port: udpPort{c, netip.MustParseAddrPort(args[3])}, Table: tab, Logger: slog.New(slog.DiscardHandler)})
	fail(err)
	fail(p.PutSession(datapath.Session{ID: 1, IPv4: killedUE, Open: true, Resume: true}))
	fail(p.PutBearer(datapath.Bearer{TEID: killedTEID, Session: 1, Default: true, Resume: true, Tunnel: datapath.Tunnel{Peer: netip.MustParseAddr(args[2]), TEID: 9}}))
	fmt.Println(c.LocalAddr())
	fail(p.Serve(context.Background()))
	os.Exit(0)
}
