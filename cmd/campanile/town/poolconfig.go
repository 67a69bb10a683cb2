package town

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/internal/config"
)

// PoolConfig is the MME's pool: other MMEs of the same network, which take over phones of one
// that dies.
type PoolConfig struct {
	Listen  string   `toml:"listen" comment:"Address and port, such as 10.81.1.3:7102, where the other MMEs of a pool reach this one (mutual TLS, keys/pool), see docs/pool.md; empty: this MME stands alone. MMEs of a pool have one mme.group, and a mme.code each."`
	Members []string `toml:"members,multiline" comment:"The others, each as campanile mme member prints it there: MME group and code, address and port, public key."`
}

// poolPort is where MMEs of a pool usually listen.
const poolPort = 7102

// poolMember is another MME of the pool.
type poolMember struct {
	code    id.MMECode
	address netip.AddrPort
	key     [32]byte
}

// in is the member in a configuration of the others, in a line.
func (m poolMember) in(group uint16) string {
	return fmt.Sprintf("%d-%d %v %x", group, m.code, m.address, m.key)
}

const memberRemedy = "write what campanile mme member prints where that MME is, such as '1-2 10.81.1.5:7102' and its 64 hexadecimal digits"

// resolvePool checks [pool], and where others find its members.
func (c *Config) resolvePool(s *settings, bad mistake) (err error) {
	for _, text := range c.Peers.MoreMMEs {
		a, err := netip.ParseAddr(text)
		if err != nil || a == s.toMMEAt || slices.Contains(s.moreMMEs, a) {
			return bad("peers.more_mmes", fmt.Errorf("%q is no address, or there already", text), "write the IP address of each further MME of the pool once, without peers.mme")
		}
		s.moreMMEs = append(s.moreMMEs, a)
	}
	if c.Pool.Listen == "" {
		if len(c.Pool.Members) > 0 {
			return bad("pool.listen", errors.New("it is empty, and there are members"), "write address and port where they reach this MME, or remove pool.members")
		}
		return nil
	}
	if s.poolListen, err = netip.ParseAddrPort(c.Pool.Listen); err != nil {
		return bad("pool.listen", err, fmt.Sprintf("write IP address and port, such as %s:%d, or nothing", c.MME.Address, poolPort))
	}
	if s.poolListen.Addr().IsUnspecified() || s.poolListen.Port() == 0 {
		return bad("pool.listen", fmt.Errorf("%v: the others could not dial that", s.poolListen), "write the address and port by which they reach this MME")
	}
	for _, text := range c.Pool.Members {
		m, what, remedy := c.member(text)
		for _, o := range s.poolMembers {
			switch {
			case what != "":
			case o.code == m.code:
				what, remedy = fmt.Sprintf("MME code %d stands twice", m.code), "each MME of a pool has a mme.code of its own"
			case o.address == m.address:
				what, remedy = fmt.Sprintf("%v stands twice", m.address), "write each MME once"
			case o.key == m.key:
				what, remedy = fmt.Sprintf("the key of MME code %d once more", o.code), "each MME has keys/pool of its own: do not copy it"
			}
		}
		if what == "" && m.address == s.poolListen {
			what, remedy = fmt.Sprintf("%v is pool.listen, this MME's own", m.address), "write the other MMEs, and not this one"
		}
		if what != "" {
			return &config.Error{File: c.file, Line: c.memberLine(text), What: "pool.members: " + what, Remedy: remedy}
		}
		s.poolMembers = append(s.poolMembers, m)
	}
	return nil
}

// member reads one; what is wrong with it by itself, and the remedy.
func (c *Config) member(text string) (m poolMember, what, remedy string) {
	f := strings.Fields(text)
	if len(f) != 3 {
		return m, fmt.Sprintf("%q is not MME group and code, address and key", text), memberRemedy
	}
	g, n, _ := strings.Cut(f[0], "-")
	group, err1 := strconv.ParseUint(g, 10, 16)
	code, err2 := strconv.ParseUint(n, 10, 8)
	address, err3 := netip.ParseAddrPort(f[1])
	key, err4 := hex.DecodeString(f[2])
	switch {
	case err1 != nil || err2 != nil:
		return m, fmt.Sprintf("%q is no MME group (0 to 65535) and code (0 to 255)", f[0]), memberRemedy
	case uint16(group) != c.MME.Group:
		return m, fmt.Sprintf("MME group %d, and this one's is %d", group, c.MME.Group), "MMEs of a pool have one mme.group"
	case uint8(code) == c.MME.Code:
		return m, fmt.Sprintf("MME code %d is this one's own, mme.code", code), "write the other MMEs, and not this one; each has a mme.code of its own"
	case err3 != nil || address.Addr().IsUnspecified() || address.Port() == 0:
		return m, fmt.Sprintf("%q is no address and port to dial", f[1]), memberRemedy
	case err4 != nil || len(key) != 32:
		return m, fmt.Sprintf("%q is no public key", f[2]), memberRemedy
	}
	return poolMember{id.MMECode(code), address, [32]byte(key)}, "", ""
}

// memberLine is the line of the file that has a member, or of pool.members.
func (c *Config) memberLine(text string) int {
	first := config.Line(c.file, "pool.members")
	b, err := os.ReadFile(c.file)
	if err != nil {
		return first
	}
	last := 0
	for i, line := range strings.Split(string(b), "\n") {
		if i+1 >= first && strings.Contains(line, text) {
			last = i + 1 // of what stands twice, the second
		}
	}
	return max(first, last)
}

// PoolMember is this home's MME in a configuration of the others, in a line. The key is made
// if there is none yet.
func PoolMember(home string) (line string, err error) {
	c, err := LoadConfig(home)
	if err != nil {
		return "", err
	}
	if !slices.Contains(roleParts()[c.Role].sections, "pool") {
		return "", &config.Error{File: c.file, What: "this home is for " + c.Role + ", which is no MME", Remedy: "run this in the home of campanile mme"}
	}
	s, err := c.resolve()
	if err != nil {
		return "", err
	}
	if !s.poolListen.IsValid() {
		return "", &config.Error{File: c.file, Line: config.Line(c.file, "pool.listen"), What: "pool.listen is empty: this MME stands alone",
			Remedy: fmt.Sprintf("write there where the other MMEs are to reach it, such as listen = '%s:%d'", c.MME.Address, poolPort)}
	}
	k, err := ownKey(home, "pool")
	if err != nil {
		return "", err
	}
	return poolMember{s.mmeOptions.GUMMEI.Code, s.poolListen, k.Public()}.in(c.MME.Group), nil
}
