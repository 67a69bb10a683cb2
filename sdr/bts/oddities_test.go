package bts

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

// wire gives what was written to it.
type wire struct{ b []byte }

func (w *wire) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	return copy(b, w.b), netip.AddrPort{}, nil
}

func (w *wire) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	w.b = bytes.Clone(b)
	return len(b), nil
}
func (*wire) LocalAddr() net.Addr { return nil }
func (*wire) Close() error        { return nil }

// A request's branch is taken away and comes back with the answer to that request and
// no other; whatever passes through, nothing is read beyond it.
func FuzzOddities(f *testing.F) {
	head := "\r\nVia: SIP/2.0/UDP a:1;branch=z9hG4bKx;rport\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\r\n"
	f.Add([]byte("INVITE sip:*100%23@b SIP/2.0"+head), []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\r\n"))
	f.Add([]byte("A\r\nVia:;branch="), []byte("SIP/2.0 \r\nVia:;branch,"))
	f.Fuzz(func(t *testing.T, request, response []byte) {
		for _, old := range []bool{false, true} {
			w := &wire{}
			o := newOddities(w, old)
			if n, err := o.WriteToUDPAddrPort(request, netip.AddrPort{}); err != nil || n != len(request) {
				t.Errorf("%d of %d octets written: %v", n, len(request), err)
			}
			w.b = response
			b := make([]byte, len(response)+64)
			n, _, err := o.ReadFromUDPAddrPort(b)
			if err != nil || n < len(response) || !old && !bytes.Equal(b[:n], response) {
				t.Errorf("%q was read as %q, %v", response, b[:n], err)
			}
		}
	})
}

func TestBranchComesBack(t *testing.T) {
	w := &wire{}
	o := newOddities(w, true)
	const rest = "Call-ID: c\r\nCSeq: 7 INVITE\r\n\r\n"
	o.WriteToUDPAddrPort([]byte("INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a:1;branch=z9hG4bKx;rport\r\n"+rest), netip.AddrPort{})
	if want := "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a:1;branch\r\n" + rest; string(w.b) != want {
		t.Errorf("written %q", w.b)
	}
	for text, want := range map[string]string{
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch\r\n" + rest:                                  "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch=z9hG4bKx\r\n" + rest,
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch;received=1.2.3.4\r\n" + rest:                 "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch=z9hG4bKx;received=1.2.3.4\r\n" + rest,
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch\r\nCall-ID: other\r\nCSeq: 7 INVITE\r\n\r\n": "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:1;branch\r\nCall-ID: other\r\nCSeq: 7 INVITE\r\n\r\n",
	} {
		w.b = []byte(text)
		b := make([]byte, 2048)
		if n, _, _ := o.ReadFromUDPAddrPort(b); string(b[:n]) != want {
			t.Errorf("read %q", b[:n])
		}
	}
}
