/* SPDX-License-Identifier: MIT */
/*
 * What ends the sleep of a loop: a descriptor that becomes readable. It is an eventfd, or a pipe
 * where a filter refuses those. Made and taken down by the loop; any thread may call wake_up().
 */
#ifndef BP_WAKE_H
#define BP_WAKE_H

#include "base.h"

struct wake {
	int in; /* what becomes readable; reads of it wait, unless @nonblock was said */
	int out;
};

/** Return: 0 or -errno; @nonblock: reads of it do not wait. */
int wake_init(struct wake *wake, bool nonblock);
void wake_exit(struct wake *wake);
void wake_up(const struct wake *wake);

/** Takes what wake_up() has written; for one with nonblock. */
void wake_drain(const struct wake *wake);

#endif /* BP_WAKE_H */
