package radio

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal: a program that writes to it does so line by
// line, where a pipe would leave it 4096 octets behind.
type terminal struct {
	master, slave *os.File
}

// openTerminal makes one, raw: what is written is read as it is.
func openTerminal() (t terminal, err error) {
	t.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return t, fmt.Errorf("radio: no pseudo terminal to be had: %w", err)
	}
	fail := func(err error) (terminal, error) {
		t.master.Close()
		return terminal{}, fmt.Errorf("radio: pseudo terminal: %w", err)
	}
	control, err := t.master.SyscallConn()
	if err != nil {
		return fail(err)
	}
	var n int
	var failed error
	err = control.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fail(err)
	}
	t.slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	if err := raw(t.slave); err != nil {
		t.slave.Close()
		return fail(err)
	}
	return t, nil
}

func raw(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		var s *unix.Termios
		if s, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS); failed != nil {
			return
		}
		s.Oflag &^= unix.OPOST
		s.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
		failed = unix.IoctlSetTermios(int(fd), unix.TCSETS, s)
	})
	if err == nil {
		err = failed
	}
	return err
}

// name is what a program opens to write to the terminal.
func (t terminal) name() string { return t.slave.Name() }

// close ends the reader of the terminal, too.
func (t terminal) close() {
	t.slave.Close()
	t.master.Close()
}
