package mme

import (
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
)

// accessKeys are the chain of keys of a phone's radio bearers from a context
// setup on (TS 33.401 §7.2.8.1). They need not outlive the S1 connection: the
// next one begins with a K_eNB of another NAS COUNT, and with it another chain.
type accessKeys struct {
	under *keyset        // whose K_ASME the chain is of; NAS may have another by now (TS 33.401 §7.2.10)
	hop   nassec.NextHop // the last one made

	// How many links were made, how many before the one that the serving eNB was
	// told, and before the one that the phone last made a key of.
	made, told, used int

	changing bool // the eNB has been given another K_eNB and has not answered
}

// maxAhead is how far the chain may go on without the phone: it follows by the
// three bits of NCC.
const maxAhead = 5

// more says that the phone can follow another link.
func (a *accessKeys) more() bool { return a.made-a.used < maxAhead }

// arrived says that the phone has made a key of the last link.
func (a *accessKeys) arrived() { a.told, a.used = a.made, a.made }

// switched says that the phone has come by X2: with what the former eNB was told
// it has made its key, and the new one is told the last link.
func (a *accessKeys) switched() { a.told, a.used = a.made, a.told }

// chain begins with a K_eNB that an eNB is given. Its first link, of NCC 1, is
// never told (TS 33.401 §7.2.8.4.2).
func (c *conn) chain(kenb s1ap.SecurityKey) accessKeys {
	c.ue.secMu.Lock()
	defer c.ue.secMu.Unlock()
	return accessKeys{under: c.ue.sec, hop: c.ue.sec.NextHop(nassec.NextHop{Key: secret.Key256(kenb)})}
}

// nextHop makes the next {NH, NCC}, for the eNB to which the phone goes: no two
// are told the same (TS 33.401 §7.2.8.4.2, §7.2.8.4.3).
func (c *conn) nextHop() s1ap.SecurityContext {
	c.ue.secMu.Lock()
	c.access.hop = c.access.under.NextHop(c.access.hop)
	c.ue.secMu.Unlock()
	c.access.made++
	return s1ap.SecurityContext{NextHopChainingCount: c.access.hop.NCC, NextHopParameter: s1ap.SecurityKey(c.access.hop.Key)}
}
