// Package dptest is the conformance suite of gateway/datapath: what every back
// end must do with packets, counts, quotas and events. A back end's test hands
// it a way to make rigs. It tests no speed.
package dptest

import (
	"net/netip"
	"testing"
	"time"

	"campanile.network/gateway/datapath"
)

// Config is what a case wants the data path built with, besides the sizes that a
// Rig tells.
type Config struct {
	Services   []datapath.Service
	Neighbours bool // phones reach each other
	Towers     []netip.Prefix
	Portal     []netip.AddrPort // what sessions reach that are redirected
	// PortalClass is the class of service that they get it in.
	PortalClass uint8
	// File has the counts outlive the rig: the next rig with it goes on with them.
	File string
}

// Rig is a data path between towers and a packet network that a test plays. Its
// functions are for several goroutines.
type Rig struct {
	Path datapath.Path
	// Local is the data path's GTP-U address, Local6 the one of IPv6; invalid if it
	// has none.
	Local, Local6 netip.Addr
	// TowerSend has the tower at an address (port 2152) send a datagram.
	TowerSend func(tower netip.Addr, b []byte)
	// TowerGot gives the datagrams that arrived there since it was last asked.
	TowerGot func(tower netip.Addr) [][]byte
	// NetSend injects a packet from the packet network.
	NetSend func(b []byte)
	// NetGot gives the packets the data path handed on since it was last asked.
	NetGot func() [][]byte
	// NetRefuses makes the packet network take nothing, or take packets again; nil
	// where it cannot be made to.
	NetRefuses func(bool)
	// RedirectGot and RedirectSend are as NetGot and NetSend for what answers phones
	// without quota.
	RedirectGot  func() [][]byte
	RedirectSend func(b []byte)
	// Settle waits until all that was sent has been dealt with.
	Settle func()
	// Wait lets time pass.
	Wait func(time.Duration)
	// Virtual says that hours pass as fast as milliseconds.
	Virtual bool
	// Ages says that flows at least grow older so fast when Wait is given minutes.
	Ages bool
	// BufferPackets, ReportOctets and MTU are what the back end was configured with.
	BufferPackets int
	ReportOctets  uint64
	MTU           int
}

// With makes a fresh, served rig, calls body and ends the rig; it may wrap body in
// a synctest bubble. A configuration that the back end cannot have is skipped.
type With func(t *testing.T, c Config, body func(*testing.T, *Rig))

// Addresses that a rig must let TowerSend and TowerGot speak for, the router's, and
// servers in the packet network. Phones are in 10.45.0.0/16 and 2001:db8:45::/48.
var (
	TowerA  = netip.MustParseAddr("192.0.2.1")
	TowerB  = netip.MustParseAddr("192.0.2.2")
	TowerC  = netip.MustParseAddr("2001:db8:b::3") // where the rig has Local6
	Router  = netip.MustParseAddr("10.45.0.1")
	Router6 = netip.MustParseAddr("2001:db8:45::1")
	server  = netip.MustParseAddr("93.184.216.34")
	server6 = netip.MustParseAddr("2001:500:88:200::8")
	ue1     = netip.MustParseAddr("10.45.0.2")
	ue2     = netip.MustParseAddr("10.45.0.3")
	net6    = netip.MustParsePrefix("2001:db8:45:2::/64")
	ue6     = netip.MustParseAddr("2001:db8:45:2:1:2:3:4")
)

// Run runs the suite.
func Run(t *testing.T, with With) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { with(t, c.config, c.body) })
	}
	for _, c := range lives {
		t.Run(c.name, func(t *testing.T) { c.body(t, with) })
	}
}

var lan = Config{Neighbours: true}

var cases = []struct {
	name   string
	config Config
	body   func(*testing.T, *Rig)
}{
	{"CountsAreExact", Config{}, exact},
	{"PaddingIsNeitherChargedNorForwarded", Config{}, padding},
	{"WhatIsNotHandedOnIsNotCharged", Config{}, refused},
	{"QuotaIsNeverOvershot", Config{}, quota},
	{"QuotaIsSharedByBothDirections", Config{}, quotaShared},
	{"ThresholdIsToldOnce", Config{}, threshold},
	{"SpoofedSourceIsDropped", Config{}, spoofed},
	{"UnknownTEIDGetsErrorIndication", Config{}, unknownTEID},
	{"OldGenerationMeansNothing", Config{}, generation},
	{"IdlePhoneIsBufferedAndToldOnce", Config{}, idle},
	{"BufferIsBounded", Config{}, bounded},
	{"DropBufferedForgets", Config{}, dropBuffered},
	{"SuspendedPhoneIsNotTold", Config{}, suspended},
	{"FewPacketsWaitWhereFewAreToWait", Config{}, fewBuffered},
	{"UpdateSplitsTheCount", Config{}, split},
	{"ReplacedTunnelGetsEndMarker", Config{}, endMarker},
	{"RemovalIsFinal", Config{}, removal},
	{"ErrorIndicationMakesIdle", Config{}, errorIndication},
	{"StrangersErrorIndicationDoesNot", Config{}, strangersError},
	{"EchoIsAnswered", Config{}, echo},
	{"OptionalHeadersAreUnderstood", Config{}, headers},
	{"ReportIsDue", Config{}, report},
	{"GarbageDoesNothing", Config{}, garbage},
	{"TakenSlotAndAddressAreRefused", Config{}, taken},
	{"IPv6CountsAreExact", Config{}, exact6},
	{"DualStackHasOneCount", Config{}, dual},
	{"OuterIPv6", Config{}, outer6},
	{"RouterIsAdvertised", Config{}, advertised},
	{"LinkLocalIsNotForwarded", Config{}, linkLocal},
	{"UnsolicitedIsDropped", Config{}, unsolicited},
	{"UnsolicitedIPv6IsDropped", Config{}, unsolicited6},
	{"ErrorsOfOwnFlowsPass", Config{}, flowErrors},
	{"FlowsEnd", Config{}, flowsEnd},
	{"LaterFragmentsFollowTheFirst", Config{}, fragmentsFollow},
	{"UplinkFragmentsPass", Config{}, fragmentsUp},
	{"PhonesAreApart", Config{}, apart},
	{"PhonesReachEachOther", lan, together},
	{"HopsAreCounted", lan, hops},
	{"TooBigIsSaid", Config{}, tooBig},
	{"FiltersChooseTheBearer", Config{}, filters},
	{"SessionIsHeldToItsRate", Config{}, ambr},
	{"BearerIsHeldToItsOwnRate", Config{}, mbr},
	{"ServicesAreCountedApart", priced, services},
	{"SpentSessionIsRedirected", spent, redirected},
	{"UpstreamTunnel", Config{}, upstream},
	{"ForwardedTunnel", Config{}, forwarded},
	{"CaptureShowsWhatIsCharged", Config{}, capture},
	{"TwoSendersOnOneBearer", Config{}, twoSenders},
	{"AThousandBearers", Config{}, thousand},
	{"DeletionUnderLoad", Config{}, deletionUnderLoad},
	{"HandoverUnderLoad", Config{}, handoverUnderLoad},
	{"QuotaUnderLoad", Config{}, quotaUnderLoad},
	{"StrangersAreNotHeard", ours, strangers},
	{"MalformedFlood", Config{}, malformedFlood},
	{"UnknownTEIDFlood", Config{}, teidFlood},
	{"EchoFlood", Config{}, echoFlood},
	{"GTPInGTP", Config{}, gtpInGTP},
	{"FlowFlood", Config{}, flowFlood},
	{"StrangersFlood", ours, strangersFlood},
	{"SpoofedFlood", Config{}, spoofedFlood},
	{"ErrorIndicationFlood", Config{}, errorFlood},
	{"UnsolicitedFlood", Config{}, unsolicitedFlood},
}

// lives are cases of several rigs in turn.
var lives = []struct {
	name string
	body func(*testing.T, With)
}{
	{"RestartGoesOnCounting", restart},
	{"RestartUnderLoad", restartUnderLoad},
}
