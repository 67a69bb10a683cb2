package gateway_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

var pgwIP = netip.MustParseAddr("127.0.0.31")

// home is a second gateway, the PGW of another operator, with its own packet network.
type home struct {
	gw   *gateway.Gateway
	path *userspace.Path
	port *port
	sink *sink
	stop func()
}

// startHome starts a PGW that the rig's gateway may use.
func (r *rig) startHome(counter uint8, change func(*gateway.Options)) *home {
	h := &home{port: &port{in: make(chan []byte, 1024), closed: make(chan struct{}), out: make(chan []byte, 1024)}, sink: &sink{}}
	var err error
	h.path, err = userspace.New(userspace.Options{Conn: r.listen(pgwIP, 2152), Port: h.port, Logger: quiet})
	r.must(err)
	o := gateway.Options{S11Conn: r.listen(pgwIP, 2123), S1U: pgwIP, Path: h.path, Sink: h.sink, Logger: quiet, RestartCounter: counter,
		MMEs: []netip.Prefix{netip.MustParsePrefix("127.9.9.9/32")}, Gateways: []netip.Prefix{netip.PrefixFrom(gwIP, 32)},
		Networks: []gateway.Network{{IPv4: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/24")}, Open: true, DNS: []netip.Addr{netip.MustParseAddr("9.9.9.9")}}}}
	if change != nil {
		change(&o)
	}
	h.gw, err = gateway.New(o)
	r.must(err)
	path, gw := r.serve(h.path.Serve), r.serve(h.gw.Serve)
	h.stop = func() { gw(); path() }
	return h
}

// roams makes the rig's gateway an SGW whose phones have their PGW at home.
func roams(o *gateway.Options) { o.Networks = []gateway.Network{{PGW: pgwIP}} }

// attachAway is attach of a session whose PGW is elsewhere.
func (r *rig) attachAway(who string, n byte) *s11.Session {
	s := r.attach(who, n)
	synctest.Wait()
	return s
}

// A session goes through SGW and PGW, to the octet at both, and every message of its life
// is one that a stranger reads without a mark.
func TestSessionOverS5(t *testing.T) {
	capture := newPcap()
	hearing(t, roams, func(t *testing.T, r *rig) {
		r.seen = func(from, to netip.AddrPort, b []byte) { capture.add(time.Now(), from, to, b) }
		h := r.startHome(1, nil)
		defer h.stop()
		s := r.attachAway(phone1, 1)
		if s.Address != netip.MustParseAddr("10.99.0.2") || s.SGW.Addr != gwIP || !strings.Contains(string(s.PCO), "\x09\x09\x09\x09") || s.Cause != gtpc.Accepted || s.QoS.QCI != 9 {
			t.Fatalf("%+v", s)
		}
		r.ul(s, 100)
		if p := <-h.port.out; len(p) != 100 {
			t.Errorf("%d octets came to the packet network", len(p))
		}
		h.port.in <- dptest.Packet(webIP, s.Address, 200)
		synctest.Wait()
		if n, teid := r.towerReads(); n != 200 || teid != enb.TEID {
			t.Errorf("tower got %d octets for %v", n, teid)
		}
		sgw, pgw := r.gw.Sessions()[0], h.gw.Sessions()[0]
		if sgw.Count != pgw.Count || sgw.Count.ULOctets != 100 || sgw.Count.DLOctets != 200 || sgw.PGW != pgwIP || pgw.SGW != gwIP || !sgw.Settled || pgw.Settled {
			t.Errorf("SGW %+v\nPGW %+v", sgw, pgw)
		}

		ebi, err := h.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: voice, Filters: web})
		r.must(err)
		h.port.in <- dptest.Packet(webIP, s.Address, 300)
		synctest.Wait()
		if n, teid := r.towerReads(); n != 300 || teid != dedicatedENB.TEID {
			t.Errorf("tower got %d octets for %v over the dedicated bearer", n, teid)
		}
		r.ul(&s11.Session{Address: s.Address, SGW: r.orders[0].Bearers[0].SGW}, 150)
		if p := <-h.port.out; len(p) != 150 {
			t.Errorf("%d octets came to the packet network", len(p))
		}
		r.must(h.gw.UpdateBearer(t.Context(), s.IMSI, ebi, &gtpc.QoS{ARP: voice.ARP, QCI: 1, MBRUL: 99 * id.Kbps, MBRDL: 99 * id.Kbps, GBRUL: 9 * id.Kbps, GBRDL: 9 * id.Kbps}, nil, nil))
		if q := r.gw.Sessions()[0].Bearers[1].QoS; q.MBRDL != 99*id.Kbps {
			t.Errorf("%+v", q)
		}
		r.must(r.mme.Release(t.Context(), s))
		h.port.in <- dptest.Packet(webIP, s.Address, 33)
		synctest.Wait()
		if len(r.pages) != 1 {
			t.Errorf("%d notifications", len(r.pages))
		}
		r.must(r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Dedicated: []s11.Tunnel{{EBI: ebi, ENB: dedicatedENB}}, Segment: r.segment(1, 2)}))
		r.towerReads()
		r.must(h.gw.DeleteBearer(t.Context(), s.IMSI, ebi, 0))
		r.suspend(s, gtpc.SuspendNotification)
		r.suspend(s, gtpc.ResumeNotification)
		r.suspend(s, gtpc.ChangeNotificationRequest) // no news
		for range 3 {
			r.ask(gtpc.New(gtpc.ChangeNotificationRequest, s.State().Remote, gtpc.ULI(id.TAI{PLMN: plmn(t), TAC: 7}, id.ECGI{PLMN: plmn(t), ECI: 0x19b02})))
			r.ask(gtpc.New(gtpc.ModifyBearerRequest, s.State().Remote, gtpc.ULI(id.TAI{PLMN: plmn(t), TAC: 8}, id.ECGI{PLMN: plmn(t), ECI: 0x19c01}), ie.New(ie.RATType, 0, []byte{gtpc.RATEUTRAN})))
			r.ask(gtpc.New(gtpc.ModifyBearerRequest, s.State().Remote, gtpc.ULI(id.TAI{PLMN: plmn(t), TAC: 8}, id.ECGI{PLMN: plmn(t), ECI: 0x19c01})))
		}
		time.Sleep(62 * time.Second) // echoes
		r.must(r.mme.Delete(t.Context(), s))
		time.Sleep(2 * time.Second)
		for _, st := range []gateway.Stats{r.gw.Stats(), h.gw.Stats()} {
			if st.Sessions != 0 || st.UEs != 0 || st.Leases != 0 || st.Path.Bearers != 0 || st.Path.Sessions != 0 || len(st.Refused) != 0 {
				t.Errorf("%+v", st)
			}
		}
		if a, b := octets(r.sink), octets(h.sink); a != b || a != 100+200+300+150+33 {
			t.Errorf("SGW reported %d octets, PGW %d", a, b)
		}
	})
	if out := capture.tshark(t, "-Y", "_ws.malformed || _ws.expert.severity >= 4194304", "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message"); out != "" {
		t.Errorf("tshark marks:\n%s", out)
	}
	types := capture.tshark(t, "-Y", "gtpv2 && ip.addr == 127.0.0.31", "-T", "fields", "-e", "gtpv2.message_type")
	got := strings.Join(strings.Fields(types), " ")
	for _, want := range []string{"32 33", "95 96", "97 98", "99 100", "162 163", "164 165", "38 39", "1 2", "36 37"} {
		if !strings.Contains(got, want) {
			t.Errorf("on S5: %q lacks %s", got, want)
		}
	}
	if n := strings.Count(" "+got, " 38 39") + strings.Count(" "+got, " 34 35"); n != 6 {
		t.Errorf("the PGW was told %d times where the phone is, want 6: %s", n, got)
	}
	s5 := capture.tshark(t, "-Y", "gtpv2.message_type == 33 && ip.src == 127.0.0.31", "-T", "fields", "-e", "gtpv2.f_teid_interface_type")
	if strings.TrimSpace(s5) != "7,5" {
		t.Errorf("F-TEIDs in the PGW's answer are of interface types %q, want S5/S8 PGW control and user", s5)
	}
}

// suspend sends a notification as the MME, and waits for what it leads to.
func (r *rig) suspend(s *s11.Session, t gtpc.Type) { r.ask(gtpc.New(t, s.State().Remote)) }

// ask sends a message as the MME, and waits for what it leads to.
func (r *rig) ask(m *gtpc.Message) {
	r.asked++
	m.Seq = 0x700000 + r.asked
	b, err := m.Marshal()
	r.must(err)
	r.mmeConn.WriteToUDPAddrPort(b, r.gw.S11Addr())
	synctest.Wait()
}

// What a phone asks of its bearers goes to its PGW, and the PGW's refusal back.
func TestCommandsOverS5(t *testing.T) {
	hearing(t, roams, func(t *testing.T, r *rig) {
		h := r.startHome(1, func(o *gateway.Options) { o.Policy.Asked = []id.QCI{8} })
		defer h.stop()
		s := r.attachAway(phone1, 1)
		create := eps.TFT{Operation: eps.TFTCreate, Filters: web}
		r.must(r.mme.Resources(t.Context(), s, s11.ResourceRequest{PTI: 9, QoS: &plain, TAD: create}))
		synctest.Wait()
		if len(r.orders) != 1 || r.orders[0].PTI != 9 || h.gw.Stats().Dedicated != 1 || r.gw.Stats().Dedicated != 1 {
			t.Fatalf("%+v; %d and %d dedicated bearers", r.orders, r.gw.Stats().Dedicated, h.gw.Stats().Dedicated)
		}
		refusedWith(t, r.mme.Resources(t.Context(), s, s11.ResourceRequest{PTI: 10, QoS: &gtpc.QoS{QCI: 7}, TAD: create}), gtpc.ServiceDenied)
		r.must(r.mme.Drop(t.Context(), s, []id.EBI{6}))
		time.Sleep(2 * time.Second)
		if h.gw.Stats().Dedicated != 0 || r.gw.Stats().Dedicated != 0 {
			t.Errorf("%d and %d dedicated bearers", r.gw.Stats().Dedicated, h.gw.Stats().Dedicated)
		}
		r.bearerCause = gtpc.UERefuses
		_, err := h.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: s.IMSI, QoS: plain, Filters: web})
		refusedWith(t, err, gtpc.UERefuses)
	})
}

// A PGW that does not answer, refuses, or has restarted; and one that is none.
func TestPGWThatIsNotThere(t *testing.T) {
	hearing(t, roams, func(t *testing.T, r *rig) {
		q := request(t, phone1, r.ticket(1, 1<<30))
		_, err := r.mme.Create(t.Context(), q)
		if err == nil {
			t.Fatal("a session without a PGW")
		}
		if st := r.gw.Stats(); st.Sessions != 0 || st.UEs != 0 {
			t.Errorf("%+v", st)
		}
		h := r.startHome(1, nil)
		q.PDNType = gtpc.PDNIPv6
		_, err = r.mme.Create(t.Context(), q)
		refusedWith(t, err, gtpc.PDNTypeNotSupported)
		s := r.attachAway(phone1, 1)
		r.ul(s, 100)
		h.stop()
		h = r.startHome(2, nil)
		defer h.stop()
		two, err := r.mme.Create(t.Context(), request(t, phone2, r.ticket(2, 1<<30)))
		r.must(err)
		time.Sleep(time.Second)
		if st := r.gw.Stats(); st.Sessions != 1 || len(r.orders) != 1 || r.orders[0].Linked != 5 || r.orders[0].Session != s {
			t.Errorf("%d sessions after the PGW's restart, MME asked %+v", st.Sessions, r.orders)
		}
		r.must(r.mme.Delete(t.Context(), two))
	})
}

// A PGW serves those that it knows, and lets them speak of their own phones.
func TestStrangersOnS5(t *testing.T) {
	hearing(t, roams, func(t *testing.T, r *rig) {
		h := r.startHome(1, func(o *gateway.Options) {
			o.Gateways = []netip.Prefix{netip.MustParsePrefix("127.8.8.8/32")}
			o.MMEs = append(o.MMEs, netip.PrefixFrom(gwIP, 32)) // heard, and no gateway
		})
		_, err := r.mme.Create(t.Context(), request(t, phone1, r.ticket(1, 1<<30)))
		refusedWith(t, err, gtpc.RequestRejected)
		h.stop()
		time.Sleep(time.Minute)
		h = r.startHome(2, nil)
		defer h.stop()
		s := r.attachAway(phone1, 1)
		local := h.gw.Sessions()[0]
		for _, m := range []*gtpc.Message{
			gtpc.New(gtpc.DeleteBearerRequest, id.TEID(s.State().Remote)+1, gtpc.EBI(5)),
			gtpc.New(gtpc.DeleteBearerRequest, s.State().Remote, gtpc.EBI(5)),
		} {
			m.Seq = 77
			b, err := m.Marshal()
			r.must(err)
			r.mmeConn.WriteToUDPAddrPort(b, r.gw.S11Addr())
		}
		synctest.Wait()
		if r.gw.Stats().Sessions != 1 || h.gw.Sessions()[0].Number != local.Number {
			t.Errorf("%+v", r.gw.Stats())
		}
	})
}

// TS 23.401 §5.3.3.1: an MME that has moved a phone to another SGW deletes its session at this
// one, without the operation indication: the PGW is not told, and keeps it.
func TestSourceOfARelocationKeepsQuiet(t *testing.T) {
	hearing(t, roams, func(t *testing.T, r *rig) {
		h := r.startHome(1, nil)
		defer h.stop()
		s := r.attachAway(phone1, 1)
		r.ul(s, 100)
		r.ask(gtpc.New(gtpc.DeleteSessionRequest, s.State().Remote, gtpc.EBI(5)))
		time.Sleep(2 * time.Second)
		if here, there := r.gw.Stats().Sessions, h.gw.Stats().Sessions; here != 0 || there != 1 || octets(r.sink) != 100 {
			t.Errorf("%d sessions at the SGW, %d at the PGW; %d octets told", here, there, octets(r.sink))
		}
	})
}
