package gateway

import (
	"campanile.network/gateway/datapath"
	"campanile.network/wire/usage"
)

// ServiceInfo is a class of service and what the bearers there are and those that have
// ended since the start have carried of it.
type ServiceInfo struct {
	usage.Terms
	Count datapath.Count
}

// Services lists the classes of Options, in their order.
func (g *Gateway) Services() []ServiceInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := g.carried
	for _, s := range g.sessions {
		for _, b := range s.all() {
			for i, n := range g.usage(b).Class {
				sum[i] = sum[i].Add(n)
			}
		}
	}
	var out []ServiceInfo
	for i, t := range g.o.Classes {
		if i > 0 && t.Name != "" {
			out = append(out, ServiceInfo{t, sum[i]})
		}
	}
	return out
}

// classes are what of a count is to be rated apart.
func (g *Gateway) classes(u datapath.Usage) (out []usage.Class) {
	for i, n := range u.Class[1:] {
		if n != (datapath.Count{}) {
			octets, _ := n.Arrived()
			out = append(out, usage.Class{Class: uint8(i + 1), Terms: g.o.Classes[i+1], UL: octets, DL: n.DLOctets})
		}
	}
	return out
}
