package calls

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Trunk is a way to another network: a provider's.
type Trunk struct {
	Name string
	// Proxy is where its calls go and where it is registered: a URI such as
	// "sip:provider.example", "sip:192.0.2.1:5060" or "sips:provider.example".
	Proxy string
	// Domain stands in addresses of numbers there; "": Proxy's host.
	Domain string
	// User and Password are what the provider gave; with Register it is told
	// every Expires (1 h when 0) where this network is.
	User     string
	Password Password
	Register bool
	Expires  time.Duration

	// From are the addresses that calls of it come from, besides those of Proxy;
	// over TLS, PeerKey is the key that its certificate must have (txn.Flow), or zero.
	From    []netip.Prefix
	PeerKey [32]byte

	// Rates are the numbers it reaches and at what price; none: nothing goes out.
	Rates    []Rate
	MaxCalls int // both ways together; 0: 100
	// Format is how numbers are written for it: "+", "" or "00" before the
	// international number.
	Format string
	// Numbers are its numbers that are called from outside, and the subscriber's
	// number each stands for; others stand for themselves.
	Numbers map[id.MSISDN]id.MSISDN
	// Show is the number that calls going out show; zero: the caller's own, as
	// Numbers has it outside.
	Show id.MSISDN
}

// Password prints redacted whatever the verb.
type Password string

// Format prints "[redacted]".
func (Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// MarshalText refuses by saying nothing.
func (Password) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Rate is what calls to numbers with a prefix cost. The empty prefix is every number.
type Rate struct {
	Prefix    string // digits in international format
	PerMinute uint64 // in any one unit: only compared
}

// TrunkStatus is how a trunk stands.
type TrunkStatus struct {
	Name       string
	Calls      int       // now
	Registered time.Time // until when; zero: it is not, or is not asked to be
	Up         bool
	Why        string // it is not
}

// trunk is a Trunk at work.
type trunk struct {
	w   *Switch
	o   *Trunk
	uri sip.URI

	mu         sync.Mutex
	targets    []txn.Target
	calls      int
	registered time.Time
	failed     time.Time // its calls have failed at this time, and none went well since
	why        string
}

// rest is how long a trunk that has failed comes last.
const rest = 30 * time.Second

func (o *Options) checkTrunks() error {
	names := map[string]bool{"": true}
	for i := range o.Trunks {
		t := &o.Trunks[i]
		if names[t.Name] {
			return fmt.Errorf("calls: trunk %d: the name %q is empty or taken", i+1, t.Name)
		}
		if err := t.Check(); err != nil {
			return fmt.Errorf("calls: trunk %s: %w", t.Name, err)
		}
		names[t.Name] = true
		if t.MaxCalls == 0 {
			t.MaxCalls = 100
		}
		if t.Expires == 0 {
			t.Expires = time.Hour
		}
	}
	if e := o.Policy.Emergency.Trunk; e != "" && !names[e] {
		return fmt.Errorf("calls: emergency calls go to trunk %q, which there is not", e)
	}
	return nil
}

// Check says what is wrong with a trunk by itself.
func (t *Trunk) Check() error {
	u, err := sip.ParseURI(t.Proxy)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("proxy %q is no SIP URI", t.Proxy)
	case t.Register && (t.User == "" || t.Password == ""):
		return errors.New("to register it needs user and password")
	case strings.Trim(t.Format, "+0") != "":
		return fmt.Errorf("format %q is neither +, 00 nor empty", t.Format)
	}
	for _, r := range t.Rates {
		if !digits(r.Prefix) || len(r.Prefix) > 15 {
			return fmt.Errorf("prefix %q is not digits", r.Prefix)
		}
	}
	return nil
}

func newTrunk(w *Switch, o *Trunk) *trunk {
	u, _ := sip.ParseURI(o.Proxy) // checked
	t := &trunk{w: w, o: o, uri: u}
	if a, ok := u.Addr(); ok { // nothing to look up
		t.targets = []txn.Target{numeric(u, a)}
	}
	return t
}

// numeric is the target of a URI with an address in it.
func numeric(u sip.URI, a netip.Addr) txn.Target {
	transport := strings.ToUpper(u.Params.Get("transport"))
	if u.Scheme == "sips" {
		transport = txn.TLS
	}
	if transport == "" {
		transport = txn.UDP
	}
	port := u.Port
	if port == 0 {
		if port = 5060; transport == txn.TLS {
			port = 5061
		}
	}
	return txn.Target{Transport: transport, Addr: netip.AddrPortFrom(a, uint16(port)), Name: u.Host}
}

func (t *trunk) domain() string {
	if t.o.Domain != "" {
		return t.o.Domain
	}
	return t.uri.Host
}

// party is a number at the trunk.
func (t *trunk) party(number string) Party {
	u := sip.URI{Scheme: "sip", User: number, Host: t.domain()}
	if t.o.Domain == "" {
		u.Port = t.uri.Port
	}
	p := Party{Access: AccessTrunk, URI: u}
	if all := t.where(); len(all) > 0 {
		p.Target = all[0]
	}
	return p
}

func (t *trunk) where() []txn.Target {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.targets
}

// rate is the longest prefix of a number that the trunk reaches, and its cheapest.
func (t *trunk) rate(n id.MSISDN) (best Rate, ok bool) {
	for _, r := range t.o.Rates {
		if !strings.HasPrefix(n.Digits(), r.Prefix) {
			continue
		}
		if !ok || len(r.Prefix) > len(best.Prefix) || len(r.Prefix) == len(best.Prefix) && r.PerMinute < best.PerMinute {
			best, ok = r, true
		}
	}
	return best, ok
}

// format writes a number as the trunk wants it.
func (t *trunk) format(n id.MSISDN) string {
	if n.IsZero() {
		return ""
	}
	return t.o.Format + n.Digits()
}

// show is the number that a subscriber's call shows outside.
func (t *trunk) show(own id.MSISDN) id.MSISDN {
	if !t.o.Show.IsZero() {
		return t.o.Show
	}
	for outside, inside := range t.o.Numbers {
		if inside == own {
			return outside
		}
	}
	return own
}

// callerOf is the number that a trunk says is calling: it vouches for it.
func (t *trunk) callerOf(n *Numbers, m *sip.Message) id.MSISDN {
	if hidden(m) {
		return id.MSISDN{}
	}
	u := m.From.URI
	if v := m.Get("P-Asserted-Identity"); v != "" {
		if a, err := sip.ParseAddress(v); err == nil {
			u = a.URI
		}
	}
	d, err := n.Read(u.User)
	if err != nil || d.Kind != KindNumber {
		return id.MSISDN{}
	}
	return d.World()
}

// trunkOf is the trunk that a request comes from, or nil.
func (w *Switch) trunkOf(f txn.Flow) *trunk {
	at := f.Remote.Addr().Unmap()
	for _, t := range w.trunks {
		if t.o.PeerKey != ([32]byte{}) {
			if f.PeerKey == t.o.PeerKey {
				return t
			}
			continue
		}
		if slices.ContainsFunc(t.o.From, func(p netip.Prefix) bool { return p.Contains(at) }) ||
			slices.ContainsFunc(t.where(), func(x txn.Target) bool { return x.Addr.Addr().Unmap() == at }) {
			return t
		}
	}
	return nil
}

// Trusts says whether a flow is a trunk's, which vouches for who calls.
func (w *Switch) Trusts(f txn.Flow) bool { return w.trunkOf(f) != nil }

// take and give count the trunk's calls. Whoever calls for help is not kept waiting
// by those who only talk: the provider says whether he has room.
func (t *trunk) take(help bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls >= t.o.MaxCalls && !help {
		return false
	}
	t.calls++
	return true
}

func (t *trunk) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls--
}

// told keeps in mind how a call went.
func (t *trunk) told(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.why = time.Time{}, ""
	if err != nil && passing(err) {
		t.failed, t.why = time.Now(), err.Error()
	}
}

// up says whether calls may well go through.
func (t *trunk) up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isUp()
}

func (t *trunk) isUp() bool {
	now := time.Now()
	return len(t.targets) > 0 && (t.failed.IsZero() || now.Sub(t.failed) >= rest) && (!t.o.Register || t.registered.After(now))
}

func (t *trunk) status() TrunkStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TrunkStatus{Name: t.o.Name, Calls: t.calls, Registered: t.registered, Up: t.isUp(), Why: t.why}
}

var errName = errors.New("name has no address")

// resolve looks the proxy's name up.
func (t *trunk) resolve(ctx context.Context) error {
	if _, ok := t.uri.Addr(); ok {
		return nil
	}
	all, err := txn.Resolve(ctx, t.w.o.Resolver, &t.uri)
	if err == nil && len(all) == 0 {
		err = errName
	}
	if err != nil {
		return fmt.Errorf("trunk %s: %w", t.o.Name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.targets = all
	return nil
}
