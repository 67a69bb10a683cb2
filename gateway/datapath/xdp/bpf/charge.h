/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* May this packet go, and who pays: rates, quota, counters, refunds. */
#pragma once
#include "records.h"

inline_ struct stats *my_stats(void)
{
	u32 zero = 0;
	return map_lookup(&stats, &zero);
}

inline_ int drop(struct stats *s, enum reason why)
{
	s->reason[why]++;
	return XDP_DROP;
}

inline_ int pass(struct stats *s, int down)
{
	s->reason[down ? PASS_DOWN : PASS_UP]++;
	return XDP_PASS;
}

/* Generic cell rate algorithm: tat is the time at which the packets so far
 * would have gone at exactly the rate. Who is no further ahead of it than
 * tolerated may go, and moves it by step. */
inline_ int conform(u64 *tat, u64 step, u64 tolerated, u64 now)
{
#pragma clang loop unroll(full)
	for (int i = 0; i < 8; i++) { /* others on this session are few */
		u64 old = read_once(*tat), from = old > now ? old : now;
		if (from - now > tolerated)
			return 0;
		if (__sync_val_compare_and_swap(tat, old, from + step) == old)
			return 1;
	}
	return 0;
}

inline_ u64 ticks(void)
{
	return ktime_ns() * 64;
}

/* An event is told once: by the CPU that changes the word which says so. No
 * room: the next packet tries again. */
inline_ void tell(u32 session, u32 kind, u64 *told)
{
	struct event *e = ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return;
	e->session = session;
	e->kind = kind;
	if (told && __sync_val_compare_and_swap(told, 0, 1) != 0)
		ringbuf_discard(e, 0);
	else
		ringbuf_submit(e, 0);
}

struct bill {
	u32 slot, octets;
	u8 class, free;
};

/* afford takes octets from the session's quota. */
inline_ int afford(struct session *s, u32 index, u32 octets)
{
	u64 used = __sync_fetch_and_add(&s->used, (u64)octets) + octets;
	if (unlikely(used > read_once(s->quota))) {
		__sync_fetch_and_add(&s->used, -(u64)octets);
		u64 *told = map_lookup(&alarms, &index);
		if (told && !read_once(*told))
			tell(index, EVENT_QUOTA, told);
		return 0;
	}
	u64 limit = read_once(s->threshold);
	if (unlikely(used % report < octets || (used >= limit && used - octets < limit)))
		tell(index, EVENT_CROSSED, 0);
	return 1;
}

/* charge takes octets from quota and rate: a bearer's own rate, or the
 * session's. Downlink the rate comes first, and has back what it gave when the
 * quota refuses. Uplink the quota does, for what is over the rate has crossed the
 * tower, which has counted it: UL_RATE is charged, and lost. */
inline_ enum reason charge(struct policy *p, struct bill *b, int down)
{
	u32 index = p->session, slot = b->slot;
	struct session *s = map_lookup(&sessions, &index);
	if (!s || (!down && !b->free && !afford(s, index, b->octets)))
		return down ? DL_QUOTA : UL_QUOTA;
	struct policer *rate = down ? &s->down : &s->up;
	if (p->flags & METERED) {
		struct bearer *r = map_lookup(&bearers, &slot);
		if (r && (down ? r->down.cost : r->up.cost))
			rate = down ? &r->down : &r->up;
	}
	u64 step = 0;
	if (rate->cost) {
		step = b->octets * rate->cost >> 16;
		if (!conform(&rate->tat, step, burst, ticks()))
			return down ? DL_RATE : UL_RATE;
	}
	if (down && !b->free && !afford(s, index, b->octets)) {
		if (step)
			__sync_fetch_and_add(&rate->tat, -step);
		return DL_QUOTA;
	}
	return OK;
}

/* fetch gives a slot's policy, and has the memory that charging will want come
 * while that is read: of three misses that nothing else makes wait for each other,
 * the packet waits for one. A session's record is most often at the slot of its
 * default bearer. */
inline_ struct policy *fetch(u32 slot)
{
	u32 key = this_cpu() * slots + slot;
	struct session *s = map_lookup(&sessions, &slot);
	struct count *c = map_lookup(&counts, &key);
	if (s)
		(void)read_once(s->used);
	if (c)
		(void)read_once(c->up_octets);
	return map_lookup(&policies, &slot);
}

/* refund gives back what charge took from the quota. */
inline_ void refund(u32 session, u32 octets)
{
	struct session *s = map_lookup(&sessions, &session);
	if (s)
		__sync_fetch_and_add(&s->used, -(u64)octets);
}

/* add_class counts in a service's counters, the what-th and the next. */
inline_ void add_class(u32 slot, u32 class, u32 what, u64 octets, u64 packets)
{
	if (likely(!class))
		return;
	struct class_counts *k = map_lookup(&classes, &slot);
	u32 i = class - 1;
	if (!k || i >= array_len(k->of))
		return;
	u64 *v = &k->of[i][what];
	__sync_fetch_and_add(v, octets);
	__sync_fetch_and_add(v + 1, packets);
}

/* lose counts an uplink packet that went no further. The tower has brought it,
 * so it is charged. */
inline_ void lose(u32 slot, u8 class, u32 octets)
{
	struct bearer *r = map_lookup(&bearers, &slot);
	if (r) {
		__sync_fetch_and_add(&r->lost_octets, (u64)octets);
		__sync_fetch_and_add(&r->lost_packets, 1);
	}
	add_class(slot, class, 4, octets, 1);
}

/* add counts on this CPU, where nobody else writes; classes are shared. */
inline_ void add(u32 slot, u8 class, u64 octets, u64 packets, int down)
{
	if (slot >= slots)
		return;
	u32 key = this_cpu() * slots + slot;
	struct count *c = map_lookup(&counts, &key);
	if (!c)
		return;
	if (down) {
		c->down_octets += octets;
		c->down_packets += packets;
	} else {
		c->up_octets += octets;
		c->up_packets += packets;
	}
	add_class(slot, class, down ? 2 : 0, octets, packets);
}

/* take_back undoes what a packet counts: it was not handed on. Uplink it is
 * lost, and stays charged. */
inline_ void take_back(struct charged *c, struct stats *s)
{
	if (c->slot == NO_BEARER)
		return;
	add(c->slot, c->class, -(u64)c->octets, -1ull, c->down);
	if (!c->down) {
		lose(c->slot, c->class, c->octets);
		s->up--;
		s->reason[UL_REFUSED]++;
		return;
	}
	if (!c->free)
		refund(c->session, c->octets);
	s->down--;
	s->reason[DL_REFUSED]++;
}

/* leave hands the frame to a device, and remembers it until the driver has
 * taken it. */
inline_ int leave(struct charged *what, u32 device)
{
	struct pending *w = map_lookup(&pendings, &device);
	if (w) {
		w->charged[w->pushed & (2 * BULK - 1)] = *what;
		w->pushed++;
		w->waiting++;
	}
	return redirect_map(&devices, device, 0);
}

/* hand_on is the last step: the packet counts. */
inline_ int hand_on(struct policy *p, struct bill *b, u32 device, int down, struct stats *s)
{
	add(b->slot, b->class, b->octets, 1, down);
	if (down)
		s->down++;
	else
		s->up++;
	struct charged c = {.slot = b->slot, .session = p->session, .octets = b->octets, .down = down, .class = b->class, .free = b->free};
	return leave(&c, device);
}
