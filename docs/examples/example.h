/* SPDX-License-Identifier: MIT */
/*
 * example.h - what the examples share: a check that ends the program, and units of time
 *
 * Each example is a whole program that checks what it claims and exits 0 or 1.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <batchproc.h>

#define MS 1000000ull /* nanoseconds */

#define CHECK(claim)                                                                               \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);        \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* Milliseconds since @start on the engine's clock. */
static inline double ms_since(const struct bp_engine *engine, uint64_t start)
{
	return (double)(bp_now(engine) - start) / (double)MS;
}

#endif /* EXAMPLE_H */
