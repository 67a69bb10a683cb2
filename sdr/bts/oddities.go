package bts

import (
	"bytes"
	"net/netip"
	"sync"

	"campanile.network/wire/sip/txn"
)

// oddities is a socket that writes what OpenBTS writes and no SIP stack would: a
// raw # in the Request-URI, no rport, and, of old, names without quotes and a
// branch without a value. Then answers are found by Call-ID and CSeq, as OpenBTS
// finds all of them.
type oddities struct {
	txn.PacketConn
	old bool

	mu       sync.Mutex
	branches map[string][]byte // of requests, by Call-ID and CSeq
	order    []string
}

const maxBranches = 4096

func newOddities(c txn.PacketConn, old bool) *oddities {
	return &oddities{PacketConn: c, old: old, branches: map[string][]byte{}}
}

func (o *oddities) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if isResponse(b) {
		return o.PacketConn.WriteToUDPAddrPort(b, to)
	}
	first := max(0, bytes.IndexByte(b, '\r'))
	out := append(bytes.ReplaceAll(b[:first], []byte("%23"), []byte("#")), bytes.Replace(b[first:], []byte(";rport"), nil, 1)...)
	if o.old {
		out = bytes.Replace(bytes.Replace(out, []byte(": \"IMSI"), []byte(": IMSI"), 2), []byte("\" <sip:IMSI"), []byte(" <sip:IMSI"), 2)
		if from, to, ok := branch(out); ok {
			o.keep(key(out), bytes.Clone(out[from:to]))
			out = append(bytes.Clone(out[:from]), out[to:]...)
		}
	}
	if _, err := o.PacketConn.WriteToUDPAddrPort(out, to); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (o *oddities) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := o.PacketConn.ReadFromUDPAddrPort(b)
	if err != nil || !o.old || !isResponse(b[:n]) {
		return n, from, err
	}
	o.mu.Lock()
	value := o.branches[key(b[:n])]
	o.mu.Unlock()
	at, end, ok := branch(b[:n])
	if !ok || at != end || value == nil || n+len(value) > len(b) {
		return n, from, nil
	}
	copy(b[at+len(value):], b[at:n])
	copy(b[at:], value)
	return n + len(value), from, nil
}

// keep remembers the branch of a request, "=" before it.
func (o *oddities) keep(k string, value []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.branches[k]; !ok {
		if o.order = append(o.order, k); len(o.order) > maxBranches {
			delete(o.branches, o.order[0])
			o.order = o.order[1:]
		}
	}
	o.branches[k] = value
}

func isResponse(b []byte) bool { return bytes.HasPrefix(b, []byte("SIP/2.0 ")) }

// branch is where the value of the topmost branch stands, with its "=".
func branch(b []byte) (from, to int, ok bool) {
	via := bytes.Index(b, []byte("\r\nVia:"))
	if via < 0 {
		return 0, 0, false
	}
	end := via + 2 + max(0, bytes.IndexByte(b[via+2:], '\r'))
	i := bytes.Index(b[via:end], []byte(";branch"))
	if i < 0 {
		return 0, 0, false
	}
	from = via + i + len(";branch")
	to = from
	for to < end && b[to] != ';' && b[to] != ',' {
		to++
	}
	return from, to, true
}

// key is Call-ID and CSeq. An ACK has its INVITE's number and a branch of its own.
func key(b []byte) string { return line(b, "Call-ID:") + " " + line(b, "CSeq:") }

func line(b []byte, name string) string {
	_, rest, ok := bytes.Cut(b, []byte("\r\n"+name))
	if !ok {
		return ""
	}
	v, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return string(bytes.TrimSpace(v))
}
