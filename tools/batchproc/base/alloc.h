/* SPDX-License-Identifier: MIT */
/*
 * alloc: memory that is there, or ends the program with status 125 after a message: no caller could
 * do anything better. Any thread.
 */
#ifndef BATCHPROC_ALLOC_H
#define BATCHPROC_ALLOC_H

#include <stddef.h>

void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
void *xaligned(size_t align, size_t size);
char *xstrdup(const char *text);

/* The same end, for memory that somebody else was to get. */
_Noreturn void out_of_memory(void);

#endif
