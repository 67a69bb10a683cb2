/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The records that the control plane and the packet programs share, and the
 * maps that hold them. layout.go has the Go side; a test compares the two.
 * Addresses, ports and the peer's TEID are in network order, all else in the
 * machine's. */
#pragma once
#include "kernel.h"

/* How a bearer's packets go; found by the slot in the TEID. */
struct policy {
	u32 teid;    /* 0: the slot is free, or the slow path's */
	u32 session; /* slot of its record */
	u32 flags;
	u32 hop; /* towards the peer */
	u32 ue4; /* 0: none */
	u32 peer_teid;
	u64 ue6;     /* the first half of the phone's /64; 0: none */
	u32 peer[4]; /* IPv4 in the first word */
	u32 epoch;   /* of the session's flows */
	u8 tos;      /* of the outer header */
	u8 spare[3];
	/* Not of the bearer: who has the pool's address of this slot's number, the slot
	 * of his default bearer plus one. It had best be this one. 0: nobody. */
	u32 phone;
	u32 spare2;
};
_Static_assert(sizeof(struct policy) == 64, "policy");

enum { /* policy.flags */
	SLOW_UP = 1,     /* uplink passes to the slow path */
	SLOW_DOWN = 2,   /* downlink does: the phone is idle, or the tunnel changes */
	PEER6 = 4,       /* the peer is IPv6 */
	METERED = 8,     /* the bearer's record has a rate, uplink or downlink */
	CLOSED = 16,     /* downlink only for flows that the phone opened */
	FILTERED = 32,   /* the session's downlink goes by filters */
	OUT_PASS = 64,   /* over quota passes to the slow path, which redirects */
	BEHIND_NAT = 128, /* set here: the tower's port moves, which the slow path follows */
	LOST = 256        /* the tower has forgotten it; SLOW_DOWN until it has another tunnel */
};

/* Rates, the session's and the bearer's records: gateway/datapath/table has the
 * other side; the slow path charges the same memory. A tick is 1/64 ns. */
struct policer {
	u64 tat;
	u64 cost; /* ticks for an octet, shifted by 16; 0: no bound */
};

struct session {
	u64 used, quota;
	u64 threshold, id;
	struct policer up, down;
};
_Static_assert(sizeof(struct session) == 64, "table.SessionSize");

struct bearer {
	u32 teid, session;
	u64 up_octets, up_packets, down_octets, down_packets, lost_octets, lost_packets;
	u64 spare;
	struct policer up, down;
	u64 flow_tat; /* ours: how fast it may open flows */
	u64 spare2[3];
};
_Static_assert(sizeof(struct bearer) == 128, "table.BearerSize");

/* What the fast path has counted; a bearer's count is this and its record. */
struct count {
	u64 up_octets, up_packets, down_octets, down_packets;
};

struct class_counts { /* atomic; of classes 1 to 7 what a bearer's record has of all */
	u64 of[7][6];
};
_Static_assert(sizeof(struct class_counts) == 336, "table.ClassSize");

/* The way to a neighbour, kept by the control plane. Each word changes at
 * once. */
struct hop {
	u32 device; /* index into devices, plus one; 0: not known */
	u32 mtu;
	u64 dmac, smac; /* six octets as they lie in the frame */
	u64 spare;
};

enum { MAX_DEVICES = 8, MAX_NEAR = 16, MAX_FILTERS = 16, MAX_SERVICES = 4, BULK = 16 };

/* Where uplink packets go. near are the destinations for which the default
 * route is not the answer. */
struct routes {
	u32 hop4, hop6; /* of the default route, plus one; 0: ask the kernel */
	u32 near4s, near6s;
	u32 near4[MAX_NEAR][2]; /* network, mask */
	u64 near6[MAX_NEAR][2]; /* the first half of the address */
	u32 ifindex[MAX_DEVICES];
	u64 mac[MAX_DEVICES]; /* frames for others are not ours to forward */
};

struct flow {
	u32 remote[4]; /* IPv4 as ::ffff:a.b.c.d */
	u32 session, epoch; /* of its record, and which of its users */
	u16 remote_port, local_port; /* the machine's order; of an echo 0 and its identifier */
	u8 protocol, family, spare[2];
};
_Static_assert(sizeof(struct flow) == 32, "flow");

struct flow_state {
	u64 last; /* ns, monotonic */
	u32 bits, spare;
};
enum { ANSWERED = 1, CLOSING = 2 };

struct filter { /* TS 24.008 §10.5.6.12, by ascending precedence */
	u32 slot;
	u8 family, protocol, tos, tos_mask; /* family 0: any */
	u16 remote_low, remote_high, local_low, local_high;
	u32 spi, label;
	u32 has;
	u32 remote[4], mask[4];
	u32 spare;
};
_Static_assert(sizeof(struct filter) == 64, "filter");
enum { HAS_PROTOCOL = 1, HAS_PORTS = 2, HAS_SPI = 4, HAS_LABEL = 8 };
enum { NO_BEARER = 0xffffffff };

struct filters {
	u32 n;
	u32 otherwise; /* slot for what no filter takes; NO_BEARER: dropped */
	struct filter filter[MAX_FILTERS];
};

struct remote {
	u32 bits;
	u32 address[4];
};

struct service {
	u16 low, high; /* remote ports; 0 and 0: any packet, ports or none */
	u8 protocol;   /* 0: any */
	u8 class;      /* 0: no such entry */
	u8 free;       /* not charged on the quota */
	u8 spare;
};

struct services {
	struct service service[MAX_SERVICES];
};

/* Why a packet went no further, or went to the slow path. */
enum reason {
	OK,
	UL_MALFORMED,
	UL_SPOOFED,
	UL_NEIGHBOUR,
	UL_NESTED,
	UL_QUOTA,
	UL_RATE,
	UL_FLOWS, /* went, but opened none: too many a second */
	UL_REFUSED, /* by the driver */
	DL_QUOTA,
	DL_RATE,
	DL_UNSOLICITED,
	DL_FILTER,
	DL_TUNNELLED, /* GTP from the packet network */
	DL_REFUSED,
	PASS_UP,
	PASS_DOWN,
	DESYNC,
	REASONS
};

struct stats {
	u64 up, down;
	u64 reason[REASONS];
	u64 sent[MAX_DEVICES], failed[MAX_DEVICES]; /* by devices index, as the driver told */
};

/* What was charged and is not yet in the driver's hands. */
struct charged {
	u32 slot, session;
	u16 octets;
	u8 down, class, free;
	u8 spare[3];
};

struct pending {
	u32 pushed, waiting;
	struct charged charged[2 * BULK];
};

struct event {
	u32 session; /* index */
	u32 kind;
};
enum { EVENT_CROSSED = 1, EVENT_QUOTA = 2 };

struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct policy); of_size(1); of_flags(MMAPABLE); } policies SEC(".maps");
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct session); of_size(1); of_flags(MMAPABLE); } sessions SEC(".maps");
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct bearer); of_size(1); of_flags(MMAPABLE); } bearers SEC(".maps");
/* By session: 1 once it was told that its quota is used up. */
struct { of_type(MAP_ARRAY); of_key(u32); of_value(u64); of_size(1); of_flags(MMAPABLE); } alarms SEC(".maps");
/* Each CPU has its own stretch of slots: no sharing, and read without a call. */
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct count); of_size(1); of_flags(MMAPABLE); } counts SEC(".maps");
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct hop); of_size(1); of_flags(MMAPABLE); } hops SEC(".maps");
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct routes); of_size(1); } routes SEC(".maps");
/* The slot of the default bearer of a phone's address, where policies do not
 * have it. */
struct { of_type(MAP_HASH); of_key(u32); of_value(u32); of_size(1); of_flags(NO_PREALLOC); } ue4s SEC(".maps");
struct { of_type(MAP_HASH); of_key(u64); of_value(u32); of_size(1); of_flags(NO_PREALLOC); } ue6s SEC(".maps");
struct { of_type(MAP_HASH); of_key(u32); of_value(struct filters); of_size(1); of_flags(NO_PREALLOC); } filters SEC(".maps");
struct { of_type(MAP_LRU_HASH); of_key(struct flow); of_value(struct flow_state); of_size(1); } flows SEC(".maps");
struct { of_type(MAP_LPM_TRIE); of_key(struct remote); of_value(struct services); of_size(4096); of_flags(NO_PREALLOC); } services SEC(".maps");
/* By bearer; one entry where no services are counted. */
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct class_counts); of_size(1); of_flags(MMAPABLE); } classes SEC(".maps");
struct { of_type(MAP_DEVMAP); of_key(u32); of_value(u32); of_size(MAX_DEVICES); } devices SEC(".maps");
struct { of_type(MAP_PERCPU_ARRAY); of_key(u32); of_value(struct stats); of_size(1); } stats SEC(".maps");
struct { of_type(MAP_PERCPU_ARRAY); of_key(u32); of_value(struct pending); of_size(MAX_DEVICES); } pendings SEC(".maps");
struct { of_type(MAP_RINGBUF); of_size(1 << 18); } events SEC(".maps");

/* Set when the object is loaded. */
volatile const u32 slots = 1;  /* bearers; each CPU's stretch of counts */
volatile const u32 local4 = 0; /* our end of S1-U */
volatile const u32 local6[4] = {};
volatile const u32 pool4 = 0; /* the first address of the pool, the machine's order */
volatile const u32 pool4s = 0; /* and how many of them policies have */
volatile const u32 netns = 0;        /* its inode: traced redirects of others are not ours */
volatile const u32 has_services = 0;
volatile const u32 has_towers = 0;   /* only a bearer's own peer goes the fast way up */
volatile const u32 neighbours = 0;   /* phones may reach each other */
volatile const u32 slow4 = 0;        /* IPv4 inside is translated: all of it goes the slow way */
volatile const u32 mtu = 0xffff; /* of tunnels: the slow path fragments, or says so */
volatile const u64 report = 1 << 18; /* octets of a session between two reports */
volatile const u64 burst = 50000000ull * 64; /* ticks, table.BurstTicks */
