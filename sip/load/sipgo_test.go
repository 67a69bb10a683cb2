package load

import (
	"context"
	"log"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"campanile.network/wire/sip/digest"
)

// serveSipgo is the least that a registrar does, on sipgo.
func serveSipgo(ctx context.Context, at netip.AddrPort) {
	ua, err := sipgo.NewUA()
	if err != nil {
		log.Fatal(err)
	}
	s, err := sipgo.NewServer(ua)
	if err != nil {
		log.Fatal(err)
	}
	s.OnOptions(func(r *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
	})
	s.OnRegister(func(r *sip.Request, tx sip.ServerTransaction) {
		var a digest.Answer
		if h := r.GetHeader("Authorization"); h != nil {
			if c, err := digest.ParseCredentials(h.Value()); err == nil {
				a = digest.Answer{Credentials: c, Method: "REGISTER"}
			}
		}
		if a.Response == "" || !a.VerifyPassword(a.Username, "load.test", "secret"+strings.TrimPrefix(a.Username, "0010110000")) {
			answer := sip.NewResponseFromRequest(r, 401, "Unauthorized", nil)
			answer.AppendHeader(sip.NewHeader("WWW-Authenticate", digest.Challenge{Realm: "load.test", Nonce: "0a4f113b"}.String()))
			_ = tx.Respond(answer)
			return
		}
		_ = tx.Respond(sip.NewResponseFromRequest(r, 200, "OK", nil))
	})
	_ = s.ListenAndServe(ctx, "udp", at.String())
}
