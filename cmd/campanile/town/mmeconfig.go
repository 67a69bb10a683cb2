package town

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/internal/config"
	"campanile.network/mme"
	"campanile.network/wire/home"
)

// MMEConfig is the MME.
type MMEConfig struct {
	Address string   `toml:"address" comment:"S1AP and S11."`
	SCTP    string   `toml:"sctp" comment:"Which SCTP S1AP goes by. \"udp\": inside UDP port 9899 (RFC 6951), passes NATs, needs no root. \"kernel\": Linux SCTP. \"raw\": IP protocol 132 without the kernel's help, needs root. \"auto\": kernel, or else udp; for eNBs that come here without an agent."`
	More    []string `toml:"more_addresses" comment:"Further addresses of this machine for S1AP (multi-homing); kernel only."`
	Group   uint16   `toml:"group" comment:"MME group id."`
	Code    uint8    `toml:"code" comment:"MME code."`
	Name    string   `toml:"name" comment:"Name of the MME, as eNBs show it; name, capacity and shared are read again while it runs, by campanile mme reload or SIGHUP."`
	Shared  []string `toml:"shared" comment:"Further PLMNs that this MME serves, at eNBs that broadcast several."`

	Ciphering      []string        `toml:"ciphering" comment:"Algorithms for NAS, best first; without EEA0 a phone that ciphers with none of them is refused."`
	Integrity      []string        `toml:"integrity" comment:"Algorithms that protect NAS, best first."`
	X2             string          `toml:"x2" comment:"Whose word is taken that a phone came from another eNB by X2, without the core: there is nothing that proves it. \"same owner\": between towers of one owner; \"all\"; \"none\". Handover by S1 is always there."`
	PeriodicUpdate config.Duration `toml:"periodic_update" comment:"An idle phone says so often that it is still there (T3412), and is detached 8 minutes after it did not; \"0s\": never asked to, detached after a day."`

	Capacity int     `toml:"capacity" comment:"Relative capacity, by which eNBs choose among several MMEs."`
	Areas    [][]int `toml:"areas" comment:"Groups of tracking area codes, of at most 16, in each of which a phone moves without telling and is paged everywhere: [[7, 8], [9, 10]]. A code in no group stands with the others of its eNB."`

	Paging         []string `toml:"paging" comment:"Where an idle phone is looked for, stage after stage: \"last\", the eNB where it was; \"areas\", those of its tracking areas; \"all\"; how often; and how long it has to answer, each time."`
	PagingPriority []int    `toml:"paging_priority" comment:"Priority, 1 (highest) to 8, of the page for data of a bearer with ARP priority level 1, 2, 3 ...; 0, and levels behind the last: none."`

	PSM         config.Duration `toml:"psm" comment:"Power saving mode: the longest time that a phone which asks for it may sleep between two updates, at least periodic_update; \"0s\": nobody gets it. Nothing reaches a phone that sleeps."`
	EDRX        config.Duration `toml:"edrx" comment:"Extended DRX: the longest cycle in which a phone that asks for it listens once, \"5.12s\" to \"43m41.44s\"; \"0s\": nobody gets it. For eNBs that have it, and whose hyper frame 0 was at hyper_frames."`
	HyperFrames time.Time       `toml:"hyper_frames"`

	Emergency     string `toml:"emergency" comment:"Whom network.emergency_apn is for: \"subscribers\", or \"anyone\", also without a SIM or when nobody answers for it: nothing that such a phone says is proved or protected (TS 33.401 §15.2.2)."`
	EmergencyQCI  int    `toml:"emergency_qci" comment:"QCI of emergency sessions ..."`
	EmergencyARP  int    `toml:"emergency_arp" comment:"... ARP priority level, 1 (highest) to 15 ..."`
	EmergencyMbps int    `toml:"emergency_mbps" comment:"... and their Mbit/s, each way."`
}

func defaultMME() MMEConfig {
	return MMEConfig{
		Address: "127.0.0.20", SCTP: "udp", More: []string{}, Group: 1, Code: 1, Name: "campanile", Shared: []string{},
		Ciphering: []string{"128-EEA2", "128-EEA1", "128-EEA3", "EEA0"}, Integrity: []string{"128-EIA2", "128-EIA1", "128-EIA3"}, X2: x2SameOwner, PeriodicUpdate: config.Duration(54 * time.Minute),
		Capacity: 255, Areas: [][]int{}, Paging: []string{"last 1 3s", "areas 2 5s", "all 1 5s"}, PagingPriority: []int{}, HyperFrames: time.Unix(0, 0).UTC(),
		Emergency: emergencySubscribers, EmergencyQCI: 5, EmergencyARP: 1, EmergencyMbps: 1,
	}
}

// What mme.emergency may be.
const (
	emergencySubscribers = "subscribers"
	emergencyAnyone      = "anyone"
)

// mistake makes the error of a key: what is wrong with it, and the remedy.
type mistake func(key string, err error, remedy string) error

// options are what the section says, in the MME's types; s has the network's
// names.
func (m MMEConfig) options(s settings, bad mistake) (o mme.Options, err error) {
	o = mme.Options{
		GUMMEI: id.GUMMEI{PLMN: s.plmn, Group: id.MMEGroupID(m.Group), Code: id.MMECode(m.Code)},
		Name:   m.Name, Capacity: uint8(m.Capacity), T3412: m.t3412(), PSM: time.Duration(m.PSM), EDRX: time.Duration(m.EDRX), HyperFrames: m.HyperFrames,
	}
	if k := m.X2; k != x2SameOwner && k != x2All && k != x2None {
		return o, bad("mme.x2", fmt.Errorf("%q is unknown", k), `write "same owner", "all" or "none"`)
	}
	if m.Capacity < 1 || m.Capacity > 255 { // TS 36.413 §9.2.3.17; to 0 eNBs would bring no phone
		return o, bad("mme.capacity", fmt.Errorf("%d", m.Capacity), "write 1 to 255")
	}
	if o.Name == "" {
		return o, bad("mme.name", errors.New("it is empty"), "write the MME's name")
	}
	if err := (mme.Configuration{Name: m.Name}).Check(s.plmn); err != nil {
		return o, bad("mme.name", err, "write letters, digits and blanks")
	}
	for _, text := range m.Shared {
		p, err := id.ParsePLMN(text)
		if err != nil {
			return o, bad("mme.shared", err, "write country and network code, such as 999/71")
		}
		o.Shared = append(o.Shared, p)
	}
	if err := (mme.Configuration{Shared: o.Shared}).Check(s.plmn); err != nil {
		return o, bad("mme.shared", err, "write each further PLMN once, without network.plmn, and at most 31")
	}
	if o.Security, err = m.policy(bad); err != nil {
		return o, err
	}
	if o.Areas, err = m.areas(s.plmn, bad); err != nil {
		return o, err
	}
	if o.Paging, err = m.stages(bad); err != nil {
		return o, err
	}
	if o.PagingPriority, err = m.priorities(bad); err != nil {
		return o, err
	}
	if err := m.checkSleep(bad); err != nil {
		return o, err
	}
	o.Emergency, err = m.emergency(s.emergency, bad)
	return o, err
}

// areas reads the groups of tracking areas.
func (m MMEConfig) areas(plmn id.PLMN, bad mistake) (out [][]id.TAI, err error) {
	seen := map[int]bool{}
	for _, group := range m.Areas {
		var tais []id.TAI
		for _, tac := range group {
			switch {
			case tac < 0 || tac > 0xffff:
				return nil, bad("mme.areas", fmt.Errorf("%d is no tracking area code", tac), "write 0 to 65535")
			case seen[tac]:
				return nil, bad("mme.areas", fmt.Errorf("tracking area code %d stands twice", tac), "each may be in one group")
			}
			seen[tac] = true
			tais = append(tais, id.TAI{PLMN: plmn, TAC: id.TAC(tac)})
		}
		if len(tais) == 0 || len(tais) > 16 {
			return nil, bad("mme.areas", fmt.Errorf("a group of %d", len(tais)), "a group has 1 to 16 tracking area codes")
		}
		out = append(out, tais)
	}
	return out, nil
}

// stages reads where phones are paged.
func (m MMEConfig) stages(bad mistake) (out []mme.PagingStage, err error) {
	where := map[string]mme.PagingWhere{"last": mme.PageLast, "areas": mme.PageAreas, "all": mme.PageAll}
	const remedy = `a stage is "last", "areas" or "all", 1 to 16 times, and the wait for an answer, such as "areas 2 5s"`
	for _, text := range m.Paging {
		var place, wait string
		var s mme.PagingStage
		n, _ := fmt.Sscan(text, &place, &s.Times, &wait)
		w, known := where[place]
		s.Where = w
		s.Wait, err = time.ParseDuration(wait)
		if n != 3 || len(strings.Fields(text)) != 3 || !known || err != nil || s.Times < 1 || s.Times > 16 || s.Wait <= 0 {
			return nil, bad("mme.paging", fmt.Errorf("%q", text), remedy)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, bad("mme.paging", errors.New("no stage: nobody would be reached"), remedy)
	}
	return out, nil
}

// priorities reads the pages' priorities, by ARP priority level.
func (m MMEConfig) priorities(bad mistake) (func(arp uint8) uint8, error) {
	const remedy = "write at most 15 numbers, 0 to 8"
	if n := len(m.PagingPriority); n > 15 {
		return nil, bad("mme.paging_priority", fmt.Errorf("%d numbers, and ARP has 15 priority levels", n), remedy)
	}
	var by [256]uint8
	for i, p := range m.PagingPriority {
		if p < 0 || p > 8 {
			return nil, bad("mme.paging_priority", fmt.Errorf("%d", p), remedy)
		}
		by[i+1] = uint8(p)
	}
	return func(arp uint8) uint8 { return by[arp] }, nil
}

// Bounds of what phones are granted (TS 24.008 §10.5.7.4a, §10.5.5.32).
const (
	longestPSM   = 31 * 320 * time.Hour
	shortestEDRX = 5120 * time.Millisecond
	longestEDRX  = 256 * 10240 * time.Millisecond
)

// checkSleep checks how phones may save power.
func (m MMEConfig) checkSleep(bad mistake) error {
	if d := time.Duration(m.PSM); d != 0 && (m.PSM < m.PeriodicUpdate || d > longestPSM) {
		return bad("mme.psm", fmt.Errorf("%v", d), fmt.Sprintf(`write "0s", or from periodic_update, %v, to %v`, time.Duration(m.PeriodicUpdate), longestPSM))
	}
	if d := time.Duration(m.EDRX); d != 0 && (d < shortestEDRX || d > longestEDRX) {
		return bad("mme.edrx", fmt.Errorf("%v", d), fmt.Sprintf(`write "0s", or from %v to %v`, shortestEDRX, longestEDRX))
	}
	return nil
}

// emergency reads what emergency sessions get; nil without an APN.
func (m MMEConfig) emergency(apn id.APN, bad mistake) (*mme.Emergency, error) {
	if k := m.Emergency; k != emergencySubscribers && k != emergencyAnyone {
		return nil, bad("mme.emergency", fmt.Errorf("%q is unknown", k), `write "subscribers" or "anyone"; without network.emergency_apn there are no emergency sessions`)
	}
	if m.EmergencyQCI < 5 || m.EmergencyQCI > 9 {
		return nil, bad("mme.emergency_qci", fmt.Errorf("%d is no QCI of a default bearer", m.EmergencyQCI), "write 5 to 9; 5 is that of signalling for calls")
	}
	if m.EmergencyARP < 1 || m.EmergencyARP > 15 {
		return nil, bad("mme.emergency_arp", fmt.Errorf("%d", m.EmergencyARP), "write 1 to 15")
	}
	if m.EmergencyMbps < 1 || m.EmergencyMbps > 1000 {
		return nil, bad("mme.emergency_mbps", fmt.Errorf("%d", m.EmergencyMbps), "write 1 to 1000")
	}
	if apn.IsZero() {
		return nil, nil
	}
	rate := id.BitRate(m.EmergencyMbps) * id.Mbps
	return &mme.Emergency{Unauthenticated: m.Emergency == emergencyAnyone,
		APN: home.APN{Name: apn, QCI: id.QCI(m.EmergencyQCI), ARP: uint8(m.EmergencyARP), AMBRUL: rate, AMBRDL: rate}}, nil
}

// t3412 is the timer as the MME takes it: negative for none.
func (m MMEConfig) t3412() time.Duration {
	if m.PeriodicUpdate == 0 {
		return -1
	}
	return time.Duration(m.PeriodicUpdate)
}

// What mme.x2 may be.
const (
	x2SameOwner = "same owner"
	x2All       = "all"
	x2None      = "none"
)

// policy reads the names of algorithms.
func (m MMEConfig) policy(bad mistake) (p nassec.Policy, err error) {
	if p.EEA, err = algorithms(m.Ciphering, nassec.EEA0, nassec.EEA1, nassec.EEA2, nassec.EEA3); err != nil {
		return p, bad("mme.ciphering", err, "write some of 128-EEA2, 128-EEA1, 128-EEA3, EEA0")
	}
	if p.EIA, err = algorithms(m.Integrity, nassec.EIA1, nassec.EIA2, nassec.EIA3); err != nil {
		return p, bad("mme.integrity", err, "write some of 128-EIA2, 128-EIA1, 128-EIA3")
	}
	return p, nil
}

func algorithms[A fmt.Stringer](names []string, all ...A) (out []A, err error) {
	for _, n := range names {
		i := slices.IndexFunc(all, func(a A) bool { return a.String() == n })
		if i < 0 {
			return nil, fmt.Errorf("%q is unknown", n)
		}
		out = append(out, all[i])
	}
	if len(out) == 0 {
		return nil, errors.New("no algorithm")
	}
	return out, nil
}

// apns are the access points that the gateway serves.
func (s *settings) apns() []id.APN {
	out := append([]id.APN{s.apn}, s.moreAPNs...)
	if !s.emergency.IsZero() {
		out = append(out, s.emergency)
	}
	return out
}
