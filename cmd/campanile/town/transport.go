package town

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"campanile.network/enb-agent/relay"
	"campanile.network/internal/config"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
)

// sctpEnd is one end of S1AP as the configuration describes it.
type sctpEnd struct {
	name      string // for people
	key       string // of the setting that chooses the transport
	addrKey   string // of the one that gives the address
	transport sctp.Transport
	local     []netip.Addr // the first is primary
}

// resolveSCTP makes the ends of S1AP out of the settings.
func (c *Config) resolveSCTP(s *settings, bad func(string, error, string) error) error {
	for _, e := range []struct {
		into      *sctpEnd
		end       sctpEnd
		transport string
		moreKey   string
		more      []string
	}{
		{&s.s1ap, sctpEnd{name: "MME", key: "mme.sctp", addrKey: "mme.address", local: []netip.Addr{s.mme}}, c.MME.SCTP, "mme.more_addresses", c.MME.More},
		{&s.toENB, sctpEnd{name: "agent towards eNBs", key: "agent.radio_sctp", addrKey: "agent.radio", local: []netip.Addr{s.agentRadio}}, c.Agent.RadioSCTP, "agent.more_radio", c.Agent.MoreRadio},
		{&s.toMME, sctpEnd{name: "agent towards the MME", key: "agent.core_sctp", addrKey: "agent.core", local: []netip.Addr{s.agentCore}}, c.Agent.CoreSCTP, "agent.more_core", c.Agent.MoreCore},
		{&s.fromENB, sctpEnd{name: "virtual eNB", key: "agent.radio_sctp", addrKey: "agent.enb", local: []netip.Addr{s.eNB}}, c.Agent.RadioSCTP, "", nil},
	} {
		switch t := sctp.Transport(e.transport); t {
		case sctp.TransportAuto, sctp.TransportKernel, sctp.TransportRaw, sctp.TransportUDP:
			e.end.transport = t
		default:
			return bad(e.end.key, fmt.Errorf("%q is unknown", e.transport), `write "auto", "kernel", "raw" or "udp"`)
		}
		for _, text := range e.more {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return bad(e.moreKey, err, "write IP addresses")
			}
			e.end.local = append(e.end.local, a)
		}
		if t := e.end.transport; len(e.end.local) > 1 && (t == sctp.TransportUDP || t == sctp.TransportRaw) {
			return bad(e.moreKey, fmt.Errorf("several addresses over %q", t), fmt.Sprintf("set %s to \"kernel\", or leave one address", e.end.key))
		}
		*e.into = e.end
	}
	return nil
}

// sctpOptions are for an end of S1AP. That of an agent which has other MMEs to go to gives up
// one that is silent sooner.
func (t *Town) sctpOptions(e sctpEnd) sctp.OpenOptions {
	o := sctp.OpenOptions{Logger: t.log.With(logs.Role, "sctp"), Timers: relay.Timers()}
	if e.key == t.set.toMME.key && len(t.set.moreMMEs) > 0 {
		o.Timers = relay.PoolTimers()
	}
	return o
}

// endpoint opens an end of S1AP, and says what SCTP it has and why.
func (t *Town) endpoint(e sctpEnd) (sctp.Endpoint, error) {
	ep, choice, err := e.open(t.sctpOptions(e))
	if err != nil {
		return nil, t.transportFails(e, err)
	}
	t.onEnd("SCTP of "+e.name, ep.Close)
	say := t.log.Info
	if e.transport == sctp.TransportAuto && choice.Transport == sctp.TransportUDP {
		say = t.log.Warn
	}
	say("S1AP of the "+e.name+": "+choice.Why, logs.Address, e.local[0])
	t.add("transport", "S1AP of the "+e.name+": "+choice.Why)
	t.measureSCTP(e.name, ep)
	t.transports = append(t.transports, transport{e.name, choice.Why})
	return ep, nil
}

// transport is what SCTP an end of S1AP has, and why.
type transport struct{ end, how string }

// transportLines says it in a line for all ends that have it in common.
func transportLines(all []transport) (lines []string) {
	ends := map[string][]string{}
	var hows []string
	for _, v := range all {
		if ends[v.how] == nil {
			hows = append(hows, v.how)
		}
		ends[v.how] = append(ends[v.how], v.end)
	}
	for _, how := range hows {
		lines = append(lines, strings.Join(ends[how], ", ")+": "+how)
	}
	return lines
}

func (e sctpEnd) open(o sctp.OpenOptions) (sctp.Endpoint, sctp.Choice, error) {
	o.Transport, o.Local = e.transport, e.local
	return sctp.Open(o)
}

// transportFails points at the setting that is to blame.
func (t *Town) transportFails(e sctpEnd, err error) error {
	var mistake *config.Error
	if taken := t.portTaken(err, e.addrKey); errors.As(taken, &mistake) {
		return taken
	}
	return &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, e.key), What: fmt.Sprintf("%s = %q: %v", e.key, e.transport, err)}
}
