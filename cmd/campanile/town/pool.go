package town

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/console"
	"campanile.network/internal/config"
	"campanile.network/internal/logs"
	"campanile.network/internal/peertls"
	"campanile.network/mme"
	"campanile.network/mme/pool"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

// openPool makes this MME's end of the pool, if it has one, with a key that is made when there
// is none.
func (t *Town) openPool() error {
	if !t.set.poolListen.IsValid() {
		return nil
	}
	key, err := ownKey(t.cfg.HomePath, "pool")
	if err != nil {
		return err
	}
	o := pool.Options{Code: t.set.mmeOptions.GUMMEI.Code, Logger: t.role("pool")}
	for i, m := range t.set.poolMembers {
		if m.key == key.Public() {
			return &config.Error{File: t.cfg.file, Line: t.cfg.memberLine(t.cfg.Pool.Members[i]), What: fmt.Sprintf("pool.members: MME code %d has this MME's own key", m.code),
				Remedy: "was keys/pool copied from one MME to the other? remove it here, and campanile mme member makes another"}
		}
		link, c, err := pool.Dial(m.address.String(), key.Ed25519(), m.key)
		if err != nil {
			return err
		}
		t.onEnd("way to MME "+m.address.String(), c.Close)
		o.Members = append(o.Members, pool.Member{Code: m.code, Link: link})
	}
	if t.pool, err = pool.New(o); err != nil {
		return err
	}
	t.sources.Pool = t.pool.Stats
	t.poolKey = key
	return nil
}

// startPool has the members reach this MME, and follow them. It ends after the MME: what that
// writes last still reaches them.
func (t *Town) startPool(m *mme.MME) error {
	if t.pool == nil {
		return nil
	}
	keys := make([][32]byte, 0, len(t.set.poolMembers))
	for _, v := range t.set.poolMembers {
		keys = append(keys, v.key)
	}
	cert, err := peertls.Server(t.poolKey.Ed25519(), pool.Check(keys))
	if err != nil {
		return err
	}
	t.serve("pool", func(ctx context.Context) error { return t.pool.Serve(ctx, m) })
	return t.serveGRPC(service{name: "pool", listen: t.set.poolListen.String(), key: "pool.listen", cert: cert, calls: 64,
		own:      func(p peertls.Peer) bool { return slices.Contains(keys, p.Key) },
		register: func(s *grpc.Server) { pool.Register(s, t.pool) }}, grpc.MaxRecvMsgSize(pool.MaxRequest))
}

// sayPool tells how the MME and its pool are.
func (t *Town) sayPool(say func(name, format string, args ...any)) {
	if t.mme == nil {
		return
	}
	if c := t.mme.Configuration(); c.Capacity == 0 {
		say("MME", "drained: new phones go to other MMEs; campanile mme undrain ends that")
	}
	if t.pool == nil {
		return
	}
	members := t.poolMembers()
	for _, m := range members {
		say("pool", "%s", m.Text)
	}
	if len(members) == 0 {
		say("pool", "no other member: see pool.members")
	}
}

// poolMembers says of each other member of the pool whether it is heard, and of how many of its
// phones this one has copies.
func (t *Town) poolMembers() (out []console.PoolMember) {
	if t.pool == nil {
		return nil
	}
	for i, m := range t.pool.Stats().Members {
		text := "is there"
		if !m.Up {
			text = "is away"
		}
		if !m.Since.IsZero() {
			text += " since " + m.Since.Format(time.TimeOnly)
		}
		if !m.Up && m.Why != "" {
			text += ": " + m.Why
		}
		if m.Ahead != 0 {
			text += fmt.Sprintf("; its clock is seen to be %v ahead", m.Ahead.Round(time.Second))
		}
		out = append(out, console.PoolMember{Up: m.Up, Text: fmt.Sprintf("MME code %d at %v %s; copies of %d phones", m.Code, t.set.poolMembers[i].address, text, m.Replicas)})
	}
	return out
}

// liveMME is what of the MME's configuration is changed while it runs.
type liveMME struct {
	mu      sync.Mutex
	conf    mme.Configuration // what the file says
	drained bool
}

// manage changes what eNBs know of the MME, and says what has become of it.
func (t *Town) manage(verb string) (text string, err error) {
	t.live.mu.Lock()
	defer t.live.mu.Unlock()
	switch verb {
	case "drain":
		text = "drained: eNBs that have other MMEs bring new phones there; phones that are here stay. Undrain, or another start, ends it"
		t.live.drained = true
	case "undrain":
		text, t.live.drained = "eNBs bring phones here again", false
	case "reload":
		if text, err = t.reload(); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("%q is unknown: drain, undrain or reload", verb)
	}
	c := t.live.conf
	if t.live.drained {
		c.Capacity = 0
	}
	if err := t.mme.Reconfigure(c); err != nil {
		return "", err
	}
	return text, nil
}

// reload reads the configuration again. What cannot be changed while the MME runs is named and
// waits for the next start. The caller holds live.mu.
func (t *Town) reload() (text string, err error) {
	c, err := LoadConfig(t.cfg.HomePath)
	if err != nil {
		return "", err
	}
	s, err := c.resolve()
	if err != nil {
		return "", err
	}
	o := s.mmeOptions
	t.live.conf = mme.Configuration{Name: o.Name, Capacity: o.Capacity, Shared: o.Shared}
	text = fmt.Sprintf("name %q, capacity %d, shared PLMNs %v", o.Name, o.Capacity, o.Shared)
	if t.live.drained {
		text += "; still drained"
	}
	if later := config.Differences(*t.cfg, *c, "mme.name", "mme.capacity", "mme.shared"); len(later) > 0 {
		text += "; not before the next start: " + strings.Join(later, ", ")
	}
	return text, nil
}

// Reload reads the configuration of the MME again, as SIGHUP asks.
func (t *Town) Reload() {
	if t.mme == nil || !t.opened.Load() {
		t.log.Warn("configuration is not read again: no MME runs here yet")
		return
	}
	text, err := t.manage("reload")
	if err != nil {
		t.role("mme").Error("configuration is not taken, all stays as it is", logs.Error, err)
		return
	}
	t.role("mme").Info("configuration read again: " + text)
}

// ManageMME drains the MME, ends that, or has it read its configuration again.
func (h handset) ManageMME(ctx context.Context, q *pb.ManageMMERequest) (*pb.ManageMMEReply, error) {
	if err := h.noMME(); err != nil {
		return nil, err
	}
	h.t.role("admin").Info("operator asks", "verb", q.Verb, "uid", uidOf(ctx))
	text, err := h.t.manage(q.Verb)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	h.t.role("mme").Info("MME " + q.Verb + ": " + text)
	return &pb.ManageMMEReply{Text: text}, nil
}

// poolEnd is what a town has of the pool.
type poolEnd struct {
	pool    *pool.Node       // nil: the MME stands alone
	poolKey proof.SigningKey // if it does not
	live    liveMME
}
