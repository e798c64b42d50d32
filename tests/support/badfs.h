/* SPDX-License-Identifier: MIT */
/*
 * badfs - what the file system and its switches share; badfs_switches.c says what each does
 */
#ifndef BATCHPROC_TESTS_BADFS_H
#define BATCHPROC_TESTS_BADFS_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define BADFS_CALLS(X) \
	X(lookup) X(getattr) X(chmod) X(chown) X(truncate) X(utimens) \
	X(readlink) X(mknod) X(mkdir) X(unlink) X(rmdir) X(symlink) \
	X(rename) X(link) X(create) X(open) X(read) X(write) \
	X(flush) X(release) X(fsync) X(opendir) X(readdir) X(fsyncdir) \
	X(statfs) X(setxattr) X(getxattr) X(listxattr) X(removexattr) X(flock) \
	X(poll) X(fallocate) X(copy_file_range) X(lseek)
/* clang-format on */

enum call {
#define CALL_OF(name) CALL_##name,
	BADFS_CALLS(CALL_OF)
#undef CALL_OF
	CALLS
};

enum sizes {
	SIZES_REAL,
	SIZES_ZERO,
	SIZES_HALF,
	SIZES_ROUNDED,
	SIZES_UNKNOWN
};

enum modes {
	MODES_REAL,
	MODES_777,
	MODES_IGNORED
};

/** Each is one word, which any thread may read at any time. */
struct switches {
	enum sizes size;
	enum modes modes;
	bool direct, nonseekable, owners_ignored, poll_never, fold, closed, revive, interrupts,
		mistakes, inodes_change, aliases;
	uint64_t times; /* ns */
	unsigned long names; /* bytes; 0: what the directory below allows */
	double cache; /* seconds */
};

extern struct switches switches;

/**
 * A call begins: it is counted, waits as it was told to, and fails with what this returns (0: it
 * does not). @name and @other may be NULL. @interrupted says whether the caller was interrupted.
 */
int enter(enum call call, const char *name, const char *other, bool (*interrupted)(void *arg),
	  void *arg);
/** Somebody was interrupted. */
void wake_hung(void);
/** Does what a line says. Return: its number, for one that asks for one; 0; -1: no such line. */
long obey(const char *line);

#endif
