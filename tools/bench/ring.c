/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the bare ring that contestants written by hand use
 *
 * Same set-up flags as the library's, so that a comparison shows what the library adds and not
 * what another kind of ring costs. The thread that creates the ring is its only user.
 */
#include <errno.h>
#include <string.h>

#include "bench.h"

int bare_ring(struct io_uring *ring, unsigned int entries)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	size_t i;
	int err = -EINVAL;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]) && err == -EINVAL; i++) {
		struct io_uring_params p = {.flags = flags[i]};

		err = io_uring_queue_init_params(entries, ring, &p);
	}
	if (!err)
		io_uring_register_ring_fd(ring); /* saves a file look-up a call; may be refused */
	return err;
}
