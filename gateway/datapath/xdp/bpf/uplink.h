/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* From a tower to the packet network. */
#pragma once
#include "packet.h"

enum { NOT_MINE = -1 };

/* outer gives the offset of the GTP header, and where the datagram ends; 0 if
 * the frame is not for us, or for the slow path, as one is that ends elsewhere
 * than its headers say. */
inline_ u32 outer(struct xdp_md *ctx, u32 *end)
{
	u64 size = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	u32 octets;
	struct eth *e = at(ctx, 0, sizeof(*e) + sizeof(struct ip4) + sizeof(struct udp));
	if (!e)
		return 0;
	struct udp *u;
	u32 gtp;
	if (e->type == be16(TYPE_IP4)) {
		struct ip4 *h = (void *)(e + 1);
		if (h->version_ihl != 0x45 || h->protocol != UDP || h->dst != local4 || h->fragment & be16(0x3fff))
			return 0;
		u = (void *)(h + 1);
		octets = be16(h->total) - sizeof(*h);
		gtp = sizeof(*e) + sizeof(*h) + sizeof(*u);
	} else {
		struct ip6 *h = at(ctx, sizeof(*e), sizeof(*h) + sizeof(*u));
		if (!h || e->type != be16(TYPE_IP6) || h->next != UDP)
			return 0;
		for (int i = 0; i < 4; i++)
			if (h->dst[i] != local6[i])
				return 0;
		u = (void *)(h + 1);
		octets = be16(h->payload);
		gtp = sizeof(*e) + sizeof(*h) + sizeof(*u);
		if (!u->checksum) /* the kernel drops it (RFC 8200 §8.1) */
			return 0;
	}
	if (be16(u->length) != octets)
		return 0;
	*end = gtp - sizeof(*u) + octets;
	return u->dst == be16(GTPU_PORT) && *end <= size ? gtp : 0;
}

/* inside gives the offset of the T-PDU behind the GTP header's options: the
 * sequence number and up to two extension headers. 0: the slow path answers. */
inline_ u32 inside(struct xdp_md *ctx, u32 gtp, u8 flags)
{
	u32 off = gtp + sizeof(struct gtp);
	if (likely(!(flags & 7)))
		return off;
	u8 *o = at(ctx, off, 4);
	if (!o)
		return 0;
	u8 next = flags & 4 ? o[3] : 0;
	off += 4;
#pragma clang loop unroll(full)
	for (int i = 0; i < 2; i++) {
		if (!next)
			break;
		if (next & 0x80 && next != 0xc0)
			return 0; /* must be understood, and is not (TS 29.281 §5.2.1) */
		u8 *x = at(ctx, off, 1);
		if (!x || !*x)
			return 0;
		u32 n = *x * 4;
		x = at(ctx, off + n - 1, 1);
		if (!x)
			return 0;
		next = *x;
		off += n;
	}
	return next ? 0 : off;
}

/* home: the source is the phone's own. */
inline_ int home(struct xdp_md *ctx, struct packet *x, struct policy *p)
{
	if (x->family == 4) {
		struct ip4 *h = at(ctx, x->at, sizeof(*h));
		return h && p->ue4 && h->src == p->ue4;
	}
	struct ip6 *h = at(ctx, x->at, sizeof(*h));
	return h && p->ue6 && (h->src[0] | (u64)h->src[1] << 32) == p->ue6;
}

/* special: IPv6 that only a router or the link understands. */
inline_ int special(struct xdp_md *ctx, struct packet *x)
{
	if (x->family != 6)
		return 0;
	struct ip6 *h = at(ctx, x->at, sizeof(*h));
	if (!h)
		return 1;
	u8 *src = (u8 *)h->src, *dst = (u8 *)h->dst;
	return dst[0] == 0xff || (src[0] == 0xfe && (src[1] & 0xc0) == 0x80) || (dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80);
}

/* near: the default route is not the answer for this destination. */
inline_ int near(struct routes *r, struct packet *x)
{
	if (x->family == 4) {
		u32 a = x->remote[3];
		for (u32 i = 0; i < MAX_NEAR; i++) {
			if (i >= r->near4s)
				break;
			if ((a & r->near4[i][1]) == r->near4[i][0])
				return 1;
		}
		return 0;
	}
	u64 a = x->remote[0] | (u64)x->remote[1] << 32;
	for (u32 i = 0; i < MAX_NEAR; i++) {
		if (i >= r->near6s)
			break;
		if ((a & r->near6[i][1]) == r->near6[i][0])
			return 1;
	}
	return 0;
}

/* to_itself: a phone's packet for its own address, which the slow path sends back. */
inline_ int to_itself(struct packet *x, struct policy *p)
{
	return x->family == 4 ? x->remote[3] == p->ue4 : (x->remote[0] | (u64)x->remote[1] << 32) == p->ue6;
}

inline_ int neighbour_phone(struct packet *x)
{
	u32 slot = x->family == 4 ? phone4(x->remote[3]) : phone6(x->remote[0] | (u64)x->remote[1] << 32);
	return slot != NO_BEARER;
}

/* ask the kernel for the way. */
inline_ int by_fib(struct xdp_md *ctx, struct routes *r, struct packet *x, struct way *w)
{
	struct fib f = {.ifindex = ctx->ingress_ifindex, .protocol = x->protocol, .total = x->octets};
	if (x->family == 4) {
		struct ip4 *h = at(ctx, x->at, sizeof(*h));
		if (!h)
			return 0;
		f.family = 2;
		f.flow = x->tos;
		f.src[0] = h->src;
		f.dst[0] = h->dst;
	} else {
		struct ip6 *h = at(ctx, x->at, sizeof(*h));
		if (!h)
			return 0;
		f.family = 10;
		f.flow = h->version_class_flow & be32(0x0fffffff);
		for (int i = 0; i < 4; i++) {
			f.src[i] = h->src[i];
			f.dst[i] = h->dst[i];
		}
	}
	if (fib_lookup(ctx, &f, sizeof(f), 0) != FIB_OK)
		return 0;
	w->dmac = mac(f.dmac);
	w->smac = mac(f.smac);
	for (u32 i = 0; i < MAX_DEVICES; i++) {
		if (r->ifindex[i] == f.ifindex) {
			w->device = i;
			return 1;
		}
	}
	return 0; /* not a device on which redirects were proved */
}

/* nested: a phone speaks to GTP-U, or to us: nobody's business in a tunnel. It is
 * no fragment. */
inline_ int nested(struct xdp_md *ctx, struct packet *x)
{
	if (x->protocol == UDP && x->at + x->octets >= x->l4 + 4) {
		u16 *port = at(ctx, x->l4, 4);
		if (port && port[1] == be16(GTPU_PORT))
			return 1;
	}
	if (x->family == 4)
		return x->remote[3] == local4;
	for (int i = 0; i < 4; i++)
		if (x->remote[i] != local6[i])
			return 0;
	return 1;
}

/* lost charges a packet that goes no further. */
inline_ int lost(struct xdp_md *ctx, struct packet *x, struct policy *p, struct bill *b, struct stats *s, enum reason why)
{
	if (has_services) {
		if (!read4(ctx, x, 0))
			return pass(s, 0);
		classify(x, b);
	}
	enum reason refused = charge(p, b, 0);
	if (refused == UL_QUOTA && p->flags & OUT_PASS)
		return pass(s, 0);
	if (refused != UL_QUOTA)
		lose(b->slot, b->class, b->octets);
	return drop(s, refused ? refused : why);
}

/* from_peer: the outer source is the bearer's own tower. */
inline_ int from_peer(struct xdp_md *ctx, struct policy *p)
{
	if (!(p->flags & PEER6)) {
		struct ip4 *h = at(ctx, sizeof(struct eth), sizeof(*h));
		return h && h->src == p->peer[0];
	}
	struct ip6 *h = at(ctx, sizeof(struct eth), sizeof(*h));
	return h && h->src[0] == p->peer[0] && h->src[1] == p->peer[1] && h->src[2] == p->peer[2] && h->src[3] == p->peer[3];
}

static __attribute__((noinline)) int uplink(struct xdp_md *ctx)
{
	u32 zero = 0;
	struct stats *s = my_stats();
	struct routes *r = map_lookup(&routes, &zero);
	u32 last, gtp = outer(ctx, &last);
	if (!gtp || !s || !r)
		return NOT_MINE;
	struct gtp *g = at(ctx, gtp, sizeof(*g));
	if (!g)
		return pass(s, 0);
	u32 teid = be32(g->teid), slot = teid & 0xfffff;
	struct policy *p = fetch(slot); /* first: it takes longest */
	struct eth *e = at(ctx, 0, sizeof(*e));
	if (!p || !e || !ours(r, e) || (g->flags & 0xf0) != 0x30 || g->type != G_PDU)
		return pass(s, 0); /* echo, error indication, end marker */
	u32 end = gtp + sizeof(*g) + be16(g->length);
	if (read_once(p->teid) != teid || !teid || p->flags & SLOW_UP)
		return pass(s, 0);
	struct packet x = {.at = inside(ctx, gtp, g->flags)};
	if (!x.at || end < x.at || end > last || (has_towers && !from_peer(ctx, p)))
		return pass(s, 0);
	if (end == x.at) { /* empty: the tower shows where its NAT has it */
		__sync_fetch_and_or(&p->flags, BEHIND_NAT | SLOW_UP | SLOW_DOWN);
		return pass(s, 0);
	}
	if (!read(ctx, &x, 0) || x.at + x.octets > end)
		return drop(s, UL_MALFORMED);
	if (special(ctx, &x) || x.ttl <= 1 || x.fragment || (slow4 && x.family == 4))
		return pass(s, 0); /* a fragment may hide GTP-U, and where there are flows nobody knows its ports */
	struct bill b = {.slot = slot, .octets = x.octets};
	struct way w = {};
	u32 hop = x.family == 4 ? r->hop4 : r->hop6;
	enum reason bad = !home(ctx, &x, p) ? UL_SPOOFED : nested(ctx, &x) ? UL_NESTED : OK;
	if (!bad && near(r, &x)) {
		if (neighbour_phone(&x)) {
			if (neighbours || to_itself(&x, p))
				return pass(s, 0);
			bad = UL_NEIGHBOUR;
		}
		hop = 0;
	}
	if (bad)
		return lost(ctx, &x, p, &b, s, bad);
	if (!(hop && by_hop(hop - 1, x.octets, &w)) && !by_fib(ctx, r, &x, &w))
		return pass(s, 0);
	if (p->flags & CLOSED || has_services) {
		if (!read4(ctx, &x, 0) || (p->flags & CLOSED && odd(&x, 0)))
			return pass(s, 0);
		if (has_services)
			classify(&x, &b);
	}
	enum reason why = charge(p, &b, 0);
	if (why == UL_QUOTA && p->flags & OUT_PASS)
		return pass(s, 0);
	if (why == UL_RATE)
		lose(slot, b.class, x.octets);
	if (why)
		return drop(s, why);
	if (p->flags & CLOSED && watch(&x, p, slot, 0) == UNOPENED)
		s->reason[UL_FLOWS]++;

	trim(ctx, x.at + x.octets);
	adjust_head(ctx, x.at - sizeof(*e));
	e = at(ctx, 0, sizeof(*e) + sizeof(struct ip4));
	if (!e) { /* cannot be: the packet was there */
		lose(slot, b.class, x.octets);
		return drop(s, UL_MALFORMED);
	}
	address(e, &w, x.family == 4 ? TYPE_IP4 : TYPE_IP6);
	older(e + 1, x.family);
	return hand_on(p, &b, w.device, 0, s);
}
