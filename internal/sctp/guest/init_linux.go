package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main is the last line of a TestMain: it runs the tests, or, as process 1 of a guest, makes the guest ready and runs the command that the host wants.
func Main(m *testing.M) (code int) {
	if os.Getpid() != 1 || os.Getenv(envConfig) == "" {
		return m.Run()
	}
	code, err := boot()
	if err != nil {
		fmt.Println(signError + err.Error())
		code = 1
	}
	fmt.Printf("%s%d\n", signExit, code)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // process 1 must not end
}

// boot is the init: it mounts, loads, sets up and runs.
func boot() (int, error) {
	b, err := os.ReadFile(os.Getenv(envConfig))
	if err != nil {
		return 1, err
	}
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return 1, err
	}
	err = errors.Join(
		mount("proc", "/proc"),
		mount("sysfs", "/sys"),
		mount("devtmpfs", "/dev"),
		mount("tmpfs", "/run"),
		loadModules(c.Modules),
		interfaces(c.Addrs),
	)
	fmt.Println(signUp)
	if err != nil {
		return 1, err
	}
	for path, value := range c.Sysctl {
		if err := os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0); err != nil {
			return 1, err
		}
	}
	cmd := exec.Command(c.Command[0], c.Command[1:]...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/run", "TMPDIR=/run", envInside + "=1"}, c.Env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return 1, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// mount mounts a file system of a type, if the kernel has not done so itself.
func mount(fs, at string) error {
	if err := unix.Mount(fs, at, fs, 0, ""); err != nil && err != unix.EBUSY {
		return fmt.Errorf("mounting %s: %w", at, err)
	}
	return nil
}

// loadModules loads modules and what they need, as modules.dep says.
func loadModules(names []string) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	dir := filepath.Join("/usr/lib/uml/modules", unix.ByteSliceToString(u.Release[:]))
	b, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	needs := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if path, deps, ok := strings.Cut(line, ":"); ok {
			needs[strings.TrimSuffix(filepath.Base(path), ".ko")] = deps + " " + path
		}
	}
	for _, name := range names {
		paths, ok := needs[name]
		if !ok {
			return fmt.Errorf("no module %s in %s", name, dir)
		}
		list := strings.Fields(paths)
		for i := len(list) - 2; i >= 0; i-- { // the last dependency is needed by those before it
			if err := loadModule(filepath.Join(dir, list[i])); err != nil {
				return err
			}
		}
		if err := loadModule(filepath.Join(dir, list[len(list)-1])); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// interfaces brings lo up, with Ethernet's MTU, so that packets have the sizes they have between machines, and vec0, vec1, ... with their addresses.
func interfaces(addrs []netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	mtu, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	mtu.SetUint32(1500)
	errs := []error{unix.IoctlIfreq(fd, unix.SIOCSIFMTU, mtu), up(fd, "lo")}
	for i, a := range addrs {
		name := fmt.Sprintf("vec%d", i)
		mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), a.Bits()).Masked().Addr()
		errs = append(errs, setAddr(fd, name, unix.SIOCSIFADDR, a.Addr()), setAddr(fd, name, unix.SIOCSIFNETMASK, mask), noGSO(fd, name), up(fd, name))
	}
	return errors.Join(errs...)
}

// noGSO makes SCTP build no packets larger than the MTU for the interface to cut: where they travel in UDP, this kernel loses every one of them, and
// every retransmission that is as large.
func noGSO(fd int, name string) error {
	const ethtoolSetGSO = 0x24
	value := [2]uint32{ethtoolSetGSO, 0}
	r := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data *[2]uint32
		_    [16]byte
	}{data: &value}
	copy(r.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("%s: switching GSO off: %w", name, errno)
	}
	return nil
}

func setAddr(fd int, name string, req uint, ip netip.Addr) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := r.SetInet4Addr(ip.AsSlice()); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, req, r); err != nil {
		return fmt.Errorf("%s: %v: %w", name, ip, err)
	}
	return nil
}

func up(fd int, name string) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.SetUint16(r.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}
