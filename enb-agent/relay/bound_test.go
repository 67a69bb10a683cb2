package relay

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/id"
)

// A core that moves a bearer from TEID to TEID without end does not fill the
// tower's memory.
func TestCountersAreBounded(t *testing.T) {
	table := newTable()
	gateway := end{netip.MustParseAddr("10.0.0.1"), 1}
	n, err := table.open(ends{gateway: gateway})
	if err != nil {
		t.Fatal(err)
	}
	for teid := id.TEID(1); teid < 5*maxTunnels; teid++ {
		gateway.teid = teid
		table.toGateway(n, gateway)
	}
	if got := len(table.counters); got > maxCounters+1 {
		t.Errorf("%d counters, at most %d", got, maxCounters)
	}
	if c := n.ends.Load().count; c == nil || c != table.counters[0] || c.uses != 1 {
		t.Errorf("the last one counts nowhere: %+v", c)
	}
}
