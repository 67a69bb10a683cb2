/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* From the packet network to a tower. */
#pragma once
#include "uplink.h"

enum {
	HEAD4 = sizeof(struct ip4) + sizeof(struct udp) + sizeof(struct gtp),
	HEAD6 = sizeof(struct ip6) + sizeof(struct udp) + sizeof(struct gtp),
	CHUNK = 512,
};

struct { of_type(MAP_PERCPU_ARRAY); of_key(u32); of_value(u32[CHUNK / 4]); of_size(1); } scratch SEC(".maps");

inline_ u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* payload_sum adds up octets of the frame from offset on, at most 4 CHUNKs. */
inline_ int payload_sum(struct xdp_md *ctx, u32 offset, u32 octets, u32 *sum)
{
	u32 zero = 0;
	u32 *buf = map_lookup(&scratch, &zero);
	if (!buf || octets > 4 * CHUNK)
		return 0;
#pragma clang loop unroll(full)
	for (u32 i = 0; i < 4; i++) {
		if (octets <= i * CHUNK)
			break;
		u32 n = octets - i * CHUNK;
		barrier(n);
		if (n > CHUNK)
			n = CHUNK;
		if (n < 1)
			return 0;
		u32 last = (n - 1) / 4;
		if (last >= CHUNK / 4)
			return 0;
		buf[last] = 0;
		if (xdp_load_bytes(ctx, offset + i * CHUNK, buf, n))
			return 0;
		u32 rounded = (last + 1) * 4;
		barrier(rounded);
		if (rounded > CHUNK)
			return 0;
		*sum = csum_diff(0, 0, buf, rounded, *sum);
	}
	return 1;
}

inline_ void put_gtp(struct udp *u, struct policy *p, u32 octets)
{
	struct gtp *g = (void *)(u + 1);
	u->src = be16(GTPU_PORT);
	u->dst = be16(GTPU_PORT);
	u->length = be16(sizeof(*u) + sizeof(*g) + octets);
	u->checksum = 0;
	g->flags = 0x30;
	g->type = G_PDU;
	g->length = be16(octets);
	g->teid = p->peer_teid;
}

inline_ int wrap4(struct xdp_md *ctx, struct policy *p, struct way *w, u32 octets, u16 id)
{
	struct eth *e = at(ctx, 0, sizeof(*e) + HEAD4);
	if (!e)
		return 0;
	struct ip4 *h = (void *)(e + 1);
	address(e, w, TYPE_IP4);
	h->version_ihl = 0x45;
	h->tos = p->tos;
	h->total = be16(HEAD4 + octets);
	h->id = id; /* may be fragmented on the way */
	h->fragment = 0;
	h->ttl = 64;
	h->protocol = UDP;
	h->checksum = 0;
	h->src = local4;
	h->dst = p->peer[0];
	put_gtp((void *)(h + 1), p, octets);
	u64 sum = 0;
	u16 *v = (u16 *)h;
	for (int i = 0; i < 10; i++)
		sum += v[i];
	h->checksum = fold(sum);
	return 1;
}

/* wrap6 also computes the UDP checksum, which IPv6 wants (RFC 8200 §8.1). */
inline_ int wrap6(struct xdp_md *ctx, struct policy *p, struct way *w, u32 octets)
{
	struct eth *e = at(ctx, 0, sizeof(*e) + HEAD6);
	if (!e)
		return 0;
	struct ip6 *h = (void *)(e + 1);
	struct udp *u = (void *)(h + 1);
	address(e, w, TYPE_IP6);
	h->version_class_flow = be32(0x60000000 | (u32)p->tos << 20);
	h->payload = be16(sizeof(struct udp) + sizeof(struct gtp) + octets);
	h->next = UDP;
	h->hops = 64;
	u64 sum = 0;
	for (int i = 0; i < 4; i++) {
		h->src[i] = local6[i];
		h->dst[i] = p->peer[i];
		sum += (u64)local6[i] + p->peer[i];
	}
	put_gtp(u, p, octets);
	sum += (u64)u->length + be16(UDP);
	u16 *v = (u16 *)u;
	for (u32 i = 0; i < (sizeof(*u) + sizeof(struct gtp)) / 2; i++)
		sum += v[i];
	u32 inner = 0;
	if (!payload_sum(ctx, sizeof(*e) + HEAD6, octets, &inner))
		return 0;
	u = at(ctx, sizeof(*e) + sizeof(*h), sizeof(*u));
	if (!u)
		return 0;
	u16 c = fold(sum + inner);
	u->checksum = c ? c : 0xffff;
	return 1;
}

/* whose gives the slot of the bearer of the phone a packet is for. */
inline_ u32 whose(struct xdp_md *ctx, struct eth *e)
{
	if (e->type == be16(TYPE_IP4)) {
		struct ip4 *h = at(ctx, sizeof(*e), sizeof(*h));
		return h ? phone4(h->dst) : NO_BEARER;
	}
	struct ip6 *h = at(ctx, sizeof(*e), sizeof(*h));
	return h ? phone6(h->dst[0] | (u64)h->dst[1] << 32) : NO_BEARER;
}

static __attribute__((noinline)) int downlink(struct xdp_md *ctx)
{
	u32 zero = 0;
	struct stats *s = my_stats();
	struct routes *r = map_lookup(&routes, &zero);
	struct eth *e = at(ctx, 0, sizeof(*e));
	if (!s || !r || !e || (e->type != be16(TYPE_IP4) && e->type != be16(TYPE_IP6)))
		return XDP_PASS;
	struct packet x = {.at = sizeof(*e)};
	u32 end, slot = whose(ctx, e); /* first: it takes longest */
	if (!ours(r, e) || !read(ctx, &x, 1) || (e->type == be16(TYPE_IP4)) != (x.family == 4))
		return XDP_PASS; /* the kernel drops it */
	if (slot == NO_BEARER) /* GTP comes from towers, not from here */
		return outer(ctx, &end) ? drop(s, DL_TUNNELLED) : XDP_PASS;
	struct policy *p = fetch(slot);
	if (!p || x.ttl <= 1 || x.octets > mtu || (slow4 && x.family == 4))
		return pass(s, 1);
	struct bill b = {.octets = x.octets};
	if (p->flags & (CLOSED | FILTERED) || has_services) {
		if (!read4(ctx, &x, 1))
			return pass(s, 1);
		if (p->flags & CLOSED) {
			if (odd(&x, 1))
				return pass(s, 1);
			if (watch(&x, p, slot, 1) != GO)
				return drop(s, DL_UNSOLICITED);
		}
		if (has_services)
			classify(&x, &b);
		if (p->flags & FILTERED) {
			slot = choose(&x, slot);
			if (slot == NO_BEARER)
				return drop(s, DL_FILTER);
			p = map_lookup(&policies, &slot);
			if (!p)
				return pass(s, 1);
		}
	}
	b.slot = slot;
	if (p->flags & SLOW_DOWN || !p->teid)
		return pass(s, 1);
	struct way w = {};
	int head = p->flags & PEER6 ? HEAD6 : HEAD4;
	if (!by_hop(p->hop, x.octets + head, &w) || (p->flags & PEER6 && x.octets > 4 * CHUNK))
		return pass(s, 1); /* the kernel asks for the neighbour */
	if (adjust_head(ctx, -head))
		return pass(s, 1);
	enum reason why = charge(p, &b, 1);
	if (why == DL_QUOTA && p->flags & OUT_PASS && !adjust_head(ctx, head))
		return pass(s, 1);
	if (why)
		return drop(s, why);
	trim(ctx, sizeof(*e) + head + x.octets);
	void *h = at(ctx, sizeof(*e) + head, sizeof(struct ip4));
	int done = h != 0;
	if (h) {
		older(h, x.family);
		done = p->flags & PEER6 ? wrap6(ctx, p, &w, x.octets) : wrap4(ctx, p, &w, x.octets, s->down + this_cpu() * 0x4000);
	}
	if (!done) {
		refund(p->session, b.free ? 0 : b.octets);
		return drop(s, DL_REFUSED);
	}
	return hand_on(p, &b, w.device, 1, s);
}
