/* SPDX-License-Identifier: MIT */
/*
 * blake2b: BLAKE2b of any length (RFC 7693), without a key. OpenSSL has the one of 512 bits alone
 * before 3.2, and a shorter one is no part of a longer one. A state belongs to one thread.
 */
#ifndef BATCHPROC_BLAKE2B_H
#define BATCHPROC_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE2B_BLOCK 128u

struct blake2b {
	uint64_t h[8];
	uint64_t counted[2]; /* bytes that went in, 128 bits */
	size_t size; /* of the result */
	size_t held; /* bytes in block */
	unsigned char block[BLAKE2B_BLOCK];
};

/* @size is 1 to 64 bytes. */
void blake2b_begin(struct blake2b *state, size_t size);
void blake2b_update(struct blake2b *state, const void *data, size_t len);
void blake2b_finish(struct blake2b *state, unsigned char *result);

#endif
