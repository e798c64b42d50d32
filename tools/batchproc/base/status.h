/* SPDX-License-Identifier: MIT */
/*
 * status: exit statuses. 128 + N stands for signal N.
 */
#ifndef BATCHPROC_STATUS_H
#define BATCHPROC_STATUS_H

enum {
	EXIT_OK = 0,
	EXIT_SOME_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_HALTED = 3,
	EXIT_DEADLINE = 124,
	EXIT_TROUBLE = 125,
};

#endif
