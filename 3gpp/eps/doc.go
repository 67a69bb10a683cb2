// Package eps has the NAS messages of TS 24.301 (Release 17), EMM and ESM:
// octets in, typed values out, and back.
//
// Parse and Append work on plain messages; Protected takes the envelope of a
// security protected message apart and puts it together. Every message is a
// struct written by go generate from the spec's own tables (messages.md), and
// one engine walks those tables to parse, append and show; what is done with
// missing, unknown, repeated and broken elements is decided there, once.
//
// The package knows no keys, ciphers, counts, timers or procedures: whether a
// MAC is right, a message fits the state, or which cause answers it beyond
// the syntax is for its users. It checks all lengths, never panics on any
// input and takes no more memory than eight times what it reads and 4 KiB.
package eps

//go:generate go run ./internal/gen
