//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
)

// attachment is the programs in their places.
type attachment struct {
	mode  Mode
	why   string // not Native, where Auto was asked for
	links []link.Link
	pins  []string
}

// attach puts the programs on the devices: in the drivers if what is redirected
// there arrives, else behind them.
func (p *Path) attach() error {
	if err := p.watch(); err != nil {
		return err
	}
	if p.adopt() {
		return nil
	}
	var why error
	if p.o.Mode != Generic {
		if why = p.attachMode(Native); why == nil {
			why = p.probe()
		}
		if why == nil {
			return nil
		}
		p.unlink()
		if p.o.Mode == Native || errors.Is(why, ErrTaken) {
			return refusal(why)
		}
		p.at.why = why.Error()
	}
	if err := p.attachMode(Generic); err != nil {
		p.unlink()
		return refusal(errors.Join(why, err))
	}
	return nil
}

// refusal is why the programs are not attached: a device that is another's is no
// lack of this machine.
func refusal(why error) error {
	if errors.Is(why, ErrTaken) {
		return why
	}
	return fmt.Errorf("%w: %w", ErrUnsupported, why)
}

// watch has the kernel tell what becomes of redirected packets.
func (p *Path) watch() error {
	for _, name := range []string{gatewayProgXmit, gatewayProgFailed} {
		if path := filepath.Join(p.o.Pin, version, "link-"+name); p.o.Pin != "" {
			if l, err := link.LoadPinnedLink(path, nil); err == nil { // its like watches already: none twice
				p.at.links, p.at.pins = append(p.at.links, l), append(p.at.pins, path)
				continue
			}
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: p.k.coll.Programs[name]})
		if err != nil {
			return fmt.Errorf("%w: the kernel does not let this process watch what becomes of redirected packets (CAP_PERFMON, tracepoints of XDP): %w", ErrUnsupported, err)
		}
		p.at.links = append(p.at.links, l)
		if err := p.pin(l, "link-"+name); err != nil {
			return err
		}
	}
	return nil
}

// places are which program goes where.
func (p *Path) places() map[int]*ebpf.Program {
	progs, d := p.k.coll.Programs, p.net.devices
	if len(d) == 1 {
		return map[int]*ebpf.Program{d[0].ifindex: progs[gatewayProgBoth]}
	}
	return map[int]*ebpf.Program{d[0].ifindex: progs[gatewayProgTowers], d[1].ifindex: progs[gatewayProgNetwork]}
}

func (p *Path) attachMode(m Mode) error {
	flags := link.XDPDriverMode
	if m == Generic {
		flags = link.XDPGenericMode
	}
	p.at.mode = m
	for ifindex, prog := range p.places() {
		i, _ := p.net.device(ifindex)
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: ifindex, Flags: flags})
		if err != nil {
			if holder := p.holder(ifindex); holder != "" {
				return fmt.Errorf("%w: device %s: %s", ErrTaken, p.net.devices[i].name, holder)
			}
			return fmt.Errorf("device %s takes no %s XDP program: %w", p.net.devices[i].name, m, err)
		}
		p.at.links = append(p.at.links, l)
		if err := p.pin(l, fmt.Sprintf("link-xdp-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// probe sends a frame to each device as the programs do. It is of a protocol
// that nobody has (IEEE 802 local experimental 1), to the device itself.
func (p *Path) probe() error {
	for i, d := range p.net.devices {
		frame := make([]byte, 60)
		copy(frame, macBytes(d.mac))
		copy(frame[6:], macBytes(d.mac))
		frame[12], frame[13], frame[14] = 0x88, 0xb5, byte(i)
		before, err := p.k.stats()
		if err != nil {
			return err
		}
		const live = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
		if _, err := p.k.coll.Programs[gatewayProgProbe].Run(&ebpf.RunOptions{Data: frame, Repeat: 1, Flags: live}); err != nil {
			return fmt.Errorf("device %s cannot be tried (want a kernel of 5.18 or later): %w", d.name, err)
		}
		after, err := p.k.stats()
		if err != nil {
			return err
		}
		if after.Sent[i] == before.Sent[i] {
			return fmt.Errorf("device %s takes no redirected frames in its driver: it lacks ndo_xdp_xmit, or queues for it (a veth's other end wants an XDP program or `ethtool -K ... gro on`)", d.name)
		}
	}
	return nil
}

// pin has a link outlive the process, where that is asked for.
func (p *Path) pin(l link.Link, name string) error {
	if p.o.Pin == "" {
		return nil
	}
	path := filepath.Join(p.o.Pin, version, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("xdp: %w", err)
	}
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("xdp: pin %s: %w", name, err)
	}
	p.at.pins = append(p.at.pins, path)
	return nil
}

// adopt takes over the programs an earlier process has left attached, without a
// packet between: each is replaced by its like.
func (p *Path) adopt() bool {
	if p.o.Pin == "" {
		return false
	}
	links, pins := p.at.links, p.at.pins
	for ifindex, prog := range p.places() {
		i, _ := p.net.device(ifindex)
		path := filepath.Join(p.o.Pin, version, fmt.Sprintf("link-xdp-%d", i))
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			return p.give(links, pins)
		}
		links, pins = append(links, l), append(pins, path)
		info, err := l.Info()
		if err != nil || info.XDP() == nil || int(info.XDP().Ifindex) != ifindex || l.Update(prog) != nil {
			return p.give(links, pins)
		}
		dev, err := netlink.LinkByIndex(ifindex)
		if err != nil || dev.Attrs().Xdp == nil {
			return p.give(links, pins)
		}
		p.at.mode = Native
		if dev.Attrs().Xdp.AttachMode == nl.XDP_ATTACHED_SKB {
			p.at.mode = Generic
		}
		if p.o.Mode != Auto && p.o.Mode != p.at.mode {
			return p.give(links, pins)
		}
	}
	p.at.links, p.at.pins = links, pins
	return true
}

// give ends what adopt has found and cannot use.
func (p *Path) give(links []link.Link, pins []string) bool {
	for _, path := range pins[len(p.at.pins):] {
		_ = os.Remove(path) // may not be there
	}
	for _, l := range links[len(p.at.links):] {
		_ = l.Close()
	}
	return false
}

// unlink takes the programs off the devices; those that watch stay.
func (p *Path) unlink() {
	const watching = 2
	for _, path := range p.at.pins[min(watching, len(p.at.pins)):] {
		_ = os.Remove(path)
	}
	for _, l := range p.at.links[min(watching, len(p.at.links)):] {
		_ = l.Close()
	}
	p.at.links = p.at.links[:min(watching, len(p.at.links))]
	p.at.pins = p.at.pins[:min(watching, len(p.at.pins))]
}

// detach ends the fast path; records that are pinned stay.
func (p *Path) detach() error {
	var errs []error
	for _, path := range p.at.pins {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, l := range p.at.links {
		errs = append(errs, l.Close())
	}
	p.at.links, p.at.pins = nil, nil
	return errors.Join(errs...)
}
