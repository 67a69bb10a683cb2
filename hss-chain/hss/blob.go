package hss

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// SQNProfile says how a card checks sequence numbers (TS 33.102 annex C).
type SQNProfile uint8

// Array32 is the array of 32 indices of TS 33.102 §C.3: what every card we
// know keeps. Others get a number here when cards turn up that need one.
const Array32 SQNProfile = 1

// Subscription is the secret half of a subscription: what a blob holds.
type Subscription struct {
	IMSI      id.IMSI
	Algorithm Algorithm
	K, OPc    secret.Key128 // Ki in K, and no OPc, of a card of COMP128
	App       secret.Key128 // AmendApp's, zero for none
	SQN       SQNProfile
	DIF       int64 // clock difference at import, ticks (TS 33.102 §C.1.1.3)
	Profile   home.Profile
}

// A blob is
//
//	octet 0       version: 1, or 2 of a card of COMP128 or with a password
//	octets 1-16   subscriber id
//	octets 17-24  epoch of the key
//	octets 25-36  nonce
//	rest          AES-256-GCM of the subscription; associated data is the
//	              purpose, the operator's key and octets 0-24
const (
	blobVersion  = 1
	blobVersion2 = 2
	blobHeadLen  = 25
	blobNonceLen = 12
	blobPurpose  = "campanile/blob/1"
	maxBlob      = 1 << 14 // a subscription with home.MaxAPNs has some 9,000 octets
)

type blobID struct {
	id    id.SubscriberID
	epoch uint64
}

var errBlob = errors.New("blob is malformed")

// BlobHash names a blob: what the ledger holds of it.
func BlobHash(b []byte) [32]byte { return sha256.Sum256(b) }

func blobHead(b []byte) (h blobID, err error) {
	if len(b) < blobHeadLen+blobNonceLen || len(b) > maxBlob || b[0] != blobVersion && b[0] != blobVersion2 {
		return h, errBlob
	}
	return blobID{id.SubscriberID(b[1:17]), binary.BigEndian.Uint64(b[17:25])}, nil
}

func blobData(op proof.OperatorKey, head []byte) []byte {
	return append(append([]byte(blobPurpose), op[:]...), head...)
}

func blobCipher(k secret.Key256) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sealBlob encrypts a subscription under an epoch key.
func sealBlob(k secret.Key256, op proof.OperatorKey, h blobID, s Subscription) ([]byte, error) {
	aead, err := blobCipher(k)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 256), s.version())
	b = append(b, h.id[:]...)
	b = binary.BigEndian.AppendUint64(b, h.epoch)
	data := blobData(op, b)
	nonce := make([]byte, blobNonceLen)
	rand.Read(nonce)
	b = append(b, nonce...)
	return aead.Seal(b, nonce, s.append(nil), data), nil
}

// openBlob decrypts what sealBlob made.
func openBlob(k secret.Key256, op proof.OperatorKey, b []byte) (Subscription, error) {
	if _, err := blobHead(b); err != nil {
		return Subscription{}, err
	}
	aead, err := blobCipher(k)
	if err != nil {
		return Subscription{}, err
	}
	rest := b[blobHeadLen:]
	plain, err := aead.Open(nil, rest[:blobNonceLen], rest[blobNonceLen:], blobData(op, b[:blobHeadLen]))
	if err != nil {
		return Subscription{}, errors.New("blob was sealed under another key, or changed")
	}
	return parseSubscription(b[0], plain)
}

// version is 1 for all that a node of before there was another can read.
func (s Subscription) version() byte {
	if s.Algorithm == Milenage && s.App == (secret.Key128{}) {
		return blobVersion
	}
	return blobVersion2
}

func (s Subscription) append(b []byte) []byte {
	if s.version() == blobVersion2 {
		b = append(append(b, byte(s.Algorithm)), s.App[:]...)
	}
	text := func(t string) { b = append(append(b, byte(len(t))), t...) }
	p := s.Profile
	b = append(b, byte(s.SQN))
	b = binary.BigEndian.AppendUint64(b, uint64(s.DIF))
	b = append(append(b, s.K[:]...), s.OPc[:]...)
	text(s.IMSI.Digits())
	text(p.MSISDN.Digits())
	text(p.APN.String())
	b = appendAPN(b, p.Default())
	if p.PDN == home.PDNAny && len(p.APNs) == 0 {
		return b // as every blob before there were further APNs
	}
	b = append(b, byte(p.PDN), byte(len(p.APNs)))
	for _, a := range p.APNs {
		text(a.Name.String())
		b = append(appendAPN(b, a), byte(a.PDN))
	}
	return b
}

// appendAPN is what a subscription says of an APN, but for its name and PDN type.
func appendAPN(b []byte, a home.APN) []byte {
	b = append(b, byte(a.QCI), a.ARP)
	b = binary.BigEndian.AppendUint64(b, uint64(a.AMBRUL))
	b = binary.BigEndian.AppendUint64(b, uint64(a.AMBRDL))
	ip := a.IPv4.AsSlice()
	return append(append(b, byte(len(ip))), ip...)
}

// cursor takes fields off octets; after an overrun everything is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.bad, c.b = true, nil
		return make([]byte, n)
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u64() uint64  { return binary.BigEndian.Uint64(c.take(8)) }
func (c *cursor) text() string { return string(c.take(int(c.take(1)[0]))) }

// apn reads what appendAPN wrote.
func (c *cursor) apn(name string) home.APN {
	n, err := id.ParseAPN(name)
	a := home.APN{Name: n, QCI: id.QCI(c.take(1)[0]), ARP: c.take(1)[0], AMBRUL: id.BitRate(c.u64()), AMBRDL: id.BitRate(c.u64())}
	ip := c.text()
	if ip != "" {
		a.IPv4, _ = netip.AddrFromSlice([]byte(ip))
	}
	if err != nil || ip != "" && !a.IPv4.Is4() {
		c.bad = true
	}
	return a
}

func parseSubscription(version byte, b []byte) (s Subscription, err error) {
	c := cursor{b: b}
	if version == blobVersion2 {
		s.Algorithm, s.App = Algorithm(c.take(1)[0]), secret.Key128(c.take(16))
	}
	s.SQN, s.DIF = SQNProfile(c.take(1)[0]), int64(c.u64())
	s.K, s.OPc = secret.Key128(c.take(16)), secret.Key128(c.take(16))
	imsi, msisdn, apn := c.text(), c.text(), c.text()
	first := c.apn(apn)
	if len(c.b) > 0 {
		s.Profile.PDN = home.PDNType(c.take(1)[0])
		for range c.take(1)[0] {
			name := c.text()
			a := c.apn(name)
			a.PDN = home.PDNType(c.take(1)[0])
			s.Profile.APNs = append(s.Profile.APNs, a)
		}
	}
	s.Profile.APN, s.Profile.QCI, s.Profile.ARP = first.Name, first.QCI, first.ARP
	s.Profile.AMBRUL, s.Profile.AMBRDL, s.Profile.IPv4 = first.AMBRUL, first.AMBRDL, first.IPv4
	if c.bad || len(c.b) != 0 || s.SQN != Array32 || s.Algorithm > COMP128v3 {
		return s, errBlob
	}
	if s.IMSI, err = id.ParseIMSI(imsi); err != nil {
		return s, errBlob
	}
	if msisdn != "" {
		if s.Profile.MSISDN, err = id.ParseMSISDN(msisdn); err != nil {
			return s, errBlob
		}
	}
	return s, nil
}

// check says what is wrong with a subscription before it is sealed.
func (s Subscription) check() error {
	switch {
	case s.IMSI.IsZero():
		return errors.New("no IMSI")
	case s.K == secret.Key128{}:
		return errors.New("key K is zero")
	case s.Algorithm > COMP128v3:
		return fmt.Errorf("%v is unknown", s.Algorithm)
	case s.Algorithm != Milenage && s.OPc != secret.Key128{}:
		return fmt.Errorf("a card of %v has no OPc", s.Algorithm)
	case s.SQN != Array32:
		return fmt.Errorf("SQN profile %d is unknown", s.SQN)
	case s.Profile.APN.IsZero():
		return errors.New("no APN")
	case s.Profile.QCI == 0 || s.Profile.QCI > 254:
		return fmt.Errorf("QCI %d: want 1 to 254", s.Profile.QCI)
	case s.Profile.ARP == 0 || s.Profile.ARP > 15:
		return fmt.Errorf("ARP %d: want 1 to 15", s.Profile.ARP)
	case len(s.Profile.APNs) > home.MaxAPNs || s.Profile.PDN > home.PDNEither:
		return fmt.Errorf("%d further APNs, PDN type %d: want at most %d and %d", len(s.Profile.APNs), s.Profile.PDN, home.MaxAPNs, home.PDNEither)
	case s.Profile.AMBRUL == 0 || s.Profile.AMBRDL == 0:
		return errors.New("AMBR is zero")
	}
	return nil
}
