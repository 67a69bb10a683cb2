package town

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"campanile.network/internal/config"
	"campanile.network/internal/logs"
	"campanile.network/mme/store"
)

// openStore opens what the MME keeps over a restart: phones and eNBs, under a key
// that is made when there is none. A store that is damaged is put aside: the
// network goes on without what was in it.
func (t *Town) openStore() (*store.Store, error) {
	key, err := storeKey(t.cfg.HomePath)
	if err != nil {
		return nil, err
	}
	dir, o := t.cfg.path("mme.db"), store.Options{Key: key, Logger: t.role("mme")}
	s, err := store.Open(dir, o)
	if errors.Is(err, store.ErrDamaged) || isFile(dir) {
		aside := dir + ".damaged"
		t.role("mme").Error("the MME's store is put aside: phones attach anew, eNBs that have not noticed its end are not called back", "folder", aside, logs.Error, err)
		if err := errors.Join(os.RemoveAll(aside), os.Rename(dir, aside)); err != nil {
			return nil, err
		}
		s, err = store.Open(dir, o)
	}
	if err != nil {
		return nil, inUse(t.cfg.HomePath, err)
	}
	t.onEnd("MME's store", s.Close)
	return s, nil
}

func isFile(name string) bool {
	i, err := os.Stat(name)
	return err == nil && i.Mode().IsRegular()
}

// storeKey reads the key of the MME's store, or makes it. It may lie on another
// disk than the store, by a link: who takes one of them has nothing.
func storeKey(home string) (key [32]byte, err error) {
	file := keyFile(home, "store")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := makeKeys(home, "store"); err != nil {
			return key, err
		}
	}
	b, err := config.Secret(file, len(key))
	if err != nil {
		var e *config.Error
		if errors.As(err, &e) && e.Remedy == "" {
			e.Remedy = "restore it from your backup; or move it and mme.db away, and phones attach anew"
		}
		return key, err
	}
	return [32]byte(b), nil
}

// storeText is what status says of the MME's store: nothing if all is well.
func (t *Town) storeText() string {
	if t.mme == nil {
		return ""
	}
	s := t.mme.Stats().Store
	switch {
	case s.Failing != "":
		return "cannot be written, phones are refused: " + s.Failing
	case s.Lost > 0:
		return fmt.Sprintf("%d from before could not be read and attach anew; %d could", s.Lost, s.Loaded)
	}
	return ""
}
