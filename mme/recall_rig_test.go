package mme

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
)

// notes is a Memory. Copies of it are what is on the disk when an MME is killed.
type notes struct {
	mu    sync.Mutex
	peers map[id.GlobalENBID]Peer
}

func newNotes() *notes { return &notes{peers: map[id.GlobalENBID]Peer{}} }

func (n *notes) Remember(p Peer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[p.ENB] = p
	return nil
}

func (n *notes) Forget(p Peer) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.peers[p.ENB].Since.Equal(p.Since) {
		delete(n.peers, p.ENB)
	}
	return nil
}

func (n *notes) Peers() ([]Peer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.peers)), nil
}

func (n *notes) copy() *notes {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &notes{peers: maps.Clone(n.peers)}
}

// has checks whose associations are remembered.
func (n *notes) has(t *testing.T, want ...uint32) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []uint32
	for g := range n.peers {
		got = append(got, g.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("remembered: %x, want %x", got, want)
	}
}

// phoneBook is a Dialer. Who is not in it does not answer.
type phoneBook struct {
	t      *testing.T
	mu     sync.Mutex
	answer map[netip.AddrPort]func() (sctp.Association, error)
	calls  []netip.AddrPort
	gaveUp time.Time // when the last call ended without an answer
}

func newPhoneBook(t *testing.T) *phoneBook {
	return &phoneBook{t: t, answer: map[netip.AddrPort]func() (sctp.Association, error){}}
}

func (b *phoneBook) Dial(ctx context.Context, to netip.AddrPort, o sctp.DialOptions) (sctp.Association, error) {
	b.mu.Lock()
	b.calls = append(b.calls, to)
	f := b.answer[to]
	b.mu.Unlock()
	if o.LocalPort != 36412 {
		b.t.Errorf("called from port %d: that is no restart", o.LocalPort)
	}
	if f != nil {
		return f()
	}
	<-ctx.Done()
	b.mu.Lock()
	b.gaveUp = time.Now()
	b.mu.Unlock()
	return nil, ctx.Err()
}

func (b *phoneBook) called() int {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.calls)
}

// answers lets a called eNB answer; the eNB's end of the association comes out of
// the channel.
func (b *phoneBook) answers(at netip.AddrPort) chan sctp.Association {
	ends := make(chan sctp.Association, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer[at] = func() (sctp.Association, error) {
		a, e := sctp.Pipe(sctp.PipeOptions{A: netip.MustParseAddrPort("127.0.0.20:36412"), B: at})
		ends <- e
		return a, nil
	}
	return ends
}

// called is the end of an eNB that has been called.
func called(t *testing.T, ends <-chan sctp.Association) sctp.Association {
	t.Helper()
	select {
	case a := <-ends:
		return a
	case <-time.After(2 * recallFor):
		t.Fatal("the eNB is not called")
	}
	return nil
}

func (b *phoneBook) fails(at netip.AddrPort, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer[at] = func() (sctp.Association, error) { return nil, err }
}
