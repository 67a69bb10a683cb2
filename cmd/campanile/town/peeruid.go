package town

import (
	"context"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// peerUID is the identity of who has connected to a socket of this machine: its
// user id, as the kernel says.
type peerUID struct {
	credentials.CommonAuthInfo
	uid int64 // -1: not known
}

// AuthType names it.
func (peerUID) AuthType() string { return "unix peer" }

// unixPeers are gRPC's credentials of a unix socket: no secret passes, the
// socket's mode says who may connect.
type unixPeers struct{}

// ServerHandshake asks the kernel who is there.
func (unixPeers) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	who := peerUID{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, uid: -1}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return c, who, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return c, who, nil
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			who.uid = int64(cred.Uid)
		}
	})
	return c, who, nil
}

// ClientHandshake is the other end's, which proves nothing.
func (unixPeers) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c, peerUID{uid: -1}, nil
}

// Info says that nothing is encrypted, for nothing leaves the machine.
func (unixPeers) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

// Clone is itself.
func (u unixPeers) Clone() credentials.TransportCredentials { return u }

// OverrideServerName does nothing.
func (unixPeers) OverrideServerName(string) error { return nil }

// uidOf is the user id of who called; -1 if it is not known.
func uidOf(ctx context.Context) int64 {
	if p, ok := peer.FromContext(ctx); ok {
		if who, ok := p.AuthInfo.(peerUID); ok {
			return who.uid
		}
	}
	return -1
}
