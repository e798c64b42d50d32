/* SPDX-License-Identifier: MIT */
/*
 * beside - lines that cp and the command run beside each other
 */
#ifndef BATCHPROC_TESTS_BESIDE_H
#define BATCHPROC_TESTS_BESIDE_H

#include "support/cmd.h"

struct beside {
	const char *before; /* in the tree, before the line is run */
	const char *args;
};

/**
 * Runs each line by cp in one tree, and by the command in another one like it; beside.c says what is
 * in it. Both end alike, and leave the same; with SAME_TIMES in @what the times are the same, too.
 */
void beside_cp(struct test *t, const struct beside *all, size_t count, unsigned int what);

/** What is where in a directory, without its content and times. */
struct run *beside_list(const char *dir);

#endif
