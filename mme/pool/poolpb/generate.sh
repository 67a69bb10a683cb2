#!/bin/sh
# Writes *.pb.go from pool.proto. Needs protoc; its plugins are built, in the versions
# below, into a folder that is removed again.
set -eu
command -v protoc >/dev/null || { echo "poolpb: protoc is not installed (Debian: apt-get install protobuf-compiler)" >&2; exit 1; }
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.1
PATH=$bin:$PATH protoc -I . --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative pool.proto
