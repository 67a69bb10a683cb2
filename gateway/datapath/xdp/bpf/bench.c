/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* For the benchmark: a source of packets that is a program run over and over on
 * live frames, and what counts them at the other end. */
#include "kernel.h"

volatile const u32 ifindex = 0;  /* to send from */
volatile const u32 bearers = 1;  /* to send for, from slot 0 of generation 1 on */
volatile const u32 shuffled = 0; /* which one is random, else in turn */
volatile const u32 pool = 0;     /* first phone's address, the machine's order */

struct { of_type(MAP_ARRAY); of_key(u32); of_value(u64[4]); of_size(1); of_flags(MMAPABLE); } tally SEC(".maps");

/* The head of the frame: whoever had the page before has written over it. */
struct head {
	u64 word[9];
};
struct { of_type(MAP_ARRAY); of_key(u32); of_value(struct head); of_size(1); } head SEC(".maps");

inline_ int renew(void *data, void *end)
{
	u32 zero = 0;
	struct head *h = map_lookup(&head, &zero), *to = data;
	if (!h || (void *)(to + 1) > end)
		return 0;
	*to = *h;
	return 1;
}

inline_ u32 turn(void)
{
	u32 zero = 0;
	u64 *t = map_lookup(&tally, &zero);
	if (shuffled)
		return random_u32() % bearers;
	return t ? t[0]++ % bearers : 0;
}

inline_ void sign(struct ip4 *h)
{
	u64 sum = 0;
	u16 *v = (u16 *)h;
	h->checksum = 0;
	for (int i = 0; i < 10; i++)
		sum += v[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	h->checksum = ~sum;
}

/* A frame with a G-PDU: from the phone of its bearer. */
SEC("xdp") int up(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct gtp *g = data + sizeof(struct eth) + sizeof(struct ip4) + sizeof(struct udp);
	struct ip4 *inner = (void *)(g + 1);
	if ((void *)(inner + 1) > end || !renew(data, end))
		return XDP_DROP;
	u32 i = turn();
	g->teid = be32(1 << 20 | i);
	inner->src = be32(pool + i);
	sign(inner);
	return redirect(ifindex, 0);
}

/* A frame with a packet for a phone. */
SEC("xdp") int down(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ip4 *h = data + sizeof(struct eth);
	if ((void *)(h + 1) > end || !renew(data, end))
		return XDP_DROP;
	h->dst = be32(pool + turn());
	sign(h);
	return redirect(ifindex, 0);
}

inline_ void count(u32 octets)
{
	u32 zero = 0;
	u64 *t = map_lookup(&tally, &zero);
	if (t) {
		__sync_fetch_and_add(&t[1], 1);
		__sync_fetch_and_add(&t[2], (u64)octets);
	}
}

SEC("xdp") int sink(struct xdp_md *ctx)
{
	u64 n = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	if (n > 500)
		count(n);
	return XDP_DROP;
}

struct sk_buff_head {
	u32 len;
};

SEC("tcx/ingress") int sink_skb(struct sk_buff_head *skb)
{
	if (skb->len <= 500)
		return 0; /* neighbours' business */
	count(skb->len);
	return 2; /* TC_ACT_SHOT */
}

/* Nothing: a device with it takes redirected frames. */
SEC("xdp") int nothing(struct xdp_md *ctx)
{
	return ctx->data ? XDP_PASS : XDP_DROP;
}

char terms[] SEC("license") = "Dual MIT/GPL";
