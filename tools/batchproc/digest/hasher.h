/* SPDX-License-Identifier: MIT */
/*
 * hasher: a buffer and a digest state, kept for the next file. A task takes one and gives it back;
 * they are kept in a list for each thread: a task stays on its loop, so that no lock is needed, and
 * the one used last is used first. What a thread has when it ends is for those that come later.
 * They belong to the process, and are never freed: any number of runs may use them at once.
 */
#ifndef BATCHPROC_HASHER_H
#define BATCHPROC_HASHER_H

#define HASHER_BYTES 131072u

struct digest;

struct hasher {
	struct hasher *next;
	struct digest *digest;
	unsigned char *memory;
	unsigned char *buffer; /* HASHER_BYTES, within memory */
};

struct hasher *hasher_get(void);
void hasher_put(struct hasher *hasher);

#endif
