package userspace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"campanile.network/3gpp/gtpu"
)

// sockets are those of Options, bound where they are not given.
func (o *Options) sockets() ([]PacketConn, error) {
	if o.Conn == nil && !o.Local.IsValid() {
		return nil, errors.New("userspace: Options name neither Local nor Conn")
	}
	var conns []PacketConn
	for _, x := range []struct {
		c PacketConn
		a netip.AddrPort
	}{{o.Conn, o.Local}, {o.Conn6, o.Local6}} {
		c := x.c
		if c == nil && x.a.IsValid() {
			bound, err := listen(x.a)
			if err != nil {
				for _, c := range conns {
					err = errors.Join(err, c.Close())
				}
				return nil, err
			}
			c = bound
		}
		if c != nil {
			conns = append(conns, c)
		}
	}
	return conns, nil
}

func listen(local netip.AddrPort) (*net.UDPConn, error) {
	if local.Port() == 0 {
		local = netip.AddrPortFrom(local.Addr(), gtpu.Port)
	}
	network := "udp4"
	if local.Addr().Is6() {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, fmt.Errorf("userspace: cannot bind GTP-U %v: %w", local, err)
	}
	tune(c, 8<<20)
	return c, nil
}
