package sctp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of what one system call moves. Longer messages take several buffers.
const (
	kernelRecvBatch  = 32
	kernelRecvBuffer = 2048
	kernelSendBatch  = 64
)

// kernelMmsg is struct mmsghdr.
type kernelMmsg struct {
	hdr unix.Msghdr
	n   uint32
}

// Room for one control message of either kind.
var (
	kernelSndInfoSpace = unix.CmsgSpace(kernelSndInfoLen)
	kernelRcvInfoSpace = unix.CmsgSpace(kernelRcvInfoLen)
)

// kernelInbox is the memory of one recvmmsg. It is borrowed while a socket is being read, so that sockets at rest cost none.
type kernelInbox struct {
	msgs [kernelRecvBatch]kernelMmsg
	iovs [kernelRecvBatch]unix.Iovec
	data []byte
	ctl  []byte
}

// newKernelInbox makes one for a sync.Pool.
func newKernelInbox() any {
	in := &kernelInbox{data: make([]byte, kernelRecvBatch*kernelRecvBuffer), ctl: make([]byte, kernelRecvBatch*kernelRcvInfoSpace)}
	for i := range in.msgs {
		in.iovs[i].Base = &in.data[i*kernelRecvBuffer]
		in.iovs[i].SetLen(kernelRecvBuffer)
		h := &in.msgs[i].hdr
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
		h.Control = &in.ctl[i*kernelRcvInfoSpace]
	}
	return in
}

// recv reads what is there, at most a batch.
func (in *kernelInbox) recv(fd int) (int, error) {
	for i := range in.msgs {
		in.msgs[i].hdr.SetControllen(kernelRcvInfoSpace)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.msgs[0])), kernelRecvBatch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}

// kernelPiece is one entry of a batch: a message, a part of one, or a notification.
type kernelPiece struct {
	data        []byte // valid until the next recv
	stream      uint16
	ppid        uint32
	end, notify bool
}

func (in *kernelInbox) piece(i int) kernelPiece {
	m := &in.msgs[i]
	p := kernelPiece{data: in.data[i*kernelRecvBuffer:][:min(int(m.n), kernelRecvBuffer)]}
	p.end, p.notify = m.hdr.Flags&unix.MSG_EOR != 0, m.hdr.Flags&kernelFlagNotify != 0
	c := (*unix.Cmsghdr)(unsafe.Pointer(m.hdr.Control))
	if int(m.hdr.Controllen) >= unix.CmsgLen(kernelRcvInfoLen) && c.Level == unix.IPPROTO_SCTP && c.Type == kernelCmsgRcvInfo {
		info := in.ctl[i*kernelRcvInfoSpace+unix.CmsgLen(0):]
		p.stream, p.ppid = binary.NativeEndian.Uint16(info), binary.BigEndian.Uint32(info[8:])
	}
	return p
}

// kernelOutbox is the memory of one sendmmsg.
type kernelOutbox struct {
	msgs [kernelSendBatch]kernelMmsg
	iovs [kernelSendBatch]unix.Iovec
	ctl  []byte
}

// newKernelOutbox makes one for a sync.Pool.
func newKernelOutbox() any {
	out := &kernelOutbox{ctl: make([]byte, kernelSendBatch*kernelSndInfoSpace)}
	for i := range out.msgs {
		h := &out.msgs[i].hdr
		h.Iov = &out.iovs[i]
		h.SetIovlen(1)
		h.Control = &out.ctl[i*kernelSndInfoSpace]
		h.SetControllen(kernelSndInfoSpace)
		c := (*unix.Cmsghdr)(unsafe.Pointer(h.Control))
		c.Level, c.Type = unix.IPPROTO_SCTP, kernelCmsgSndInfo
		c.SetLen(unix.CmsgLen(kernelSndInfoLen))
	}
	return out
}

// put writes one message as entry i; data must stay until send returns.
func (out *kernelOutbox) put(i int, stream uint16, ppid uint32, data []byte) {
	info := out.ctl[i*kernelSndInfoSpace+unix.CmsgLen(0):][:kernelSndInfoLen]
	clear(info)
	binary.NativeEndian.PutUint16(info, stream)
	binary.BigEndian.PutUint32(info[4:], ppid)
	out.iovs[i].Base = unsafe.SliceData(data)
	out.iovs[i].SetLen(len(data))
}

// kernelMessageCost is what the kernel books for a message besides its bytes, generously.
const kernelMessageCost = 2048

// send hands the first n entries to the kernel and returns how many it took. Of a group that fits the kernel's buffer of room bytes, all but the
// last are marked as having a successor, so that the kernel puts them into one packet rather than one each. A larger group could fill the buffer
// with messages that all wait for a successor.
func (out *kernelOutbox) send(fd, n, room int) (int, error) {
	sent := 0
	for sent < n {
		group, cost := sent, 0
		for ; group < n && (group == sent || cost < room); group++ {
			cost += int(out.iovs[group].Len) + kernelMessageCost
		}
		for sent < group {
			k, flags := group-sent, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL
			if k > 1 {
				k, flags = k-1, flags|unix.MSG_MORE
			}
			r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&out.msgs[sent])), uintptr(k), uintptr(flags), 0, 0)
			if errno == unix.EINTR {
				continue
			}
			if errno != 0 {
				return sent, errno
			}
			sent += int(r)
		}
	}
	return sent, nil
}

// forget lets go of what the entries pointed to.
func (out *kernelOutbox) forget() {
	for i := range out.iovs {
		out.iovs[i].Base = nil
	}
}
