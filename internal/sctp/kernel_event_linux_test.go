package sctp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// notification is a notification of a type with fields of 16 bits behind its header.
func notification(typ kernelEventType, fields ...uint16) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint16(nil, uint16(typ))
	b = ne.AppendUint16(b, 0)
	b = ne.AppendUint32(b, 0)
	for _, f := range fields {
		b = ne.AppendUint16(b, f)
	}
	return b
}

func TestKernelEvents(t *testing.T) {
	abort := append(notification(kernelAssocChange, kernelCommLost, 0, 4, 5, 0, 0), 0, 12, 0, 9, 't', 'i', 'r', 'e', 'd', 0, 0, 0)
	ev, ok := parseKernelEvent(abort)
	if !ok || ev.state != kernelCommLost || !ev.causes || ev.cause != CauseUserAbort || ev.reason != "tired" || ev.out != 4 || ev.in != 5 {
		t.Errorf("ABORT with a reason: %+v %v", ev, ok)
	}
	ev, ok = parseKernelEvent(abort[:20])
	if !ok || ev.causes {
		t.Errorf("ABORT without a cause: %+v %v", ev, ok)
	}
	ev, ok = parseKernelEvent(append(abort[:20:20], 0, 12, 0xff, 0xff, 1))
	if !ok || ev.cause != CauseUserAbort || ev.reason != "" {
		t.Errorf("a cause longer than the chunk: %+v %v", ev, ok)
	}
	addr := append(notification(kernelPeerAddrChange), make([]byte, 136)...)
	copy(addr[8:], appendSockaddr(nil, netip.MustParseAddrPort("192.0.2.7:36412")))
	binary.NativeEndian.PutUint32(addr[136:], kernelAddrUnreachable)
	ev, ok = parseKernelEvent(addr)
	if !ok || ev.state != kernelAddrUnreachable || ev.addr != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("address: %+v %v", ev, ok)
	}
	for n := range abort[:20] {
		if _, ok := parseKernelEvent(abort[:n]); ok {
			t.Errorf("%d bytes of an association change were enough", n)
		}
	}
}

func TestKernelPeerAddrs(t *testing.T) {
	b := make([]byte, 8)
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.3")}
	for _, a := range want {
		b = appendSockaddr(b, netip.AddrPortFrom(a, 36412))
	}
	got := parsePeerAddrs(b)
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, want %v", got, want)
	}
}

// What a peer wrote into an ABORT comes through the notification.
func FuzzKernelEvent(f *testing.F) {
	f.Add(append(notification(kernelAssocChange, kernelCommLost, 0, 4, 5, 0, 0), 0, 12, 0, 9, 't', 'i', 'r', 'e', 'd'))
	f.Add(notification(kernelRemoteError, 0, 0, 0, 0))
	f.Add(append(notification(kernelPeerAddrChange), make([]byte, 140)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, ok := parseKernelEvent(b)
		if len(ev.reason) > len(b) || !ok && ev.causes {
			t.Errorf("%+v %v", ev, ok)
		}
		parsePeerAddrs(b)
	})
}

// A kernel that has nothing to sign cookies with says "function not implemented"; we say what to do.
func TestKernelListenErrors(t *testing.T) {
	for _, want := range []string{`cookie_hmac_alg is "md5"`, "modprobe hmac md5", "sysctl net.sctp.cookie_hmac_alg=sha1", "function not implemented"} {
		if err := kernelCannotSign("md5"); !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %s", err, want)
		}
	}
	if err := kernelListenError(unix.ENOSYS, 1); !strings.Contains(err.Error(), "nothing to sign cookies with") {
		t.Error(err)
	}
	if err := kernelListenError(unix.EADDRINUSE, 1); !errors.Is(err, ErrPortInUse) {
		t.Error(err)
	}
}
