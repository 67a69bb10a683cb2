// Package sdp reads and writes session descriptions (RFC 8866, and RFC 4566,
// which phones still write) and does what RFC 3264 says of offers and answers
// for media over RTP: Offer makes one, Answer answers one, Accept reads the
// answer to ours. They say for each line of media which codecs both sides
// have, and the payload types of each way: they may differ.
//
// A description is lines in a fixed order. Those that calls need are fields;
// attributes are kept in order, known or not. Sizes and counts are bounded.
//
// It is not an RTP stack, chooses no ports and makes no keys, and knows no ICE,
// DTLS or multicast beyond keeping their attributes.
package sdp
