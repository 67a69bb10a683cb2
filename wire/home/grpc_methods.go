package home

import (
	"fmt"

	"campanile.network/3gpp/secret"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/sip/digest"
)

// maxDigest bounds what a digest was computed over, in octets.
const maxDigest = 8192

func proveRequest(m *pb.ProveRequest) (r ProveRequest, err error) {
	if len(m.Id) != 16 {
		return r, fmt.Errorf("prove: id of %d octets", len(m.Id))
	}
	r.ID, r.Fresh = ChallengeID(m.Id), m.Fresh
	if d := m.Digest; d != nil {
		n := len(d.Username) + len(d.Realm) + len(d.Nonce) + len(d.Uri) + len(d.Response) + len(d.Cnonce) + len(d.Nc) + len(d.Method) + len(d.Entity)
		if len(m.Res) != 0 || n > maxDigest || d.Algorithm > uint32(digest.AKAv1MD5) || d.Qop > uint32(digest.AuthInt) {
			return r, fmt.Errorf("prove: RES of %d octets, digest over %d, algorithm %d, quality %d", len(m.Res), n, d.Algorithm, d.Qop)
		}
		r.Digest = &digest.Answer{Credentials: digest.Credentials{Username: d.Username, Realm: d.Realm, Nonce: d.Nonce, URI: d.Uri, Response: d.Response, CNonce: d.Cnonce, NC: d.Nc,
			Algorithm: digest.Algorithm(d.Algorithm), QOP: digest.QOP(d.Qop), Userhash: d.Userhash}, Method: d.Method, Entity: d.Entity}
		return r, nil
	}
	if len(m.Res) < secret.MinRES || len(m.Res) > secret.MaxRES {
		return r, fmt.Errorf("prove: RES of %d octets", len(m.Res))
	}
	r.RES = m.Res
	return r, nil
}

func proveMessage(r ProveRequest) *pb.ProveRequest {
	m := &pb.ProveRequest{Id: r.ID[:], Res: r.RES, Fresh: r.Fresh}
	if a := r.Digest; a != nil {
		m.Digest = &pb.Digest{Username: a.Username, Realm: a.Realm, Nonce: a.Nonce, Uri: a.URI, Response: a.Response, Cnonce: a.CNonce, Nc: a.NC,
			Algorithm: uint32(a.Algorithm), Qop: uint32(a.QOP), Userhash: a.Userhash, Method: a.Method, Entity: a.Entity}
	}
	return m
}

// putKeys writes the keys of the lease's method.
func putKeys(m *pb.ProveReply, l Lease) {
	switch l.Method {
	case EPS:
		m.Kasme = l.KASME[:]
	case UMTS:
		m.Ck, m.Ik = l.CK[:], l.IK[:]
	case GSM:
		m.Kc = l.Kc[:]
	}
}

// takeKeys reads what putKeys wrote.
func takeKeys(m *pb.ProveReply) (Lease, error) {
	l := Lease{Method: Method(m.Method), Ticket: m.Ticket}
	want := map[Method][4]int{EPS: {32}, UMTS: {1: 16, 2: 16}, GSM: {3: 8}, App: {}}
	if n, ok := want[l.Method]; !ok || m.Method > uint32(App) || n != [4]int{len(m.Kasme), len(m.Ck), len(m.Ik), len(m.Kc)} {
		return Lease{}, fmt.Errorf("home: answer of method %d with K_ASME of %d octets, CK of %d, IK of %d, Kc of %d", m.Method, len(m.Kasme), len(m.Ck), len(m.Ik), len(m.Kc))
	}
	copy(l.KASME[:], m.Kasme)
	copy(l.CK[:], m.Ck)
	copy(l.IK[:], m.Ik)
	copy(l.Kc[:], m.Kc)
	return l, nil
}
