/* SPDX-License-Identifier: MIT */
/*
 * blake2b: BLAKE2b of any length (RFC 7693). See blake2b.h. A state belongs to one thread.
 */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "digest/blake2b.h"

static const uint64_t iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const unsigned char sigma[10][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint64_t rotate(uint64_t x, unsigned int bits)
{
	return x >> bits | x << (64 - bits);
}

static inline void mix(uint64_t *v, unsigned int a, unsigned int b, unsigned int c, unsigned int d,
		       uint64_t x, uint64_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 24);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 63);
}

static void compress(struct blake2b *state, const unsigned char *block, size_t len, bool last)
{
	uint64_t v[16], m[16];

	state->counted[0] += len;
	state->counted[1] += state->counted[0] < len;
	memcpy(m, block, sizeof(m));
	for (int i = 0; i < 16; i++)
		m[i] = le64toh(m[i]);
	memcpy(v, state->h, sizeof(state->h));
	memcpy(v + 8, iv, sizeof(iv));
	v[12] ^= state->counted[0];
	v[13] ^= state->counted[1];
	if (last)
		v[14] = ~v[14];
	for (int round = 0; round < 12; round++) {
		const unsigned char *s = sigma[round % 10];

		mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
		mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
		mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
		mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
		mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
		mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
		mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
		mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (int i = 0; i < 8; i++)
		state->h[i] ^= v[i] ^ v[i + 8];
}

void blake2b_begin(struct blake2b *state, size_t size)
{
	memcpy(state->h, iv, sizeof(iv));
	state->h[0] ^= 0x01010000u ^ size;
	state->counted[0] = 0;
	state->counted[1] = 0;
	state->size = size;
	state->held = 0;
}

/* The last block is marked as such, so that one is held back until more comes. */
void blake2b_update(struct blake2b *state, const void *data, size_t len)
{
	const unsigned char *at = data;
	size_t room = BLAKE2B_BLOCK - state->held;

	if (len > room) {
		memcpy(state->block + state->held, at, room);
		compress(state, state->block, BLAKE2B_BLOCK, false);
		state->held = 0;
		at += room;
		len -= room;
		for (; len > BLAKE2B_BLOCK; at += BLAKE2B_BLOCK, len -= BLAKE2B_BLOCK)
			compress(state, at, BLAKE2B_BLOCK, false);
	}
	memcpy(state->block + state->held, at, len);
	state->held += len;
}

void blake2b_finish(struct blake2b *state, unsigned char *result)
{
	uint64_t bytes[8];

	memset(state->block + state->held, 0, BLAKE2B_BLOCK - state->held);
	compress(state, state->block, state->held, true);
	for (int i = 0; i < 8; i++)
		bytes[i] = htole64(state->h[i]);
	memcpy(result, bytes, state->size);
}
