//go:build linux

package xdp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// feature switches one of a device's offloads in this process's namespace, by the
// name that ethtool has for it.
func feature(dev, name string, on bool) error {
	const (
		getSet, getStrings, setFeatures = 0x37, 0x1b, 0x3b // ETHTOOL_GSSET_INFO, _GSTRINGS, _SFEATURES
		features, width                 = 4, 32            // ETH_SS_FEATURES, ETH_GSTRING_LEN
	)
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ask := func(b []byte) error {
		var req struct {
			name [16]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(req.name[:], dev)
		req.data = unsafe.Pointer(&b[0])
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
			return fmt.Errorf("ethtool %s, %s: %w", dev, name, e)
		}
		return nil
	}
	words := func(v ...uint32) (b []byte) {
		for _, w := range v {
			b = binary.NativeEndian.AppendUint32(b, w)
		}
		return b
	}
	info := words(getSet, 0, 1<<features, 0, 0)
	if err := ask(info); err != nil {
		return err
	}
	n := int(binary.NativeEndian.Uint32(info[16:]))
	list := append(words(getStrings, features, uint32(n)), make([]byte, n*width)...)
	if err := ask(list); err != nil {
		return err
	}
	for i := range n {
		if s, _, _ := bytes.Cut(list[12+i*width:][:width], []byte{0}); string(s) != name {
			continue
		}
		blocks := make([]uint32, 2*((n+31)/32))
		blocks[2*(i/32)] = 1 << (i % 32)
		if on {
			blocks[2*(i/32)+1] = 1 << (i % 32)
		}
		return ask(words(append([]uint32{setFeatures, uint32(len(blocks) / 2)}, blocks...)...))
	}
	return fmt.Errorf("%s: no device has %s", dev, name)
}
