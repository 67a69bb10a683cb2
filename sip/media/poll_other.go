//go:build !linux

package media

import (
	"errors"
	"net/netip"
	"time"
)

// poller is only there to compile: New fails.
type poller struct{}

func (*poller) open() error                        { return errors.New("media: carries packets on Linux only") }
func (*poller) close()                             {}
func (*poller) wake()                              {}
func (*poller) wait(time.Duration) (int, error)    { return 0, errors.ErrUnsupported }
func (*poller) ready(int) (leg *Leg, control bool) { return nil, false }
func (*poller) watch(*Leg) error                   { return errors.ErrUnsupported }
func (*poller) pause(*Leg)                         {}
func (*poller) resume(*Leg)                        {}
func (*poller) forget(*Leg)                        {}

type socket struct{ _ int }

func (*socket) open(netip.AddrPort) error                               { return errors.ErrUnsupported }
func (*socket) close()                                                  {}
func (*socket) receive([]byte) (b []byte, from netip.AddrPort, ok bool) { return nil, from, false }
func (*socket) send([]byte, netip.AddrPort) bool                        { return false }

func inUse(error) bool { return false }
