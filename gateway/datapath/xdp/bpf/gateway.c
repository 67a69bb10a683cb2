/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The fast path of the gateway: GTP-U between towers and the packet network on
 * the kernel's earliest hook. What it does not do itself it passes, untouched,
 * to the kernel, and so to the user-space path on the same socket and TUN
 * device, which charges the same records. */
#include "downlink.h"
#include "trace.h"

/* On the device towards towers. */
SEC("xdp") int towers(struct xdp_md *ctx)
{
	int a = uplink(ctx);
	return a == NOT_MINE ? XDP_PASS : a;
}

/* On the device towards the packet network. */
SEC("xdp") int network(struct xdp_md *ctx)
{
	return downlink(ctx);
}

/* On a device that is both. */
SEC("xdp") int both(struct xdp_md *ctx)
{
	int a = uplink(ctx);
	return a == NOT_MINE ? downlink(ctx) : a;
}

/* Sends the frame it is run with to the device named in its first octet behind
 * the Ethernet header: does the driver take what is redirected to it? */
SEC("xdp") int probe(struct xdp_md *ctx)
{
	u8 *device = at(ctx, sizeof(struct eth), 1);
	struct charged nobody = {.slot = NO_BEARER};
	return device ? leave(&nobody, *device) : XDP_DROP;
}

char terms[] SEC("license") = "Dual MIT/GPL";
