/* SPDX-License-Identifier: MIT */
/* libxxhash 0.8: the first whose XXH3 and XXH128 digests are final. */
#include <xxhash.h>

int main(void)
{
	XXH3_state_t *state = XXH3_createState();

	return XXH3_128bits_reset(state) != XXH_OK || XXH3_64bits_reset(state) != XXH_OK;
}
