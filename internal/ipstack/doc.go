// Package ipstack runs IP hosts in user space on gVisor's netstack: Host is
// a phone's side of a bearer, Forwarder the packet network behind a gateway
// where there is no root for a TUN device. Both exchange whole IP packets
// through ReadPacket and WritePacket.
//
// It is no router and no NAT for packets: the Forwarder ends every TCP and UDP
// flow and begins another on the machine's own network, so the outside sees
// ordinary connections of this process. It knows nothing of telecom.
package ipstack
