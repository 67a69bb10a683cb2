package txn

import (
	"crypto/rand"
	"encoding/hex"
	"hash/maphash"
	"strconv"
	"strings"

	"campanile.network/wire/sip"
)

// cookie begins the branch of whoever knows RFC 3261 (§8.1.1.7).
const cookie = "z9hG4bK"

// key names a transaction, or what belongs to one: a hash under the endpoint's
// own secret, so that nobody can make two that are alike.
type key [2]uint64

// keys makes them.
type keys struct{ a, b maphash.Seed }

func newKeys() keys { return keys{maphash.MakeSeed(), maphash.MakeSeed()} }

// of hashes what is told apart by a first letter; no part has a line's end.
func (k *keys) of(kind byte, parts ...string) key {
	var room [256]byte
	b := append(room[:0], kind)
	for _, p := range parts {
		b = append(append(b, p...), '\n')
	}
	return key{maphash.Bytes(k.a, b), maphash.Bytes(k.b, b)}
}

// server is the key of a request's server transaction, where ACK and CANCEL
// count as what they belong to (RFC 3261 §17.2.3): by the branch, or for those
// before RFC 3261, by what RFC 2543 compares.
func (k *keys) server(m *sip.Message, method sip.Method) key {
	v := &m.Via[0]
	var room [8]byte
	port := strconv.AppendInt(room[:0], int64(v.Port), 10)
	if b := v.Branch(); strings.HasPrefix(b, cookie) && len(b) > len(cookie) {
		return k.of('s', b, v.Host, string(port), string(method))
	}
	seq := strconv.FormatUint(uint64(m.CSeq.Seq), 10)
	return k.of('o', m.URI.String(), m.From.Tag(), m.CallID, seq, v.Host, string(port), v.Branch(), string(method))
}

// client is the key of a response's client transaction (RFC 3261 §17.1.3).
func (k *keys) client(branch string, method sip.Method) key {
	return k.of('c', branch, string(method))
}

// ack is what a 2xx to an INVITE and its ACK have in common (RFC 3261 §13.3.1.4).
func (k *keys) ack(callID, from, to string, seq uint32) key {
	return k.of('a', callID, from, to, strconv.FormatUint(uint64(seq), 10))
}

// merged is what the copies of a request have in common that came by several
// ways (RFC 3261 §8.2.2.2).
func (k *keys) merged(m *sip.Message) key {
	return k.of('m', m.CallID, m.From.Tag(), strconv.FormatUint(uint64(m.CSeq.Seq), 10), string(m.CSeq.Method))
}

// fork is a dialog's end among those that answer one INVITE.
func (k *keys) fork(branch, to string) key { return k.of('f', branch, to) }

// random is n octets that nobody guesses, in hexadecimal.
func random(n int) string {
	var room [16]byte
	b := room[:n]
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
