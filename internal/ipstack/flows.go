package ipstack

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// flows counts open flows, in all and by phone.
type flows struct {
	mu         sync.Mutex
	n          int
	by         map[tcpip.Address]int
	most, each int
}

// take reserves a flow for a phone; release gives it back.
func (f *flows) take(phone tcpip.Address) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n >= f.most || f.by[phone] >= f.each {
		return false
	}
	f.n++
	f.by[phone]++
	return true
}

func (f *flows) release(phone tcpip.Address) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.by[phone]--; f.by[phone] == 0 {
		delete(f.by, phone)
	}
}

func (f *flows) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// take reserves a flow and counts a refusal.
func (f *Forwarder) take(phone tcpip.Address) bool {
	if f.flows.take(phone) {
		return true
	}
	f.stats.full.Add(1)
	return false
}
