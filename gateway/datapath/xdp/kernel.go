//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"campanile.network/gateway/datapath/table"
)

// version of the records: maps pinned by another are not adopted.
const version = "v1"

// kernel is what is loaded: programs, maps, and the memory of those that are
// shared.
type kernel struct {
	coll                       *ebpf.Collection
	adopted                    bool // the maps were there
	policies                   []policy
	counts                     []count // a stretch of slots for each CPU
	hops                       []hop
	alarms                     []uint64
	sessions, bearers, classes []byte
	slots                      int
	maps                       [][]byte
	grace                      grace
}

// sizes of the maps.
type sizes struct {
	slots, flows, hops int
	classes            bool
}

// pinned are the maps that outlive the process.
var pinned = []string{gatewayMapPolicies, gatewayMapSessions, gatewayMapBearers, gatewayMapClasses, gatewayMapCounts, gatewayMapAlarms,
	gatewayMapHops, gatewayMapRoutes, gatewayMapUe4s, gatewayMapUe6s, gatewayMapFilters, gatewayMapFlows, gatewayMapServices,
	gatewayMapDevices, gatewayMapStats, gatewayMapPendings}

// load puts the programs into the kernel. dir is where maps are pinned, empty
// for nowhere; set gives the programs' constants.
func load(dir string, s sizes, set map[string]any) (*kernel, error) {
	spec, err := loadGateway()
	if err != nil {
		return nil, fmt.Errorf("xdp: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("xdp: %w", err)
	}
	for name, n := range map[string]int{gatewayMapPolicies: s.slots, gatewayMapSessions: s.slots, gatewayMapBearers: s.slots, gatewayMapAlarms: s.slots,
		gatewayMapCounts: s.slots * cpus, gatewayMapUe4s: s.slots, gatewayMapUe6s: s.slots, gatewayMapFilters: s.slots,
		gatewayMapFlows: s.flows, gatewayMapHops: s.hops} {
		spec.Maps[name].MaxEntries = uint32(n)
	}
	if s.classes {
		spec.Maps[gatewayMapClasses].MaxEntries = uint32(s.slots)
	}
	set[gatewayVarSlots] = uint32(s.slots)
	for name, v := range set {
		if err := spec.Variables[name].Set(v); err != nil {
			return nil, fmt.Errorf("xdp: constant %s: %w", name, err)
		}
	}
	k := &kernel{slots: s.slots}
	if k.coll, k.adopted, err = k.collection(spec, dir); err != nil {
		return nil, explain(err)
	}
	if err := k.share(cpus, s); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// collection loads spec; where maps are pinned that are like spec's, it goes on
// with them.
func (k *kernel) collection(spec *ebpf.CollectionSpec, dir string) (*ebpf.Collection, bool, error) {
	if dir == "" {
		c, err := ebpf.NewCollection(spec)
		return c, false, err
	}
	path := filepath.Join(dir, version)
	if err := onBPF(dir); err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, false, fmt.Errorf("pin maps: %w", err)
	}
	for _, name := range pinned {
		spec.Maps[name].Pinning = ebpf.PinByName
	}
	_, err := os.Stat(filepath.Join(path, gatewayMapPolicies))
	had := err == nil
	opts := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: path}}
	c, err := ebpf.NewCollectionWithOptions(spec, opts)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return nil, false, fmt.Errorf("%w: %s: %w", ErrShape, path, err)
	}
	return c, had, err
}

// share maps the memory of arrays into this process.
func (k *kernel) share(cpus int, s sizes) (err error) {
	get := func(name string, size, n int) []byte {
		if err != nil {
			return nil
		}
		page := os.Getpagesize()
		var b []byte
		length := (size*n + page - 1) / page * page
		if b, err = unix.Mmap(k.coll.Maps[name].FD(), 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			err = fmt.Errorf("xdp: map memory of %s: %w", name, err)
			return nil
		}
		k.maps = append(k.maps, b)
		return b[: size*n : size*n]
	}
	k.policies = records[policy](get(gatewayMapPolicies, int(unsafe.Sizeof(policy{})), s.slots))
	k.counts = records[count](get(gatewayMapCounts, int(unsafe.Sizeof(count{})), s.slots*cpus))
	k.hops = records[hop](get(gatewayMapHops, int(unsafe.Sizeof(hop{})), s.hops))
	k.alarms = records[uint64](get(gatewayMapAlarms, 8, s.slots))
	k.sessions = get(gatewayMapSessions, table.SessionSize, s.slots)
	k.bearers = get(gatewayMapBearers, table.BearerSize, s.slots)
	if s.classes {
		k.classes = get(gatewayMapClasses, table.ClassSize, s.slots)
	}
	if err != nil {
		return err
	}
	return k.grace.init()
}

func records[T any](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(*new(T))))
}

// Close unloads what nothing else holds. Nobody may use the memory afterwards.
func (k *kernel) Close() error {
	var errs []error
	for _, m := range k.maps {
		errs = append(errs, unix.Munmap(m))
	}
	k.maps, k.policies, k.counts, k.hops, k.alarms = nil, nil, nil, nil, nil
	k.coll.Close()
	k.grace.close()
	return errors.Join(errs...)
}

// count sums what all CPUs have counted of a slot.
func (k *kernel) count(slot uint32) (sum count) {
	for i := int(slot); i < len(k.counts); i += k.slots {
		c := &k.counts[i]
		sum.ULOctets += atomic.LoadUint64(&c.ULOctets)
		sum.ULPackets += atomic.LoadUint64(&c.ULPackets)
		sum.DLOctets += atomic.LoadUint64(&c.DLOctets)
		sum.DLPackets += atomic.LoadUint64(&c.DLPackets)
	}
	return sum
}

// zero forgets what was counted of a slot that no packet uses.
func (k *kernel) zero(slot uint32) {
	for i := int(slot); i < len(k.counts); i += k.slots {
		k.counts[i] = count{}
	}
}

// stats sums the programs' counters.
func (k *kernel) stats() (sum counters, err error) {
	var each []counters
	if err := k.coll.Maps[gatewayMapStats].Lookup(uint32(0), &each); err != nil {
		return sum, err
	}
	for _, c := range each {
		sum.Up += c.Up
		sum.Down += c.Down
		for i := range c.Reason {
			sum.Reason[i] += c.Reason[i]
		}
		for i := range c.Sent {
			sum.Sent[i] += c.Sent[i]
			sum.Failed[i] += c.Failed[i]
		}
	}
	return sum, nil
}

func (k *kernel) setRouting(r *routing) error {
	return k.coll.Maps[gatewayMapRoutes].Put(uint32(0), r)
}

// explain says what is missing when the kernel refuses.
func explain(err error) error {
	switch {
	case errors.Is(err, ErrUnsupported), errors.Is(err, ErrShape):
		return err
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: this process lacks CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (or root): %w", ErrUnsupported, err)
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: this kernel has no BPF, or one that is too old (want 6.1 on %s): %w", ErrUnsupported, runtime.GOARCH, err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: this kernel does not tell its types (CONFIG_DEBUG_INFO_BTF) or has no XDP tracepoints: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("xdp: load packet programs: %w", err)
}

func readEvent(b []byte) (e event) {
	if len(b) >= 8 {
		e = event{binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])}
	}
	return e
}
