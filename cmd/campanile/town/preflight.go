package town

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/internal/config"
	"campanile.network/internal/sctp"
)

// preflight finds out before anything starts whether the home may be written
// and all addresses are free: nothing is half up, and nothing is on the ledger
// that another program's port then spoils.
func (t *Town) preflight(ctx context.Context) error {
	f, err := os.CreateTemp(t.cfg.HomePath, ".write-test-")
	if err != nil {
		return &config.Error{File: t.cfg.HomePath, What: err.Error(), Remedy: "make the home writable, or choose another with --home"}
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	for _, a := range []struct{ key, listen string }{{"hss.listen", t.cfg.HSS.Listen}, {"billing.listen", t.cfg.Billing.Listen},
		{"console.listen", t.cfg.Console.Listen}, {"chain.grpc", t.cfg.Chain.GRPC}, {"chain.rpc", t.cfg.Chain.RPC}, {"chain.p2p", t.cfg.Chain.P2P},
		{"sip.links", t.cfg.SIP.Links}} {
		if a.listen == "" {
			continue
		}
		l, err := net.Listen("tcp", a.listen)
		if err != nil {
			return t.portTaken(err, a.key)
		}
		l.Close()
	}
	udp := []struct {
		key   string
		addr  netip.Addr
		ports []uint16
	}{{"mme.address", t.set.mme, []uint16{gtpcPort}}, {"gateway.address", t.set.gateway, []uint16{gtpcPort, gtpuPort}},
		{"agent.radio", t.set.agentRadio, []uint16{gtpuPort}}, {"agent.core", t.set.agentCore, []uint16{gtpuPort}}}
	ends := []sctpEnd{t.set.s1ap, t.set.toENB, t.set.toMME}
	if t.cfg.Radio.Kind == "virtual" {
		udp = append(udp, udp[2])
		udp[4].key, udp[4].addr = "agent.enb", t.set.eNB
		ends = append(ends, t.set.fromENB)
	}
	for _, e := range ends {
		ep, _, err := e.open(sctp.OpenOptions{})
		if err != nil {
			return t.transportFails(e, err)
		}
		if err := ep.Close(); err != nil {
			return err
		}
	}
	for _, a := range udp {
		for _, port := range a.ports {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.addr, port)))
			if err != nil {
				return t.portTaken(err, a.key)
			}
			c.Close()
		}
	}
	return t.preflightSIP(ctx)
}

// preflightSIP finds out whether the SIP gateway's addresses are this machine's and
// free, and that of speech is this machine's.
func (t *Town) preflightSIP(context.Context) error {
	q := &t.set.sip
	for _, l := range []struct {
		key   string
		addrs []netip.AddrPort
		udp   bool
	}{{"sip.listen", q.listen, true}, {"sip.tls", q.tls, false}} {
		for _, a := range l.addrs {
			s, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
			if err != nil {
				return t.portTaken(err, l.key)
			}
			s.Close()
			if !l.udp {
				continue
			}
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
			if err != nil {
				return t.portTaken(err, l.key)
			}
			c.Close()
		}
	}
	if !q.on() {
		return nil
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.media.Address, 0)))
	if err != nil {
		return t.portTaken(err, "sip.media")
	}
	return c.Close()
}

// checkNames finds names that do not go together, which the ledger would
// refuse later.
func (c *Config) checkNames(s settings, bad func(string, error, string) error) error {
	has := func(section string) bool { return slices.Contains(roleParts()[c.Role].sections, section) }
	if has("tower") && s.enb.PLMN != s.plmn {
		return bad("tower.enb", fmt.Errorf("network %v, but network.plmn is %v", s.enb.PLMN, s.plmn), "")
	}
	if over := 28 - s.enb.Type.Bits(); has("tower") && s.cell.ECI>>over != id.ECI(s.enb.ID) {
		return bad("tower.cell", fmt.Errorf("%#x does not begin with the eNB's id %#x", uint32(s.cell.ECI), s.enb.ID), fmt.Sprintf("its first cells are %d and on", uint64(s.enb.ID)<<over|1))
	}
	prefix := s.plmn.MCC() + s.plmn.MNC()
	for _, r := range c.Network.Ranges {
		if has("hss") && (!strings.HasPrefix(r, prefix) || strings.Trim(r, "0123456789") != "" || len(r) > 15) {
			return bad("network.ranges", fmt.Errorf("%q", r), "a range is digits that begin with "+prefix)
		}
	}
	return nil
}
