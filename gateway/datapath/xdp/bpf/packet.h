/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reading and changing what phones send and get: the inner packet, its flow,
 * its service, the way it takes. */
#pragma once
#include "charge.h"

struct packet {
	u32 at;     /* offset of the IP header in the frame */
	u32 octets; /* of the whole packet, by its own header */
	u32 l4;     /* offset of what follows the IP header */
	u8 family, protocol, tos, ttl;
	u8 fragment; /* or an IPv6 extension header: no ports to be seen */
	u8 flags;    /* TCP */
	u8 kind;     /* ICMP */
	u8 ports;    /* has some */
	u32 label, spi;
	u16 remote_port, local_port; /* the machine's order */
	u32 remote[4];               /* IPv4 as ::ffff:a.b.c.d */
};

inline_ void *at(struct xdp_md *ctx, u32 offset, u32 size)
{
	void *p = (void *)(long)ctx->data + (offset & 0xfff);
	return p + size > (void *)(long)ctx->data_end ? 0 : p;
}

/* read takes in the IP header at x->at; 0 if there is no whole packet. */
inline_ int read(struct xdp_md *ctx, struct packet *x, int down)
{
	u64 room = (void *)(long)ctx->data_end - (void *)(long)ctx->data - x->at;
	u8 *first = at(ctx, x->at, 1);
	if (!first)
		return 0;
	if (*first >> 4 == 4) {
		struct ip4 *h = at(ctx, x->at, sizeof(*h));
		if (!h)
			return 0;
		u32 head = (h->version_ihl & 15) * 4;
		x->family = 4;
		x->octets = be16(h->total);
		x->tos = h->tos;
		x->ttl = h->ttl;
		x->protocol = h->protocol;
		x->fragment = (h->fragment & be16(0x3fff)) != 0;
		x->l4 = x->at + head;
		x->remote[2] = be32(0xffff);
		x->remote[3] = down ? h->src : h->dst;
		return head >= sizeof(*h) && x->octets >= head && x->octets <= room;
	}
	struct ip6 *h = at(ctx, x->at, sizeof(*h));
	if (!h || *first >> 4 != 6)
		return 0;
	u32 word = be32(h->version_class_flow);
	x->family = 6;
	x->octets = be16(h->payload) + sizeof(*h);
	x->tos = word >> 20;
	x->label = word & 0xfffff;
	x->ttl = h->hops;
	x->protocol = h->next;
	x->fragment = h->next == 0 || h->next == 43 || h->next == FRAGMENT6 || h->next == AH || h->next == 60 || h->next == 135;
	x->l4 = x->at + sizeof(*h);
	for (int i = 0; i < 4; i++)
		x->remote[i] = down ? h->src[i] : h->dst[i];
	return x->octets <= room && (h->payload || h->next); /* no jumbogram */
}

/* read4 takes in what follows the IP header; 0: only the slow path can say. */
inline_ int read4(struct xdp_md *ctx, struct packet *x, int down)
{
	if (x->fragment)
		return 0;
	u32 room = x->at + x->octets - x->l4;
	switch (x->protocol) {
	case TCP:
	case UDP:
	case DCCP:
	case SCTP:
	case UDPLITE: {
		u16 *p = at(ctx, x->l4, 4);
		if (!p || room < 8)
			return 0;
		x->ports = 1;
		x->remote_port = be16(down ? p[0] : p[1]);
		x->local_port = be16(down ? p[1] : p[0]);
		if (x->protocol == TCP) {
			u8 *f = at(ctx, x->l4 + 13, 1);
			if (!f || room < 20)
				return 0;
			x->flags = *f;
		}
		return 1;
	}
	case ICMP:
	case ICMP6: {
		u8 *p = at(ctx, x->l4, 8);
		if (!p || room < 8)
			return 0;
		x->kind = p[0];
		x->local_port = (u16)p[4] << 8 | p[5];
		return 1;
	}
	case ESP: {
		u32 *p = at(ctx, x->l4, 4);
		if (!p || room < 4)
			return 0;
		x->spi = be32(*p);
		return 1;
	}
	case AH:
		return 0;
	}
	return 1;
}

inline_ u64 lifetime(u8 protocol, u32 bits)
{
	const u64 s = 1000000000ull;
	switch (protocol) {
	case TCP: /* RFC 5382 §5 */
		return (bits & (ANSWERED | CLOSING)) == ANSWERED ? 7440 * s : 240 * s;
	case UDP: /* RFC 4787 §4.3 */
	case UDPLITE:
		return 300 * s;
	case ICMP: /* RFC 5508 §3.2 */
	case ICMP6:
		return 60 * s;
	}
	return 600 * s;
}

inline_ u64 since(struct flow_state *st, u64 now)
{
	u64 last = read_once(st->last);
	return now > last ? now - last : 0; /* another CPU is a little ahead */
}

inline_ void refresh(struct flow_state *st, u64 now, u32 bits)
{
	if (since(st, now) > 1000000000ull)
		st->last = now;
	if ((st->bits & bits) != bits)
		st->bits |= bits;
}

enum verdict { GO, STOP, UNOPENED };

/* odd: of ICMP only echoes are flows; errors quote a packet of one, and the rest
 * is rare. read4 was done. */
inline_ int odd(struct packet *x, int down)
{
	return (x->protocol == ICMP && x->kind != (down ? 0 : 8)) || (x->protocol == ICMP6 && x->kind != (down ? 129 : 128));
}

/* watch opens flows uplink and asks for them downlink. read4 was done, and it is
 * not odd. */
inline_ enum verdict watch(struct packet *x, struct policy *p, u32 slot, int down)
{
	struct flow key = {.session = p->session, .epoch = p->epoch, .protocol = x->protocol, .family = x->family};
	for (int i = 0; i < 4; i++)
		key.remote[i] = x->remote[i];
	key.remote_port = x->remote_port;
	key.local_port = x->local_port;
	u64 now = ktime_ns();
	u32 bits = x->protocol == TCP && x->flags & (1 | 4) /* FIN, RST */ ? CLOSING : 0;
	struct flow_state *st = map_lookup(&flows, &key);
	if (st && since(st, now) > lifetime(x->protocol, st->bits)) {
		if (down)
			return STOP;
		st->bits = 0;
	}
	if (down) {
		if (!st)
			return STOP;
		refresh(st, now, bits | ANSWERED);
		return GO;
	}
	if (st) {
		refresh(st, now, bits);
		return GO;
	}
	struct bearer *r = map_lookup(&bearers, &slot);
	const u64 ms = 1000000ull * 64;
	if (!r || !conform(&r->flow_tat, 5 * ms, 10000 * ms, now * 64))
		return UNOPENED; /* 200 a second, 2000 at once */
	struct flow_state fresh = {.last = now, .bits = bits};
	map_update(&flows, &key, &fresh, 0);
	return GO;
}

/* classify finds the service a packet belongs to. read4 was done. */
inline_ void classify(struct packet *x, struct bill *b)
{
	struct remote key = {.bits = 128};
	for (int i = 0; i < 4; i++)
		key.address[i] = x->remote[i];
	struct services *s = map_lookup(&services, &key);
	if (!s)
		return;
#pragma clang loop unroll(full)
	for (int i = 0; i < MAX_SERVICES; i++) {
		struct service *v = &s->service[i];
		int any = !v->low && !v->high;
		if (v->class && (!v->protocol || v->protocol == x->protocol) && (any || (x->ports && x->remote_port >= v->low && x->remote_port <= v->high))) {
			b->class = v->class & 7;
			b->free = v->free;
			return;
		}
	}
}

inline_ int takes(struct filter *f, struct packet *x)
{
	if (f->family && f->family != x->family)
		return 0;
	if (f->has & HAS_PROTOCOL && f->protocol != x->protocol)
		return 0;
	if ((x->tos & f->tos_mask) != (f->tos & f->tos_mask))
		return 0;
	if (f->has & HAS_PORTS && !x->ports)
		return 0;
	if (f->has & HAS_PORTS && (x->remote_port < f->remote_low || x->remote_port > f->remote_high))
		return 0;
	if (f->has & HAS_PORTS && (x->local_port < f->local_low || x->local_port > f->local_high))
		return 0;
	if (f->has & HAS_SPI && f->spi != x->spi)
		return 0;
	if (f->has & HAS_LABEL && f->label != x->label)
		return 0;
	for (int i = 0; i < 4; i++)
		if ((x->remote[i] & f->mask[i]) != f->remote[i])
			return 0;
	return 1;
}

/* choose gives the bearer for a downlink packet of a session that has several.
 * Ports are those of TCP and UDP (TS 24.008 §10.5.6.12). */
inline_ u32 choose(struct packet *x, u32 slot)
{
	struct filters *f = map_lookup(&filters, &slot);
	if (!f)
		return slot;
	for (u32 i = 0; i < MAX_FILTERS; i++) {
		if (i >= f->n)
			break;
		if (takes(&f->filter[i], x))
			return f->filter[i].slot;
	}
	return f->otherwise;
}

/* phone gives the slot of the default bearer of who has an address, else
 * NO_BEARER. */
inline_ u32 phone4(u32 address)
{
	u32 i = be32(address) - pool4;
	if (likely(i < pool4s)) {
		struct policy *p = fetch(i); /* his own, with luck */
		return p ? read_once(p->phone) - 1 : NO_BEARER;
	}
	u32 *slot = map_lookup(&ue4s, &address);
	return slot ? *slot : NO_BEARER;
}

inline_ u32 phone6(u64 prefix)
{
	u32 *slot = map_lookup(&ue6s, &prefix);
	return slot ? *slot : NO_BEARER;
}

/* The way out: a device that redirects were proved on, and Ethernet addresses. */
struct way {
	u32 device;
	u64 dmac, smac;
};

inline_ int by_hop(u32 hop, u32 octets, struct way *w)
{
	struct hop *h = map_lookup(&hops, &hop);
	if (!h)
		return 0;
	u32 device = read_once(h->device);
	if (!device || octets > h->mtu)
		return 0;
	w->device = device - 1;
	w->dmac = read_once(h->dmac);
	w->smac = read_once(h->smac);
	return 1;
}

inline_ u64 mac(const void *m)
{
	const u16 *p = m;
	return p[0] | (u64)p[1] << 16 | (u64)p[2] << 32;
}

inline_ void address(struct eth *e, struct way *w, u16 type)
{
	u16 *p = (u16 *)e;
	p[0] = w->dmac;
	p[1] = w->dmac >> 16;
	p[2] = w->dmac >> 32;
	p[3] = w->smac;
	p[4] = w->smac >> 16;
	p[5] = w->smac >> 32;
	p[6] = be16(type);
}

inline_ int ours(struct routes *r, struct eth *e)
{
	u64 m = mac(e->dst);
	for (int i = 0; i < MAX_DEVICES; i++)
		if (r->mac[i] == m)
			return 1;
	return 0;
}

/* older takes one from the time to live. */
inline_ void older(void *h, int family)
{
	if (family == 6) {
		((struct ip6 *)h)->hops--;
		return;
	}
	struct ip4 *v4 = h;
	u32 c = (u32)v4->checksum + be16(0x0100);
	v4->checksum = c + (c >> 16);
	v4->ttl--;
}

/* trim cuts Ethernet padding off a frame that should end at end. */
inline_ void trim(struct xdp_md *ctx, u32 end)
{
	u64 size = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	if (size > end)
		adjust_tail(ctx, end - (int)size);
}
