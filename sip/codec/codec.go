// Package codec turns speech into octets and back: GSM full rate (TS 46.010),
// which every GSM phone and OpenBTS speak, and G.711, which everything else does.
//
// It is arithmetic alone: no clock, no goroutine, no I/O, and nothing is
// allocated for a frame. It does not know RTP beyond the packing of a frame
// (RFC 3551 §4.5.8), and not when a frame is to be played or has been lost: that
// is its caller's (sip/media).
package codec

// What both codecs share: 8000 samples a second, 20 ms in a frame.
const (
	SampleRate = 8000 // samples a second
	Samples    = 160  // of a frame
	FrameSize  = 33   // octets of a GSM full rate frame as RFC 3551 §4.5.8 packs it
)
