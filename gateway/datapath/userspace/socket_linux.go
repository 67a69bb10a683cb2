package userspace

import (
	"net"

	"golang.org/x/sys/unix"
)

// growBuffers asks for large socket buffers: past the system's limit with
// privilege, up to it without. A burst that does not fit is lost, so more is
// better; failing to get it is no error.
func growBuffers(c *net.UDPConn, size int) {
	c.SetReadBuffer(size)
	c.SetWriteBuffer(size)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size)
	})
}
