/* SPDX-License-Identifier: MIT */
/*
 * deny - system calls that a seccomp filter refuses, for this process and its children from here on
 *
 *	static const struct denied none[] = {DENY(SYS_openat2, ENOSYS), DENY_END};
 *	run = RUN(HOW(.denied = none), "hash", "f");
 *
 * A program is filtered from its start, so also where it is loaded; with HOW(.denied_late = none)
 * only from its main() on. A filter cannot be taken back.
 */
#ifndef BATCHPROC_TESTS_DENY_H
#define BATCHPROC_TESTS_DENY_H

#include <stdint.h>

/** One call that is refused; a list of them ends with one that has no err. */
struct denied {
	long call;
	int err; /* DENY_KILLS: whoever calls is ended at once, as kill -9 would */
	enum {
		DENY_ALWAYS,
		DENY_EQUAL, /* where argument @arg (from 0) is @value, as far as 32 bits tell */
		DENY_ANY_BIT, /* where it has a bit of @value */
	} when;
	unsigned int arg;
	uint32_t value;
};

/* clang-format off */
#define DENY(call_, err_) {.call = (call_), .err = (err_)}
#define DENY_END {.err = 0}
/* clang-format on */

enum {
	DENY_KILLS = -1,
	DENY_MAX = 16 /* in a list */
};

/** Return: 0; -errno: there is no such filter here. */
int deny_calls(const struct denied *denied);

/** The kernel refuses io_uring with this error, as a container's usual profile does. */
int refuse_uring(int err);
/** The system call with this number ends the process at once, as kill -9 would. */
int die_at(long call);

#endif
