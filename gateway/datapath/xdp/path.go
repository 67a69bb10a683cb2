//go:build linux

package xdp

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
	"campanile.network/gateway/datapath/userspace"
)

// Path implements datapath.Path. What it does not override is the slow path's.
type Path struct {
	*userspace.Path
	o    Options
	log  *slog.Logger
	k    *kernel
	tab  *table.Table
	ring *ringbuf.Reader
	net  *network
	flow *flowTable
	at   attachment

	served bool // Serve closes the slow path

	sessions []session
	bearers  []bearer
}

var _ datapath.Path = (*Path)(nil)

// New loads the programs, attaches them and makes the slow path. ErrUnsupported
// says that this cannot be done here, and why; userspace.New can always.
func New(o Options) (*Path, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	p := &Path{o: o, log: o.Userspace.Logger}
	if err := p.build(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Path) build() (err error) {
	u := &p.o.Userspace
	set, err := p.o.constants()
	if err != nil {
		return err
	}
	s := sizes{slots: u.MaxBearers, flows: p.o.MaxFlows, hops: hopTowers + p.o.MaxTowers, classes: len(u.Services) > 0 || u.PortalClass != 0}
	if p.k, err = load(p.o.Pin, s, set); err != nil {
		return err
	}
	if err := p.o.sign(); err != nil {
		return err
	}
	if p.tab, err = table.Over(p.k.sessions, p.k.bearers, p.k.classes); err != nil {
		return err
	}
	if err := p.k.putServices(u.Services); err != nil {
		return err
	}
	p.sessions, p.bearers = make([]session, u.MaxBearers), make([]bearer, u.MaxBearers)
	p.flow = newFlowTable(p.k)
	u.Table, u.Flows, u.Idle = p.tab, p.flow, p.idle
	if p.ring, err = ringbuf.NewReader(p.k.coll.Maps[gatewayMapEvents]); err != nil {
		return fmt.Errorf("xdp: events: %w", err)
	}
	if p.net, err = newNetwork(p.k, &p.o); err != nil {
		return err
	}
	if err := p.attach(); err != nil {
		return err
	}
	if p.Path, err = userspace.New(*u); err != nil {
		return err
	}
	p.log.Debug("data path", "backend", "xdp", "mode", p.at.mode.String(), "towers", p.o.Towers, "network", p.o.Network, "bearers", u.MaxBearers, "adopted", p.k.adopted)
	return nil
}

// constants are what the programs are told when they are loaded.
func (o *Options) constants() (map[string]any, error) {
	v4, v6 := o.locals()
	if !v4.IsValid() && !v6.IsValid() {
		return nil, errors.New("xdp: Options.Userspace names neither Local nor Conn")
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return nil, fmt.Errorf("xdp: network namespace: %w", err)
	}
	flag := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	set := map[string]any{
		gatewayVarNetns: uint32(st.Ino), gatewayVarReport: o.Userspace.ReportOctets, gatewayVarBurst: table.BurstTicks,
		gatewayVarHasServices: flag(len(o.Userspace.Services) > 0), gatewayVarHasTowers: flag(len(o.Userspace.Towers) > 0),
		gatewayVarNeighbours: flag(o.Userspace.Neighbours), gatewayVarSlow4: flag(o.Translated),
	}
	first, n := o.pool()
	set[gatewayVarPool4], set[gatewayVarPool4s] = first, n
	if mtu := cmp.Or(o.Userspace.MTU, o.Userspace.Port.MTU()); mtu > 0 {
		set[gatewayVarMtu] = uint32(mtu)
	}
	if v4.IsValid() {
		set[gatewayVarLocal4] = binary.NativeEndian.Uint32(v4.AsSlice())
	}
	if v6.IsValid() {
		var w [4]uint32
		for i := range w {
			w[i] = binary.NativeEndian.Uint32(v6.AsSlice()[4*i:])
		}
		set[gatewayVarLocal6] = w
	}
	return set, nil
}

// Mode is where the programs run: Native or Generic.
func (p *Path) Mode() Mode { return p.at.mode }

// Why says why the programs are not in the drivers, where Auto was asked for;
// empty where they are, and where they were taken over from an earlier process.
func (p *Path) Why() string { return p.at.why }

// Serve implements datapath.Path. Bearers of an earlier process that were not put
// again by now are ended.
func (p *Path) Serve(ctx context.Context) error {
	p.served = true
	p.sweep()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops := []func(context.Context) error{p.Path.Serve, p.net.serve, p.listen}
	errs := make(chan error, len(loops))
	for _, f := range loops {
		go func() {
			err := f(ctx)
			cancel()
			errs <- err
		}()
	}
	<-ctx.Done()
	p.ring.Close()
	var all []error
	for range loops {
		all = append(all, <-errs)
	}
	return errors.Join(append(all, p.detach())...)
}

// listen hears what the programs tell.
func (p *Path) listen(context.Context) error {
	var rec ringbuf.Record
	for {
		if err := p.ring.ReadInto(&rec); errors.Is(err, os.ErrClosed) {
			return nil
		} else if err != nil {
			return fmt.Errorf("xdp: events: %w", err)
		}
		switch e := readEvent(rec.RawSample); e.Kind {
		case eventCrossed:
			p.Path.Crossed(e.Session)
		case eventQuota:
			p.Path.Refused(e.Session)
		}
	}
}

// Close frees all that New made; nobody may use the Path afterwards, not even to
// read counts. Serve has returned, or was never called.
func (p *Path) Close() error {
	var errs []error
	if p.Path != nil && !p.served {
		errs = append(errs, p.Path.Close())
	}
	errs = append(errs, p.detach())
	if p.ring != nil {
		errs = append(errs, p.ring.Close())
	}
	if p.k != nil {
		errs = append(errs, p.k.Close())
	}
	return errors.Join(errs...)
}

// Stats implements datapath.Path.
func (p *Path) Stats() datapath.Stats {
	s := p.Path.Stats()
	c, err := p.k.stats()
	if err != nil {
		p.log.Warn("xdp: the programs' counters cannot be read", "error", err)
		return s
	}
	s.ULPackets += c.Up
	s.DLPackets += c.Down
	for from, to := range drops {
		s.Dropped[to] += c.Reason[from]
	}
	return s
}

// drops are the programs' reasons in the data path's words.
var drops = map[int]datapath.Drop{
	ulMalformed: datapath.ULMalformed, ulSpoofed: datapath.ULSpoofed, ulNeighbour: datapath.ULNeighbour, ulNested: datapath.ULNested, ulQuota: datapath.ULQuota, ulRate: datapath.ULPolice,
	ulRefused: datapath.ULPort, dlQuota: datapath.DLQuota, dlRate: datapath.DLPolice, dlUnsolicited: datapath.DLUnsolicited,
	dlFilter: datapath.DLNoBearer, dlTunnelled: datapath.DLUnknown, dlRefused: datapath.DLSend,
}

// Fast reads what the programs have done.
func (p *Path) Fast() (Fast, error) {
	c, err := p.k.stats()
	f := Fast{Mode: p.at.mode, ULPackets: c.Up, DLPackets: c.Down, ULPassed: c.Reason[passUp], DLPassed: c.Reason[passDown], Unmatched: c.Reason[desync]}
	for i := range c.Sent {
		f.Sent += c.Sent[i]
		f.Refused += c.Failed[i]
	}
	return f, err
}

// setFlags changes a slot's flags. A bearer behind a NAT stays so, and slow; one
// whose tower has forgotten it until it has another tunnel.
func (p *Path) setFlags(slot uint32, flags uint32) {
	word := &p.k.policies[slot].Flags
	for {
		old := atomic.LoadUint32(word)
		now := flags | old&(behindNAT|lost)
		if old&behindNAT != 0 {
			now |= slowUp
		}
		if old&(behindNAT|lost) != 0 {
			now |= slowDown
		}
		if atomic.CompareAndSwapUint32(word, old, now) {
			return
		}
	}
}

// idle is told by the slow path that a bearer's tower has forgotten it.
func (p *Path) idle(teid id.TEID) {
	slot := datapath.Slot(teid)
	if w := &p.k.policies[slot]; atomic.LoadUint32(&w.TEID) == uint32(teid) {
		atomic.OrUint32(&w.Flags, lost|slowDown)
	}
}
