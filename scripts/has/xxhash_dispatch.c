/* SPDX-License-Identifier: MIT */
/* XXH3 in an xxHash that looks at the processor. */
#include <xxhash.h>

#include <xxh_x86dispatch.h>

int main(void)
{
	return XXH3_64bits("", 0) == XXH3_128bits("", 0).low64;
}
