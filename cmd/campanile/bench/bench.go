// Package bench is an MME by itself, for measuring it: a home and a gateway in its
// own process that do the least they may, a real store, real SCTP, and a line
// protocol by which whoever loads it asks what it has used. It is no MME for
// phones of people: it gives any tower leave, and one key to every SIM.
package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/mme/store"
	"campanile.network/wire/proof"
)

// s1apPort is S1AP's SCTP port (TS 36.412 §7).
const s1apPort = 36412

// Options of Run; all but Store and Profile are required.
type Options struct {
	Listen netip.Addr // SCTP in UDP
	PLMN   id.PLMN
	K, OPc secret.Key128 // of every SIM
	Store  string        // a folder that is made; empty: nothing is kept
	// Profile is a file for a CPU profile of the time between two "profile" lines.
	Profile string
	Logger  *slog.Logger
}

// Report is the answer to a "report" line. Memory is what is in use after a
// collection of garbage.
type Report struct {
	CPU        float64           `json:"cpu_seconds"` // of the process, user and system
	Heap       uint64            `json:"heap"`        // octets
	StoreHeap  uint64            `json:"store_heap"`  // octets of Heap that the store has taken once
	RSS        uint64            `json:"rss"`         // octets
	Goroutines int               `json:"goroutines"`
	ENBs       int               `json:"enbs"`
	Registered int               `json:"registered"`
	Connected  int               `json:"connected"`
	Records    uint64            `json:"records"` // written to the store
	Commits    uint64            `json:"commits"`
	Procedures map[string]uint64 `json:"procedures"`
	Dropped    map[string]uint64 `json:"dropped,omitempty"`
}

// Run serves until ctx or in ends. Lines of in: "report" is answered with a Report
// in one line of out; "page" and an IMSI is data for that phone at the gateway,
// without an answer; "profile" begins a CPU profile, and again ends it. The first
// line of out is "ready".
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) (err error) {
	c := &core{o: o, gateway: newGateway()}
	defer c.close()
	if c.mme, err = c.make(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- c.mme.Serve(ctx, c.listener) }()
	lines := make(chan string)
	go func() { // ends with in, which is the parent's pipe
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	fmt.Fprintln(out, "ready")
	for {
		select {
		case err := <-served:
			return err
		case line, more := <-lines:
			if !more {
				stop()
				return <-served
			}
			if err := c.obey(line, out); err != nil {
				stop()
				<-served
				return err
			}
		}
	}
}

// core is one run.
type core struct {
	o        Options
	mme      *mme.MME
	gateway  *gateway
	endpoint sctp.Endpoint
	listener sctp.Listener
	kept     *store.Store
	profile  *os.File
}

func (c *core) make() (*mme.MME, error) {
	operator := proof.SigningKeyFromSeed([32]byte{1})
	home, err := newHome(c.o, operator.Public())
	if err != nil {
		return nil, err
	}
	o := mme.Options{GUMMEI: id.GUMMEI{PLMN: c.o.PLMN, Group: 1, Code: 1}, ChainID: chainID, Operator: operator, Home: home, Gateway: c.gateway, Towers: anyTower{},
		NetworkName: "Campanile", Logger: c.o.Logger}
	if c.o.Store != "" {
		if c.kept, err = store.Open(filepath.Clean(c.o.Store), store.Options{Key: [32]byte{1}, Logger: c.o.Logger}); err != nil {
			return nil, err
		}
		o.Store, o.Memory = c.kept, c.kept
	}
	m, err := mme.New(o)
	if err != nil {
		return nil, err
	}
	if c.endpoint, _, err = sctp.Open(sctp.OpenOptions{Transport: sctp.TransportUDP, Local: []netip.Addr{c.o.Listen}, Logger: c.o.Logger}); err != nil {
		return nil, err
	}
	c.listener, err = c.endpoint.Listen(s1apPort)
	return m, err
}

func (c *core) close() {
	if c.profile != nil {
		pprof.StopCPUProfile()
		c.profile.Close()
	}
	if c.endpoint != nil {
		c.endpoint.Close()
	}
	if c.kept != nil {
		c.kept.Close()
	}
}

func (c *core) obey(line string, out io.Writer) error {
	what, of, _ := strings.Cut(line, " ")
	switch what {
	case "report":
		return json.NewEncoder(out).Encode(c.report())
	case "page":
		if s := c.gateway.of(of); s != nil {
			c.mme.DownlinkData(s, s.EBI, 0)
		}
		return nil
	case "profile":
		return c.toggleProfile()
	}
	return fmt.Errorf("bench: %q is no order", line)
}

func (c *core) toggleProfile() (err error) {
	if c.o.Profile == "" {
		return nil
	}
	if c.profile != nil {
		pprof.StopCPUProfile()
		err = c.profile.Close()
		c.profile = nil
		return err
	}
	if c.profile, err = os.Create(c.o.Profile); err != nil {
		return err
	}
	return pprof.StartCPUProfile(c.profile)
}

func (c *core) report() Report {
	cpu := Used()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := c.mme.Stats()
	var held uint64
	if c.kept != nil {
		held = c.kept.Memory()
	}
	return Report{StoreHeap: held, CPU: cpu, Heap: m.HeapAlloc, RSS: resident(), Goroutines: runtime.NumGoroutine(), ENBs: s.ENBs, Registered: s.Registered, Connected: s.Connected,
		Records: s.Store.Records, Commits: s.Store.Commits, Procedures: s.Procedures, Dropped: s.Dropped}
}

// Used is the processor time of this process in seconds, before what a report
// itself costs.
func Used() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
}

// resident is the memory the system has given to this process, in octets; 0 where
// the system does not say.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages uint64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
