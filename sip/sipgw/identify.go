package sipgw

import (
	"context"
	"errors"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// who is whom a request names, before anything is proven.
type who struct {
	imsi  id.IMSI
	kind  Kind
	decoy bool // nobody here has this name
}

// credentials reads the Authorization of a request; has is false when there is
// none that answers something, by a scheme that is known. IMS phones name themselves in one that is empty
// otherwise (TS 24.229 §5.1.1.2.2).
func credentials(m *sip.Message) (c digest.Credentials, has bool, err error) {
	v, there := m.Lookup("Authorization")
	if !there {
		return c, false, nil
	}
	c, err = digest.ParseCredentials(v)
	if errors.Is(err, digest.ErrScheme) || c.Nonce == "" && errors.Is(err, digest.ErrMissing) {
		return c, false, nil
	}
	return c, err == nil, err
}

// identify finds out whom a request names, and by which dialect: a station's
// phone by its IMSI, all others by the user name of their digest or the user of
// From.
func (g *Gateway) identify(ctx context.Context, m *sip.Message, station *Station, c digest.Credentials) (who, error) {
	user := m.From.URI.User
	if digits, ok := strings.CutPrefix(user, "IMSI"); ok && station != nil {
		imsi, err := id.ParseIMSI(digits)
		if err != nil || len(digits) < 14 {
			return who{kind: dialect(m)}, badRequest("IMSI of 14 or 15 Digits Wanted")
		}
		return who{imsi: imsi, kind: dialect(m)}, nil
	}
	if strings.HasPrefix(user, "TMSI") && station != nil {
		return who{kind: dialect(m)}, unknownTMS
	}
	kind := App
	if c.Algorithm == digest.AKAv1MD5 || strings.Contains(c.Username, "@ims.") {
		kind = IMS
	}
	name := user
	if c.Username != "" && !c.Userhash {
		name, _, _ = strings.Cut(c.Username, "@")
	}
	w, err := g.subscriber(ctx, name, kind)
	if err != nil || w.decoy || name == user {
		return w, err
	}
	switch other, err := g.subscriber(ctx, user, kind); {
	case err != nil:
		return w, err
	case other.imsi != w.imsi:
		return w, forbidden
	}
	return w, nil
}

// dialect tells the programs of GSM cells apart by what only YateBTS writes.
func dialect(m *sip.Message) Kind {
	for _, h := range []string{"Supported", "P-PHY-Info", "User-Agent", "Authorization"} {
		for _, v := range m.Values(h) {
			for _, sign := range []string{"auth-gsm", "auth-umts", "yatebts", "yate/", "akav1-md5", "sms-response"} {
				if strings.Contains(strings.ToLower(v), sign) {
					return YateBTS
				}
			}
		}
	}
	return OpenBTS
}

// subscriber finds whose name it is: an IMSI or a number, with what apps and cells
// put before them. Whoever asks with a name that nobody has is not told so.
func (g *Gateway) subscriber(ctx context.Context, name string, kind Kind) (who, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(name, "IMSI"), "+")
	if g.o.Directory != nil && !strings.HasPrefix(name, "IMSI") {
		if n, err := id.ParseMSISDN(digits); err == nil {
			switch imsi, err := g.o.Directory.ByNumber(ctx, n); {
			case err == nil:
				return who{imsi: imsi, kind: kind}, nil
			case !errors.Is(err, home.ErrNobody):
				return who{kind: kind}, homeRefused(err)
			}
		}
	}
	if imsi, err := id.ParseIMSI(digits); err == nil && len(digits) >= 14 && !strings.HasPrefix(name, "+") {
		return who{imsi: imsi, kind: kind}, nil
	}
	return who{kind: kind, decoy: true}, nil
}
