/* SPDX-License-Identifier: MIT */
/*
 * reader: the bytes of a file from front to end, one read at a time, in the way that its device
 * asks for (device.h). The end is where an ordinary read says so, wherever another one could say
 * otherwise; what cannot seek is read from where it stands. A reader belongs to the task that set
 * it up.
 */
#ifndef BATCHPROC_READER_H
#define BATCHPROC_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/device.h"

struct reader {
	int fd;
	enum device_kind kind;
	bool streams; /* it has no position to be read at */
	bool ended;
	uint64_t pos;
	/*
	 * On a trusted device: a read that is short of what was asked for and ends here is the
	 * last.
	 */
	uint64_t size;
};

/* The next bytes, at most INT_MAX: their number, 0 at the end, or -errno. Task only. */
ssize_t reader_next(struct reader *reader, void *buf, size_t len);

/* The same by ordinary calls, for who may wait. Any thread. */
ssize_t reader_next_waiting(struct reader *reader, void *buf, size_t len);

#endif
