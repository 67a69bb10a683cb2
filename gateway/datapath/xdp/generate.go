package xdp

// The objects are committed, so that building needs no clang. clang-14 gives the
// same octets wherever it runs; TestObjectsAreWhatTheSourceGives looks.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -no-global-types gateway bpf/gateway.c -- -O2 -mcpu=v3 -Wall -Wextra -Wno-unused-function -Werror
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -no-global-types -output-suffix _test bench bpf/bench.c -- -O2 -mcpu=v3 -Wall -Wextra -Wno-unused-function -Werror
