// Package corepb is generated from core.proto: the messages and gRPC services
// between roles of the core. Nobody outside wire/ should need it; wire/home,
// wire/usage and wire/link give the same things in their own types.
package corepb

//go:generate sh generate.sh
