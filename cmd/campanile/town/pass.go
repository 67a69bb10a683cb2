package town

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"campanile.network/internal/config"
	"campanile.network/internal/peertls"
)

// soon is how long before its end a pass is worth a warning.
const soon = 30 * 24 * time.Hour

// checkPass warns of a pass that ends soon, and takes none that has ended.
func (t *Town) checkPass() error {
	if !t.keys.held["gateway"] || t.keys.held["operator"] {
		return nil
	}
	pass, err := t.cfg.pass()
	if err != nil {
		return err
	}
	end, err := peertls.PassEnd(pass)
	pub := t.keys.gateway.Public()
	remedy := fmt.Sprintf("the operator runs campanile invite --role gateway --key %x; with the line it prints, run here: campanile init --role gateway --home %s --invite LINE", pub, t.cfg.HomePath)
	left := time.Until(end)
	switch at := config.Line(t.cfg.file, "peers.pass"); {
	case err != nil:
		return &config.Error{File: t.cfg.file, Line: at, What: "peers.pass: " + err.Error(), Remedy: remedy}
	case left < 0:
		return &config.Error{File: t.cfg.file, Line: at, What: fmt.Sprintf("peers.pass has ended on %s", end.Format(time.DateOnly)), Remedy: remedy}
	case left < soon:
		t.log.Warn("this gateway's pass ends soon", "on", end.Format(time.DateOnly), "remedy", remedy)
	}
	return nil
}

// pass is the operator's word for this home's own key.
func (c *Config) pass() ([]byte, error) {
	b, err := hex.DecodeString(c.Peers.Pass)
	if err != nil || len(b) == 0 {
		return nil, &config.Error{File: c.file, Line: config.Line(c.file, "peers.pass"), What: "peers.pass: the operator has not admitted this gateway's key", Remedy: c.inviteRemedy()}
	}
	return b, nil
}

// renewPass puts a new pass into a gateway's home.
func renewPass(home, invite string) error {
	c, err := LoadConfig(home)
	if err != nil {
		return err
	}
	i, err := ParseInvite(invite)
	if err != nil {
		return err
	}
	if c.Role != "gateway" || i.Peers.Pass == "" || i.Peers.OperatorKey != c.Peers.OperatorKey {
		return &config.Error{File: c.file, What: "there is a home here already, and the invite has no pass of its operator for a gateway", Remedy: "use it, or choose another folder"}
	}
	b, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	return os.WriteFile(c.file, []byte(strings.Replace(string(b), c.Peers.Pass, i.Peers.Pass, 1)), 0o600)
}
