package town

import (
	"errors"
	"os"

	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
)

// vaultSchema is the version of names and values in the roles' stores.
const vaultSchema = 1

// openVault opens what a role keeps over a restart, under the home's store key. One that is
// damaged is put aside: lost says what that costs.
func (t *Town) openVault(role, of, lost string) (*vault.Vault, error) {
	key, err := storeKey(t.cfg.HomePath)
	if err != nil {
		return nil, err
	}
	dir, o := t.cfg.path(role+".db"), vault.Options{Key: key, Role: role, Of: of, Schema: vaultSchema, Lost: lost, Logger: t.role(role)}
	v, err := vault.Open(dir, o)
	if errors.Is(err, vault.ErrDamaged) || isFile(dir) {
		if err := t.putAside(role, lost, err); err != nil {
			return nil, err
		}
		v, err = vault.Open(dir, o)
	}
	if err != nil {
		return nil, inUse(t.cfg.HomePath, err)
	}
	t.onEnd(of+"'s store", v.Close)
	return v, nil
}

// putAside makes room for a new store of a role in the place of one that is damaged.
func (t *Town) putAside(role, lost string, why error) error {
	dir := t.cfg.path(role + ".db")
	aside := dir + ".damaged"
	t.role(role).Error("the store is put aside: "+lost, "folder", aside, logs.Error, why)
	return errors.Join(os.RemoveAll(aside), os.Rename(dir, aside))
}
