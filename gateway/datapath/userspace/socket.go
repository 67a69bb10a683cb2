package userspace

import (
	"context"
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
		if x.c != nil {
			conns = append(conns, x.c)
			continue
		}
		if !x.a.IsValid() {
			continue
		}
		bound, err := listen(x.a, max(o.Workers, 1))
		conns = append(conns, bound...)
		if err != nil {
			for _, c := range conns {
				err = errors.Join(err, c.Close())
			}
			return nil, err
		}
	}
	return conns, nil
}

// listen binds so many sockets to one address. The first is bound alone, so that an
// address that another process has is not shared with it.
func listen(local netip.AddrPort, workers int) (all []PacketConn, err error) {
	if local.Port() == 0 {
		local = netip.AddrPortFrom(local.Addr(), gtpu.Port)
	}
	c, err := bind(local, false)
	if err == nil && workers > 1 {
		err = c.Close()
		for n := 0; n < workers && err == nil; n++ {
			if c, err = bind(local, true); err == nil {
				all = append(all, c)
			}
		}
		if err == nil {
			err = share(c, workers)
		}
	} else if err == nil {
		all = append(all, c)
	}
	if err != nil {
		err = fmt.Errorf("userspace: cannot bind GTP-U %v: %w", local, err)
	}
	return all, err
}

func bind(local netip.AddrPort, shared bool) (*net.UDPConn, error) {
	network := "udp4"
	if local.Addr().Is6() {
		network = "udp6"
	}
	var config net.ListenConfig
	if shared {
		config.Control = reusePort
	}
	c, err := config.ListenPacket(context.Background(), network, local.String())
	if err != nil {
		return nil, err
	}
	u := c.(*net.UDPConn)
	tune(u, 8<<20)
	return u, nil
}
