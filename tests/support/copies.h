/* SPDX-License-Identifier: MIT */
/*
 * copies - what the tests of copy share: trees that are compared, file systems of one's own
 */
#ifndef BATCHPROC_TESTS_COPIES_H
#define BATCHPROC_TESTS_COPIES_H

#include "support/cmd.h"

/* What has to be the same beside names, types, modes, links and content. */
#define SAME_TIMES 1u
#define SAME_LINKS 2u /* which names are one file */

/** Both trees are the same; otherwise it is a failure that shows where they differ. */
#define expect_same_trees(a, b, what) expect_same_trees_(a, b, what, __FILE__, __LINE__)
bool expect_same_trees_(const char *a, const char *b, unsigned int what, const char *file,
			int line);

/** A script for sh, which has to succeed; $1 ... are the arguments. */
#define run_sh(script, ...) run_sh_(SH(script, ##__VA_ARGS__), script)
void run_sh_(const struct run *run, const char *script);

/**
 * Mounts a file system at @dir, which it makes; @script does it. Skips the test where that cannot
 * be. Nobody else sees it, and it is gone when the program ends.
 */
void mount_at(struct test *t, const char *dir, const char *script);
void unmount(const char *dir);

#endif
