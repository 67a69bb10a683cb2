package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
)

// errLost is why phones are released when the MME goes away.
var errLost = errors.New("sim: association to the MME was lost")

// Released says that the network ended a phone's connection, and its cause.
type Released struct{ Cause s1ap.Cause }

func (r *Released) Error() string { return fmt.Sprintf("sim: released: %v", r.Cause) }

// conn is one phone's connection: RRC on one side, S1 on the other.
type conn struct {
	e      *ENB
	phone  *Phone
	id     id.ENBUEID
	cell   Cell
	stream uint16

	marked chan struct{} // closed by the first end marker
	status chan struct{} // takes a value when a status transfer has come

	mu      sync.Mutex
	mme     *id.MMEUEID
	access  accessKeys        // written before the phone is there, and by answers of the MME
	asking  chan s1ap.Message // who waits for the MME's answer
	leaves  bool              // the phone is being handed over
	ended   bool              // an end marker has come
	bearers []*bearer
	active  time.Time // last user data or signalling
	asked   bool      // a release was asked for
	gone    bool
}

// bearer is an E-RAB: two tunnel endpoints.
type bearer struct {
	ebi     id.EBI
	local   id.TEID
	remote  id.TEID
	gateway netip.AddrPort
}

// connect is RRC connection establishment in a cell with the first NAS message.
func (e *ENB) connect(p *Phone, cell Cell, cause s1ap.RRCEstablishmentCause, tmsi *id.STMSI, nas []byte) error {
	e.mu.Lock()
	if !e.setup {
		e.mu.Unlock()
		return ErrNotReady
	}
	c := &conn{e: e, phone: p, cell: cell, stream: streamUE, active: time.Now()}
	e.number(c)
	e.mu.Unlock()
	p.adopt(c)
	m := &s1ap.InitialUEMessage{ENBUES1APID: s1ap.ENBUES1APID(c.id), NASPDU: nas, TAI: s1ap.FromTAI(cell.TAI), EUTRANCGI: s1ap.FromECGI(cell.ecgi()), RRCEstablishmentCause: cause}
	if tmsi != nil {
		m.STMSI = s1ap.FromSTMSI(*tmsi)
	}
	if err := e.send(c.stream, m); err != nil {
		e.drop(c)
		return err
	}
	return nil
}

// number gives a connection its id and stream. Called with mu held.
func (e *ENB) number(c *conn) {
	for {
		e.nextID = (e.nextID + 1) & 0xffffff
		if e.conns[e.nextID] == nil {
			break
		}
	}
	c.id, c.marked, c.status = e.nextID, make(chan struct{}), make(chan struct{}, 1)
	if e.o.StreamPerUE && e.assoc != nil {
		if out, _ := e.assoc.Streams(); out > 1 {
			c.stream = 1 + uint16(c.id)%(out-1)
		}
	}
	e.conns[c.id] = c
}

// drop lets a connection go on this side of S1 only.
func (e *ENB) drop(c *conn) {
	e.mu.Lock()
	delete(e.conns, c.id)
	e.mu.Unlock()
	c.release(errLost)
}

// pair says whether mme is the connection's MME UE S1AP ID, learning the first.
func (c *conn) pair(mme id.MMEUEID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mme == nil {
		c.mme = &mme
	}
	return *c.mme == mme
}

// named says whether mme is the connection's MME UE S1AP ID.
func (c *conn) named(mme s1ap.MMEUES1APID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mme != nil && *c.mme == id.MMEUEID(mme)
}

func (c *conn) mmeID() id.MMEUEID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mme == nil {
		return 0
	}
	return *c.mme
}

func (c *conn) touch() {
	c.mu.Lock()
	c.active = time.Now()
	c.mu.Unlock()
}

func (c *conn) quiet(now time.Time, limit time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bearers) > 0 && !c.asked && now.Sub(c.active) >= limit
}

// uplinkNAS sends a NAS message over the connection.
func (c *conn) uplinkNAS(nas []byte) error {
	c.touch()
	return c.e.send(c.stream, &s1ap.UplinkNASTransport{MMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id), NASPDU: nas,
		EUTRANCGI: s1ap.FromECGI(c.cell.ecgi()), TAI: s1ap.FromTAI(c.cell.TAI)})
}

// downlinkNAS brings a NAS message to the phone, or back to the MME if the phone is
// being handed over (TS 36.413 §8.6.2.4).
func (c *conn) downlinkNAS(nas []byte) {
	c.touch()
	c.mu.Lock()
	leaves := c.leaves
	c.mu.Unlock()
	if leaves {
		c.e.send(c.stream, &s1ap.NASNonDeliveryIndication{MMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id), NASPDU: nas,
			Cause: s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause()})
		return
	}
	c.phone.receive(c, nas)
}

func (c *conn) requestRelease(cause s1ap.Cause) {
	c.mu.Lock()
	if c.mme == nil || c.gone {
		c.mu.Unlock()
		return
	}
	c.asked = true
	c.mu.Unlock()
	c.e.send(c.stream, &s1ap.UEContextReleaseRequest{MMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id), Cause: cause})
}

// setupContext is Initial Context Setup (TS 36.413 §8.3.1): AS security under
// K_eNB, which must be the phone's too, then the E-RABs, then their NAS.
func (c *conn) setupContext(m *s1ap.InitialContextSetupRequest) {
	c.touch()
	mme, enb := m.MMEUES1APID, m.ENBUES1APID
	if !c.phone.kenbIs(secret.Key256(m.SecurityKey)) {
		c.e.stats.KeyMismatch.Add(1)
		c.e.send(c.stream, &s1ap.InitialContextSetupFailure{MMEUES1APID: mme, ENBUES1APID: enb, Cause: s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause()})
		return
	}
	c.rekeyed(m.SecurityKey, m.UESecurityCapabilities)
	res := &s1ap.InitialContextSetupResponse{MMEUES1APID: mme, ENBUES1APID: enb}
	var nas [][]byte
	for i := range m.ERABToBeSetupListCtxtSUReq {
		r := &m.ERABToBeSetupListCtxtSUReq[i]
		b, err := c.add(r.ERABID, &r.TransportLayerAddress, r.GTPTEID)
		if err != nil {
			res.ERABFailedToSetupListCtxtSURes = append(res.ERABFailedToSetupListCtxtSURes,
				s1ap.ERABItem{ERABID: r.ERABID, Cause: s1ap.CauseTransportTransportResourceUnavailable.Cause()})
			continue
		}
		res.ERABSetupListCtxtSURes = append(res.ERABSetupListCtxtSURes,
			s1ap.ERABSetupItemCtxtSURes{ERABID: r.ERABID, TransportLayerAddress: s1ap.FromAddr(c.e.s1u()), GTPTEID: s1ap.FromTEID(b.local)})
		if r.NASPDU != nil {
			nas = append(nas, r.NASPDU)
		}
	}
	if len(res.ERABSetupListCtxtSURes) == 0 {
		c.e.send(c.stream, &s1ap.InitialContextSetupFailure{MMEUES1APID: mme, ENBUES1APID: enb, Cause: s1ap.CauseTransportTransportResourceUnavailable.Cause()})
		return
	}
	c.e.send(c.stream, res)
	for _, n := range nas {
		c.phone.receive(c, n)
	}
	c.phone.radio(c)
	c.phone.bearersUp(c)
}

// modifyContext is UE Context Modification (TS 36.413 §8.3.4): the phone must know
// a new K_eNB (TS 33.401 §7.2.9.2).
func (c *conn) modifyContext(m *s1ap.UEContextModificationRequest) {
	c.touch()
	if m.SecurityKey != nil && !c.phone.kenbIs(secret.Key256(*m.SecurityKey)) {
		c.e.stats.KeyMismatch.Add(1)
		c.e.send(c.stream, &s1ap.UEContextModificationFailure{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID, Cause: s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause()})
		return
	}
	if m.SecurityKey != nil {
		c.rekeyed(*m.SecurityKey, c.access.has)
	}
	c.e.send(c.stream, &s1ap.UEContextModificationResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID})
}

// rekeyed begins a chain of keys with a K_eNB (TS 33.401 §7.2.8.4.1).
func (c *conn) rekeyed(k s1ap.SecurityKey, has s1ap.UESecurityCapabilities) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access = accessKeys{key: secret.Key256(k), hop: nassec.NextHop{Key: secret.Key256(k)}, has: has}
}

// endMarker says that the gateway sends no more by this eNB.
func (c *conn) endMarker() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.marked)
	}
	c.e.stats.EndMarkers.Add(1)
}

// release ends the connection and tells the phone.
func (c *conn) release(why error) {
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return
	}
	c.gone = true
	if c.asking != nil {
		close(c.asking)
		c.asking = nil
	}
	bearers := c.bearers
	c.bearers = nil
	c.mu.Unlock()
	if c.e.user != nil {
		for _, b := range bearers {
			c.e.user.shut(b)
		}
	}
	c.phone.released(c, why)
}
