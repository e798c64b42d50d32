/* SPDX-License-Identifier: MIT */
/*
 * badmount - mounts badfs, the file system that misbehaves on demand, for a test
 *
 *	make_dir("b"), make_dir("m");
 *	make_file("b/f", "hello\n");
 *	struct badmount *bad = BADMOUNT(t, "b", "m", "size unknown");
 *	... BP("hash", "m/f") ...
 *	badmount_say(bad, "error setxattr %d", ENOSPC);
 *	...
 *	badmount_end(bad);
 *
 * support/badfs_switches.c lists what can be said. The test ends the mount; where it fails before
 * that, the harness does, and the server unmounts by itself when the test program dies. The test is
 * skipped, by name, where such a mount cannot be had. For the main thread.
 *
 * A process that waits for a call that hangs can only be killed once the call is answered: that is
 * why the server ends before the runs of the test are. Use the command, not this process, on what
 * hangs.
 */
#ifndef BATCHPROC_TESTS_BADMOUNT_H
#define BATCHPROC_TESTS_BADMOUNT_H

#include "support/harness.h"

struct badmount;

/** @lines end with NULL. */
struct badmount *badmount_begin(struct test *t, const char *backing, const char *mountpoint,
				const char *const *lines);
#define BADMOUNT(t, backing, mountpoint, ...)                                                      \
	badmount_begin(t, backing, mountpoint, (const char *const[]){__VA_ARGS__, NULL})

/** Says a line, which holds from here on; what it answers, as for "count read". */
unsigned long badmount_say(struct badmount *bad, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** The server dies; the mount stays, and answers ENOTCONN. */
void badmount_die(struct badmount *bad);
/** Unmounts. */
void badmount_end(struct badmount *bad);

#endif
