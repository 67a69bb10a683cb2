/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What became of redirected packets. A driver takes them in bulk, after the
 * program is done, and may refuse; the kernel tells of both on tracepoints, on
 * the CPU that ran the program. A packet that was not taken is not charged. */
#pragma once
#include "charge.h"

#define relocated __attribute__((preserve_access_index))
struct ns_common {
	u32 inum;
} relocated;
struct net {
	struct ns_common ns;
} relocated;
typedef struct {
	struct net *net;
} relocated possible_net_t;
struct net_device {
	int ifindex;
	possible_net_t nd_net;
} relocated;

/* device_of gives the index of one of our devices, or MAX_DEVICES. */
inline_ u32 device_of(struct net_device *d)
{
	u32 zero = 0;
	struct routes *r = map_lookup(&routes, &zero);
	if (!r || d->nd_net.net->ns.inum != netns)
		return MAX_DEVICES;
	u32 ifindex = d->ifindex;
	for (u32 i = 0; i < MAX_DEVICES; i++)
		if (r->ifindex[i] == ifindex)
			return i;
	return MAX_DEVICES;
}

inline_ void undo(struct pending *w, u32 at, struct stats *s)
{
	take_back(&w->charged[at & (2 * BULK - 1)], s);
}

/* A bulk went to a driver: sent of it were taken, the last refused were not.
 * A full bulk is flushed by the packet that found it full: that one, charged
 * already, waits for the next. */
SEC("tp_btf/xdp_devmap_xmit") int xmit(u64 *ctx)
{
	struct net_device *to = (void *)ctx[1];
	int sent = (int)ctx[2], refused = (int)ctx[3];
	u32 i = device_of(to);
	struct stats *s = my_stats();
	struct pending *w = map_lookup(&pendings, &i);
	if (i >= MAX_DEVICES || !s || !w || sent < 0 || refused < 0)
		return 0;
	s->sent[i & (MAX_DEVICES - 1)] += sent;
	s->failed[i & (MAX_DEVICES - 1)] += refused;
	u32 total = sent + refused, waiting = w->waiting;
	u32 later = waiting == total + 1 && total == BULK;
	if (waiting != total + later)
		s->reason[DESYNC]++;
	w->waiting = later;
	for (u32 k = 0; k < BULK; k++) {
		if (k >= (u32)refused || k >= waiting)
			break;
		undo(w, w->pushed - 1 - later - k, s);
	}
	return 0;
}

/* A redirect came to nothing before any driver was asked. */
SEC("tp_btf/xdp_redirect_err") int failed(u64 *ctx)
{
	struct net_device *from = (void *)ctx[0];
	u32 i = (u32)ctx[6];
	struct stats *s = my_stats();
	if (device_of(from) >= MAX_DEVICES || i >= MAX_DEVICES || !s)
		return 0;
	struct pending *w = map_lookup(&pendings, &i);
	if (!w)
		return 0;
	s->failed[i & (MAX_DEVICES - 1)]++;
	if (!w->pushed)
		return 0;
	if (w->waiting)
		w->waiting--;
	w->pushed--;
	undo(w, w->pushed, s);
	return 0;
}
