/* SPDX-License-Identifier: MIT */
/*
 * pool.h - threads that work off a stack of units, for the peers pool-hash and pool-tree
 *
 * A unit may push others. Under one lock stand the stack and the count of unfinished units; the
 * last one that ends ends the pool.
 */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>

struct unit {
	struct unit *next;
};

void pool_push(struct unit *u);

/* The next unit after @done was finished; NULL when nothing is left and nothing can come. */
struct unit *pool_pop(bool done);

/* Runs @work in so many threads, to their end. It pops until there is nothing. */
void pool_run(unsigned int threads, void *(*work)(void *arg));

/*
 * -t THREADS, before the other arguments. Return: how many threads; 0: that was no number of them.
 */
unsigned int pool_threads(int argc, char **argv);

/* Ends the program where memory is short. */
void *must(void *p);

/* Says what went wrong with a file; the exit status is 1 then. */
void complain(const char *path, const char *name, int err);
bool complained(void);

#endif /* POOL_H */
