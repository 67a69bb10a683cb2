// Package sipgw is where GSM cells and SIP apps meet this network: a registrar
// for the SIP that OpenBTS and YateBTS speak, for SIP apps with a password and
// for IMS phones with a SIM, and the door of their short messages and USSD.
//
// A phone is registered when its home has said so: the gateway asks it for a
// challenge (wire/home), hands that on in the dialect its peer understands and
// brings the answer back. It never knows a key, an expected response or a
// password. What a base station says about a phone counts only if the station is
// one of the configured ones; everybody else proves each request.
//
// Calls are not here: requests of calls go to Options.Calls, which finds out
// through the Gateway who is calling and where the called phone is. Short
// messages are kept and repeated by a message centre behind Messages; the
// gateway only carries them. It speaks SIP through wire/sip/txn and opens no
// socket itself.
package sipgw
