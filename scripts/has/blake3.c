/* SPDX-License-Identifier: MIT */
/* libblake3: the C implementation of BLAKE3. */
#include <blake3.h>

int main(void)
{
	blake3_hasher hasher;
	unsigned char out[BLAKE3_OUT_LEN];

	blake3_hasher_init(&hasher);
	blake3_hasher_update(&hasher, "", 0);
	blake3_hasher_finalize(&hasher, out, sizeof(out));
	return out[0] != 0xaf;
}
