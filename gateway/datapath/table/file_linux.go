package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	magic  = "CAMPTBL1"
	header = 4096
)

// Open makes a table in a file, or goes on with the one there, which has to be of
// that shape. One process has it at a time. All of its room on the disk is taken
// at once: about 200 octets a bearer, 336 more with classes.
func Open(path string, sessions, bearers int, classes bool) (*Table, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	t, err := open(f, sessions, bearers, classes)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("table: %s: %w", path, err), f.Close())
	}
	return t, nil
}

func open(f *os.File, sessions, bearers int, classes bool) (*Table, error) {
	fd := int(f.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another process has it: %w", err)
	}
	var head [header]byte
	copy(head[:], magic)
	binary.LittleEndian.PutUint32(head[8:], uint32(sessions))
	binary.LittleEndian.PutUint32(head[12:], uint32(bearers))
	a := header + sessions*SessionSize
	b := a + bearers*BearerSize
	size := b
	if classes {
		head[16] = 1
		size += bearers * ClassSize
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var had [header]byte
	if n, _ := f.ReadAt(had[:], 0); n == header && had != [header]byte{} {
		if had != head || st.Size() != int64(size) {
			return nil, fmt.Errorf("%w: remove it while no bearers are to be resumed, or go back to its number of bearers", ErrFile)
		}
	} else if st.Size() > int64(size) {
		return nil, ErrFile
	}
	err = unix.Fallocate(fd, 0, 0, int64(size)) // a full disk must not be met by a write to memory
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = zero(f, st.Size(), int64(size))
	}
	if err != nil {
		return nil, fmt.Errorf("reserve %d octets: %w", size, err)
	}
	if _, err := f.WriteAt(head[:], 0); err != nil {
		return nil, err
	}
	m, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	t, err := Over(m[header:a:a], m[a:b:b], m[b:])
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(m))
	}
	t.sync = func() error { return unix.Msync(m, unix.MS_SYNC) }
	t.close = func() error { return errors.Join(unix.Msync(m, unix.MS_SYNC), unix.Munmap(m), f.Close()) }
	return t, nil
}

// zero writes a file's room where it cannot be reserved.
func zero(f *os.File, from, to int64) error {
	var none [1 << 16]byte
	for from < to {
		n, err := f.WriteAt(none[:min(to-from, int64(len(none)))], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// monotonic reads CLOCK_MONOTONIC, ns: the clock of the kernel's programs.
func monotonic() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano())
}
