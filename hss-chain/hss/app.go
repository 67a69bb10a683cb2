package hss

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/digest"
)

// The challenge of an application is kept nowhere: anybody on the internet can
// have one drawn for anybody's number, and a flood of them must neither fill
// memory nor keep the subscriber's phone out. Its id is a block of AES, under a
// key for each serving operator, with the half of the subscriber's id, the
// second and four random octets in it; its RAND, which the nonce is made of, is a
// function of the id. There is nothing to guess in 30 s: the password is 128 bits that
// this node drew. A serving network takes each nonce's count once.

// appKey is what a serving operator's challenges are made with: for ids and for
// RANDs.
type appKey struct {
	block cipher.Block
	rand  []byte
}

// appKey gives a registered operator's, which is kept.
func (h *HSS) appKey(serving proof.OperatorKey) appKey {
	if k, ok := h.appKeys[serving]; ok {
		return k
	}
	m := hmac.New(sha256.New, h.ids.key[:])
	m.Write([]byte("campanile application challenge"))
	m.Write(serving[:])
	key := m.Sum(nil)
	b, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err) // only for a key of another length
	}
	k := appKey{b, key[16:]}
	if _, ok := h.o.Registry.OperatorByKey(serving); ok {
		h.appKeys[serving] = k
	}
	return k
}

// nonce is the RAND of a challenge.
func (k appKey) nonce(c home.ChallengeID) [16]byte {
	m := hmac.New(sha256.New, k.rand)
	m.Write(c[:])
	return [16]byte(m.Sum(nil))
}

func (h *HSS) appChallenge(s *subscriber, serving proof.OperatorKey, now time.Time) (c home.Challenge, err error) {
	switch {
	case s.App == secret.Key128{}:
		return c, refusal(home.NotSubscribed, "no password: make one with campanile subscriber app-password")
	case h.o.Realm == "":
		return c, refusal(home.NotSubscribed, "this home has no realm for passwords")
	}
	if _, err := h.tick(); err != nil { // a ticket needs a clock
		return c, err
	}
	var b [aes.BlockSize]byte
	copy(b[:], s.id[:8])
	binary.BigEndian.PutUint32(b[8:], uint32(now.Unix()))
	rand.Read(b[12:])
	key := h.appKey(serving)
	key.block.Encrypt(c.ID[:], b[:])
	c.RAND, c.Realm, c.Expires = key.nonce(c.ID), h.o.Realm, now.Truncate(time.Second).Add(lifetime)
	return c, nil
}

// proveApp answers for a challenge that is not kept: an application's, or one
// that was forgotten or never was.
func (h *HSS) proveApp(r home.ProveRequest, now time.Time) (*home.Lease, error) {
	key := h.appKey(r.Serving)
	var b [aes.BlockSize]byte
	key.block.Decrypt(b[:], r.ID[:])
	made := time.Unix(int64(binary.BigEndian.Uint32(b[8:])), 0)
	s := h.byHead[idHead(b[:8])]
	if s == nil || now.Before(made) || !now.Before(made.Add(lifetime)) {
		return nil, refusal(home.Expired, "")
	}
	s, err := h.servable(s.IMSI)
	if err != nil {
		return nil, err
	}
	a := r.Digest
	if a == nil || a.Realm != h.o.Realm || s.App == (secret.Key128{}) {
		return nil, refusal(home.WrongRES, "")
	}
	nonce, _, err := digest.ReadNonce(a.Nonce)
	if err != nil || nonce != key.nonce(r.ID) || a.Algorithm == digest.AKAv1MD5 || !s.named(*a, h.o.Realm, appPassword(s.App)) {
		return nil, refusal(home.WrongRES, "")
	}
	return h.lend(s, r, home.App, now)
}

// appPassword is a key as people type it: 26 small letters and digits. The key
// stands in the sealed blob and not hashes of it for each algorithm and user
// name, which would open the account just as well and stop fitting when the
// subscriber gets another number; nobody has chosen it, so it opens nothing else.
func appPassword(k secret.Key128) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(k[:]))
}

// AmendApp seals a subscription with a new password for applications, which is
// given this once, and the hash and epoch that the operator then enters on the
// ledger, as with Amend.
func (h *HSS) AmendApp(imsi id.IMSI) (password string, hash [32]byte, epoch uint64, err error) {
	var k secret.Key128
	rand.Read(k[:])
	hash, epoch, err = h.amend(imsi, func(s *Subscription) { s.App = k })
	return appPassword(k), hash, epoch, err
}
