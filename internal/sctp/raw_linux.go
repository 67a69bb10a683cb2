package sctp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// protocolSCTP is SCTP's number in the IP header (RFC 9260 §3).
const protocolSCTP = 132

// NewRaw is NewUDP without UDP: packets go straight into IP as protocol 132, as plain SCTP does. Options.Local (its port is ignored) is the one
// address the endpoint speaks for: packets to other addresses of the host are neither seen nor answered. It needs CAP_NET_RAW. It refuses an
// address that something else already speaks SCTP for, the kernel or another raw stack: they would abort each other's associations
// (RFC 9260 §8.4 rule 8).
func NewRaw(o Options) (*Userspace, error) {
	if o.Conn == nil {
		s, err := openRaw(o.Local.Addr())
		if err != nil {
			return nil, err
		}
		o.Conn = s
		def(&o.MTU, linkMTU(o.Local.Addr())-ipHeader(o.Local.Addr()))
	}
	e, err := NewUDP(o)
	if err != nil {
		o.Conn.Close()
	}
	return e, err
}

// rawSocket is a raw IP socket bound to one address as Datagrams; ports in addresses are 0.
type rawSocket struct {
	c     *net.IPConn
	local netip.Addr
}

func openRaw(local netip.Addr) (Datagrams, error) {
	local = local.Unmap()
	if !unicast(local) {
		return nil, fmt.Errorf("sctp: transport raw: address %v: a specific unicast address is needed, since peers know the association by it", local)
	}
	if err := rivals(local); err != nil {
		return nil, err
	}
	network := "ip4:132"
	if local.Is6() {
		network = "ip6:132"
	}
	c, err := net.ListenIP(network, &net.IPAddr{IP: local.AsSlice(), Zone: local.Zone()})
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("sctp: transport raw needs CAP_NET_RAW: run as root, or setcap cap_net_raw+ep on the program, or AmbientCapabilities=CAP_NET_RAW in its systemd unit: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("sctp: transport raw on %v: %w", local, err)
	}
	bigBuffers(c)
	return dontFragment(&rawSocket{c, local}, c)
}

// ReadFrom implements [Datagrams]. IPv4 headers are taken off by package net.
func (s *rawSocket) ReadFrom(p []byte) (int, netip.AddrPort, error) {
	n, from, err := s.c.ReadFromIP(p)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	ip, _ := netip.AddrFromSlice(from.IP)
	return n, netip.AddrPortFrom(ip.Unmap(), 0), nil
}

// WriteTo implements [Datagrams].
func (s *rawSocket) WriteTo(p []byte, to netip.AddrPort) error {
	_, err := s.c.WriteToIP(p, &net.IPAddr{IP: to.Addr().AsSlice(), Zone: to.Addr().Zone()})
	return err
}

// LocalAddr implements [Datagrams].
func (s *rawSocket) LocalAddr() netip.AddrPort { return netip.AddrPortFrom(s.local, 0) }

// Close implements [Datagrams].
func (s *rawSocket) Close() error { return s.c.Close() }

// rivals says who else speaks SCTP for an address of this network namespace. What procfs does not show is not known.
func rivals(local netip.Addr) error {
	if b, err := os.ReadFile("/proc/thread-self/net/sctp/eps"); err == nil {
		return fmt.Errorf("sctp: transport raw on %v: this kernel speaks SCTP itself (%d sockets) and would abort our associations: configure transport kernel, or unload its module (modprobe -r sctp)",
			local, max(0, bytes.Count(b, []byte("\n"))-1))
	}
	file, any := "/proc/thread-self/net/raw", strings.Repeat("0", 8)
	if local.Is6() {
		file, any = "/proc/thread-self/net/raw6", strings.Repeat("0", 32)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		at, proto, _ := strings.Cut(f[1], ":")
		if proto == fmt.Sprintf("%04X", protocolSCTP) && (at == any || at == procAddr(local)) {
			return fmt.Errorf("sctp: transport raw on %v: another program has a raw SCTP socket on this address (%s), and two SCTP stacks on one address abort each other's associations: stop it, or give each its own address", local, file)
		}
	}
	return nil
}

// procAddr is an address as procfs writes it: words in host order.
func procAddr(a netip.Addr) string {
	var s strings.Builder
	b := a.AsSlice()
	for ; len(b) > 0; b = b[4:] {
		fmt.Fprintf(&s, "%08X", binary.NativeEndian.Uint32(b))
	}
	return s.String()
}
