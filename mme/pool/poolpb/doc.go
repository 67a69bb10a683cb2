// Package poolpb is the gRPC service of package pool, as pool.proto has it. It is
// generated but for this file, and decides nothing.
package poolpb

//go:generate sh generate.sh
