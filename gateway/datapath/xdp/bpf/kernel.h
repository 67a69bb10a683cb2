/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel promises to BPF programs, as far as this data path uses it.
 * Written here so that the object depends on no installed header: the same
 * source gives the same octets wherever clang-14 is. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define inline_ static __attribute__((always_inline)) inline
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier(x) asm volatile("" : "+r"(x))
#define read_once(x) (*(volatile typeof(x) *)&(x))
#define array_len(a) (sizeof(a) / sizeof((a)[0]))

/* BTF map definitions. */
#define of_type(x) int(*type)[x]
#define of_size(x) int(*max_entries)[x]
#define of_flags(x) int(*map_flags)[x]
#define of_key(t) typeof(t) *key
#define of_value(t) typeof(t) *value

enum {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERCPU_HASH = 5,
	MAP_PERCPU_ARRAY = 6,
	MAP_LRU_HASH = 9,
	MAP_LPM_TRIE = 11,
	MAP_ARRAY_OF_MAPS = 12,
	MAP_DEVMAP = 14,
	MAP_RINGBUF = 27,

	NO_PREALLOC = 1,
	MMAPABLE = 1 << 10,

	FIB_OK = 0,
	FIB_SKIP_NEIGHBOUR = 4,
};

enum action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

/* struct bpf_fib_lookup, all of its 64 octets. */
struct fib {
	u8 family, protocol;
	u16 sport, dport, total;
	u32 ifindex;
	u32 flow; /* IPv4: tos in the first octet; IPv6: flow information */
	u32 src[4], dst[4];
	u16 vlan_proto, vlan;
	u8 smac[6], dmac[6];
};
_Static_assert(sizeof(struct fib) == 64, "struct bpf_fib_lookup");

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const ktime_ns)(void) = (void *)5;
static u32 (*const random_u32)(void) = (void *)7;
static u32 (*const this_cpu)(void) = (void *)8;
static long (*const redirect)(u32 ifindex, u64 flags) = (void *)23;
static s64 (*const csum_diff)(u32 *from, u32 from_size, u32 *to, u32 to_size, u32 seed) = (void *)28;
static long (*const adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static long (*const redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*const adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;
static long (*const fib_lookup)(void *ctx, struct fib *f, int size, u32 flags) = (void *)69;
static void *(*const ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*const ringbuf_discard)(void *data, u64 flags) = (void *)133;
static long (*const xdp_load_bytes)(struct xdp_md *ctx, u32 offset, void *buf, u32 n) = (void *)189;

#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)

struct eth {
	u8 dst[6], src[6];
	u16 type;
};

struct ip4 {
	u8 version_ihl, tos;
	u16 total, id, fragment;
	u8 ttl, protocol;
	u16 checksum;
	u32 src, dst;
};

struct ip6 {
	u32 version_class_flow;
	u16 payload;
	u8 next, hops;
	u32 src[4], dst[4];
};

struct udp {
	u16 src, dst, length, checksum;
};

struct gtp {
	u8 flags, type;
	u16 length;
	u32 teid;
};

enum {
	TYPE_IP4 = 0x0800,
	TYPE_IP6 = 0x86dd,
	ICMP = 1,
	TCP = 6,
	UDP = 17,
	DCCP = 33,
	FRAGMENT6 = 44,
	ESP = 50,
	AH = 51,
	ICMP6 = 58,
	SCTP = 132,
	UDPLITE = 136,
	GTPU_PORT = 2152,
	G_PDU = 255,
};
