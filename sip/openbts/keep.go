package openbts

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// maxLog is how many octets of hours are kept in a file; there are two.
const maxLog = 8 << 20

// Log keeps hours in a file, one in a line as JSON. It is never more than two
// files of 8 MB, which is some years of a cell.
type Log struct {
	path string
	mu   sync.Mutex
}

// NewLog keeps hours at a path.
func NewLog(path string) *Log { return &Log{path: path} }

// Append adds an hour.
func (l *Log) Append(h Hour) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if st, err := os.Stat(l.path); err == nil && st.Size() > maxLog {
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}
