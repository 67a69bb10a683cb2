package vault

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/vfs"
)

// retryEvery is how often a write that a full disk has refused is tried again.
const retryEvery = time.Second

// patience waits out what a disk may recover from: Pebble cannot go on after an error of its log. Who waits for the write is told by his own clock.
type patience struct {
	log *slog.Logger
	of  string // whose store it is

	mu  sync.Mutex
	bad map[string]error // what is being tried again, and why
}

func newPatience(l *slog.Logger, of string) *patience {
	return &patience{log: l, of: of, bad: map[string]error{}}
}

// passing says that the same write may succeed later: the disk is full, or was taken away, and nothing that was taken is lost. After a sync that has
// failed this is not so.
func passing(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// until does something until it succeeds or fails for good.
func (p *patience) until(what string, f func() error) error {
	tried := false
	for {
		err := f()
		if err == nil || !passing(err) {
			if tried {
				p.note(what, nil)
			}
			return err
		}
		tried = true
		p.note(what, err)
		time.Sleep(retryEvery)
	}
}

func (p *patience) note(what string, err error) {
	p.mu.Lock()
	_, known := p.bad[what]
	if err != nil {
		p.bad[what] = err
	} else {
		delete(p.bad, what)
	}
	p.mu.Unlock()
	switch {
	case err != nil && !known:
		p.log.Error(p.of+"'s store cannot be written; it is tried again", "file", what, "err", err)
	case err == nil:
		p.log.Info(p.of+"'s store is written again", "file", what)
	}
}

func (p *patience) failing() bool { return p.word() != "" }

// word says why nothing is written at present.
func (p *patience) word() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, err := range p.bad {
		return err.Error()
	}
	return ""
}

// patientFS is a file system whose writes wait until there is room.
type patientFS struct {
	vfs.FS
	p *patience
}

func (f patientFS) Create(name string) (v vfs.File, err error) {
	err = f.p.until(name, func() error { v, err = f.FS.Create(name); return err })
	return f.file(name, v, err)
}

func (f patientFS) ReuseForWrite(old, name string) (v vfs.File, err error) {
	err = f.p.until(name, func() error { v, err = f.FS.ReuseForWrite(old, name); return err })
	return f.file(name, v, err)
}

func (f patientFS) Rename(old, name string) error {
	return f.p.until(name, func() error { return f.FS.Rename(old, name) })
}

func (f patientFS) file(name string, v vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return patientFile{v, name, f.p}, nil
}

type patientFile struct {
	vfs.File
	name string
	p    *patience
}

func (f patientFile) Write(b []byte) (n int, err error) {
	err = f.p.until(f.name, func() error {
		more, err := f.File.Write(b[n:])
		n += more
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return err
	})
	return n, err
}

// Preallocate is for speed: a disk without room for it may have room for the write.
func (f patientFile) Preallocate(offset, length int64) error {
	_ = f.File.Preallocate(offset, length)
	return nil
}
