package town

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/gateway/datapath/xdp"
	"campanile.network/internal/config"
	"campanile.network/internal/logs"
)

// What gateway.data_path may be, best first after auto.
const (
	pathAuto     = "auto"
	pathXDP      = "xdp"
	pathTUN      = "tun"
	pathNetstack = "netstack"
)

// pathKind is the data path that runs.
type pathKind struct {
	name  string   // one of the above, but auto
	words string   // for people
	not   []string // why better ones do not run, where they were to be tried
	fast  func() (xdp.Fast, error)
}

// String says which one runs, and why none that is better.
func (k pathKind) String() string {
	return strings.Join(append([]string{k.words}, k.not...), "; ")
}

// lack is why a data path cannot run here.
type lack struct{ err error }

func (l lack) Error() string {
	return strings.TrimPrefix(l.err.Error(), xdp.ErrUnsupported.Error()+": ")
}
func (l lack) Unwrap() error { return l.err }

func lacks(format string, args ...any) error { return lack{fmt.Errorf(format, args...)} }

// checkPath checks what the section says of the data path.
func (c GatewayConfig) checkPath(bad mistake) error {
	switch c.DataPath {
	case pathAuto, pathXDP, pathTUN, pathNetstack:
	default:
		return bad("gateway.data_path", fmt.Errorf("%q is unknown", c.DataPath), `write "auto", "xdp", "tun" or "netstack"`)
	}
	if _, ok := xdpModes()[c.XDPMode]; !ok {
		return bad("gateway.xdp_mode", fmt.Errorf("%q is unknown", c.XDPMode), `write "auto", "native" or "generic"`)
	}
	if c.Workers < 0 || c.Workers > 64 {
		return bad("gateway.workers", fmt.Errorf("%d", c.Workers), "write 0 to 64")
	}
	return nil
}

func xdpModes() map[string]xdp.Mode {
	return map[string]xdp.Mode{xdp.Auto.String(): xdp.Auto, xdp.Native.String(): xdp.Native, xdp.Generic.String(): xdp.Generic}
}

// openPath opens the data path that is asked for, or the best that works here. One
// that is asked for by name and does not work is an error.
func (t *Town) openPath(s1u netip.AddrPort) (datapath.Path, error) {
	c := &t.cfg.Gateway
	towers, _ := prefixes(c.Towers)
	aside, err := t.redirect()
	if err != nil {
		return nil, err
	}
	o := userspace.Options{Local: s1u, MaxBearers: maxGatewaySessions, Towers: towers, Neighbours: c.Neighbours,
		Router: t.set.router, Router6: t.router6(), DNS: t.set.gatewayOptions.Networks[0].DNS,
		Services: t.set.services, Redirect: aside, Portal: t.set.portal.open, PortalClass: portalClass, Logger: t.role("gateway")}
	want := []string{c.DataPath}
	if c.DataPath == pathAuto {
		want = []string{pathXDP, pathTUN, pathNetstack}
		if t.cfg.Radio.Kind == "virtual" {
			want = want[2:]
			t.path.not = []string{"the phones are virtual, in this process: no faster one is of use"}
		}
	}
	for _, kind := range want {
		t.path.name = kind
		path, err := t.tryPath(kind, o)
		if l, ok := errors.AsType[lack](err); ok && c.DataPath == pathAuto {
			t.path.not = append(t.path.not, fmt.Sprintf("not %s: %v", kind, l))
			continue
		}
		if err != nil {
			return nil, t.pathRefused(kind, err)
		}
		t.role("gateway").Info("user packets go by " + t.path.String())
		return path, nil
	}
	return nil, t.pathRefused(pathAuto, errors.New(strings.Join(t.path.not, "; ")))
}

func (t *Town) tryPath(kind string, o userspace.Options) (datapath.Path, error) {
	switch kind {
	case pathXDP:
		return t.openXDP(o)
	case pathTUN:
		return t.openThroughTUN(o)
	}
	return t.openNetstack(o)
}

// pathRefused says what is wrong with a data path, where the configuration asks for
// it, and what to do.
func (t *Town) pathRefused(kind string, err error) error {
	if _, ok := errors.AsType[*config.Error](err); ok {
		return err
	}
	key, remedy := "gateway.data_path", `mend that, or write data_path = "auto"`
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return t.portTaken(err, "gateway.address")
	case errors.Is(err, syscall.EBUSY):
		remedy = "another gateway runs on this machine: stop it, or let it have a network namespace of its own"
	case errors.Is(err, xdp.ErrTaken):
		remedy = "otherwise packets might be moved by the wrong gateway"
	}
	return &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, key), What: fmt.Sprintf("data path %s: %v", kind, err), Remedy: remedy}
}

// workers is how many packets are moved side by side.
func (t *Town) workers() int {
	if n := t.cfg.Gateway.Workers; n > 0 {
		return n
	}
	return min(runtime.NumCPU(), 4)
}

// openThroughTUN opens the data path between sockets and a TUN device.
func (t *Town) openThroughTUN(o userspace.Options) (datapath.Path, error) {
	tun, err := t.openTUN()
	if err != nil {
		return nil, err
	}
	o.Port, o.Workers = tun, t.workers()
	path, err := t.openUserspace(o)
	if err != nil {
		return nil, errors.Join(err, tun.Close())
	}
	t.path.words = "userspace, by the TUN device " + tunName + ", nat " + t.cfg.Gateway.NAT
	return path, t.throughKernel()
}

// openNetstack opens the data path that needs nothing of the kernel but sockets.
func (t *Town) openNetstack(o userspace.Options) (datapath.Path, error) {
	fwd, err := t.newForwarder()
	if err != nil {
		return nil, err
	}
	t.serve("packet network", fwd.Serve)
	o.Port, o.CountHops = fwd, true
	t.path.words = "userspace, by a network stack in this process"
	return t.openUserspace(o)
}

// openUserspace opens the data path that moves packets in this process, and counts in a
// file.
func (t *Town) openUserspace(o userspace.Options) (datapath.Path, error) {
	if err := t.dropPins(); err != nil {
		return nil, err
	}
	counts, err := t.openCounts()
	if err != nil {
		return nil, err
	}
	o.Table = counts
	return userspace.New(o)
}

// openCounts opens the file that bearers are counted in, which outlives the process. One
// that cannot be used is put aside: counts go on from what the store has.
func (t *Town) openCounts() (*table.Table, error) {
	file := t.cfg.path(countsFile)
	counts, err := table.Open(file, maxGatewaySessions, maxGatewaySessions, true)
	if errors.Is(err, table.ErrFile) {
		t.role("gateway").Error("the file of counts is put aside: what was counted since the store was written last is lost", "file", file+".damaged", logs.Error, err)
		if err := os.Rename(file, file+".damaged"); err != nil {
			return nil, err
		}
		counts, err = table.Open(file, maxGatewaySessions, maxGatewaySessions, true)
	}
	if err != nil {
		return nil, err
	}
	t.onEnd("gateway's counts", counts.Close)
	return counts, nil
}

// Files of the home: what data path tun and netstack count in, and where xdp does.
const (
	countsFile = "gateway.counts"
	pinsFile   = "gateway.pins"
)

// tunName is the TUN device, which vanishes with the process.
const tunName = "campanile0"

// openTUN makes the device. A lack says what is missing.
func (t *Town) openTUN() (*userspace.TUN, error) {
	tun, err := userspace.OpenTUNWith(userspace.TUNOptions{Name: tunName, Addrs: t.deviceAddresses(), MTU: t.tunnelMTU(), Queues: t.workers()})
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, lacks("%w: it needs root, or CAP_NET_ADMIN", err)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENODEV), errors.Is(err, errors.ErrUnsupported):
		return nil, lacks("%w: this kernel has no TUN devices (modprobe tun)", err)
	case err != nil && runtime.GOOS != "linux":
		return nil, lack{err}
	case err != nil:
		return nil, err
	}
	// Errors that the gateway itself sends come from the router's address, which is
	// the device's own.
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+tunName+"/accept_local", []byte("1"), 0); err != nil {
		t.role("gateway").Warn("senders are not told of packets that are too big for phones", logs.Error, err)
	}
	return tun, nil
}

// throughKernel is what is done where the kernel routes to phones: routes, address
// translation, and what phones find at the gateway's own addresses.
func (t *Town) throughKernel() error {
	if err := t.routePools(); err != nil {
		return err
	}
	t.forwards()
	return t.answerPhones()
}

// openXDP opens the data path in the kernel's drivers. A lack says what is
// missing.
func (t *Town) openXDP(o userspace.Options) (datapath.Path, error) {
	towers, network, err := t.devices()
	if err != nil {
		return nil, err
	}
	tun, err := t.openTUN()
	if err != nil {
		return nil, err
	}
	path, err := t.newXDP(o, tun, towers, network)
	if err != nil {
		return nil, errors.Join(err, tun.Close())
	}
	t.onEnd("packet programs", path.Close)
	if err := os.Remove(t.cfg.path(countsFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	t.path.fast = path.Fast
	t.path.words = fmt.Sprintf("xdp, %v, between %s and %s, nat %s", path.Mode(), towers, network, t.cfg.Gateway.NAT)
	if why := path.Why(); why != "" {
		t.path.not = append(t.path.not, "not in the driver: "+why)
	}
	return path, t.throughKernel()
}

// devices are those towards towers and towards the packet network.
func (t *Town) devices() (towers, network string, err error) {
	c := &t.cfg.Gateway
	if four, six := c.translates(); c.DataPath == pathAuto && (six || four && c.Pool6 == "") {
		return "", "", lacks("the kernel translates addresses (nat %s), and what it translates goes the slow way", c.NAT)
	}
	var s1u, sgi xdp.Device
	if c.S1U == "" || c.SGi == "" {
		if s1u, sgi, err = xdp.Devices(t.set.gateway); err != nil && (s1u.Name == "" && c.S1U == "" || sgi.Name == "" && c.SGi == "") {
			return "", "", lacks("%w; gateway.s1u_device and gateway.sgi_device name devices", err)
		}
	}
	for name, d := range map[string]*xdp.Device{c.S1U: &s1u, c.SGi: &sgi} {
		if name == "" {
			continue
		}
		if *d, err = xdp.Named(name); err != nil {
			return "", "", err
		}
	}
	if c.DataPath == pathAuto && c.SGi == "" && sgi.Kind == "veth" {
		return "", "", lacks("%s, towards the internet, is a veth: programs at its other end may leave checksums unfinished, and phones would get them so (ethtool -K ... tx off there, then name it in gateway.sgi_device)", sgi.Name)
	}
	return s1u.Name, sgi.Name, nil
}

func (t *Town) newXDP(o userspace.Options, tun *userspace.TUN, towers, network string) (*xdp.Path, error) {
	c := &t.cfg.Gateway
	o.Port, o.Workers = tun, t.workers()
	translated, _ := c.translates()
	x := xdp.Options{Towers: towers, Network: network, Mode: xdpModes()[c.XDPMode], Userspace: o, Translated: translated, Owner: t.cfg.HomePath}
	if b := t.set.pool.Bits(); b >= 8 && b <= 31 {
		x.Pool = t.set.pool
	}
	var err error
	if x.Owner, err = filepath.Abs(t.cfg.HomePath); err != nil {
		return nil, err
	}
	fresh := false
	if x.Pin, fresh, err = t.pins(); err != nil {
		return nil, err
	}
	path, err := xdp.New(x)
	if errors.Is(err, xdp.ErrShape) {
		t.role("gateway").Error("the pinned counts are taken away: what was counted since the store was written last is lost", logs.Error, err)
		if err := os.RemoveAll(x.Pin); err != nil {
			return nil, err
		}
		path, err = xdp.New(x)
	}
	if err != nil && fresh {
		err = errors.Join(err, os.RemoveAll(x.Pin), os.Remove(t.cfg.path(pinsFile)))
	}
	if errors.Is(err, xdp.ErrUnsupported) {
		return nil, lack{err}
	}
	return path, err
}

// pins is the folder where counts outlive the process. Its name is drawn at random and
// kept in the home; who begins to count elsewhere forgets it, so that old counts never
// come back; fresh says that it was drawn now.
func (t *Town) pins() (dir string, fresh bool, err error) {
	file := t.cfg.path(pinsFile)
	b, err := os.ReadFile(file)
	if dir := string(b); err == nil && filepath.Dir(dir) == filepath.Clean(t.cfg.Gateway.XDPPins) {
		return dir, false, nil
	}
	if err == nil { // in another place until now
		err = t.dropPins()
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", false, err
	}
	dir = filepath.Join(t.cfg.Gateway.XDPPins, "campanile-"+strings.ToLower(rand.Text()[:12]))
	return dir, true, os.WriteFile(file, []byte(dir), 0o600)
}

// dropPins ends what data path xdp has left in the kernel: its programs, if the process
// was killed, would go on moving packets.
func (t *Town) dropPins() error {
	file := t.cfg.path(pinsFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := string(b)
	if _, err := os.Stat(dir); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("the packet programs of data path xdp are in the kernel and cannot be ended: as root, rm -r %s: %w", dir, err)
		}
		t.role("gateway").Warn("data path xdp ran here before: if it was killed, what it counted since the store was written last is lost", "pins", dir)
	} else if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("the packet programs of data path xdp may be in the kernel, and this process may not look: as root, rm -r %s, then remove %s: %w", dir, file, err)
	}
	return os.Remove(file)
}

// FastView is what the programs of data path xdp have done.
type FastView struct {
	Mode      string `json:"mode"`
	ULPackets uint64 `json:"ul_packets"`
	DLPackets uint64 `json:"dl_packets"`
	ULPassed  uint64 `json:"ul_passed"` // to the slow path
	DLPassed  uint64 `json:"dl_passed"`
	Sent      uint64 `json:"sent"` // by drivers, of redirected frames
	Refused   uint64 `json:"refused"`
	Unmatched uint64 `json:"unmatched"` // 0, or the kernel keeps some reports from the programs
}

func (k pathKind) fastView() *FastView {
	if k.fast == nil {
		return nil
	}
	f, err := k.fast()
	if err != nil {
		return nil
	}
	return &FastView{f.Mode.String(), f.ULPackets, f.DLPackets, f.ULPassed, f.DLPassed, f.Sent, f.Refused, f.Unmatched}
}
