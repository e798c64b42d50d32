/* SPDX-License-Identifier: MIT */
/*
 * paths: names that are longer than the kernel takes in one call. Task only.
 */
#ifndef BATCHPROC_PATHS_H
#define BATCHPROC_PATHS_H

#include <stdint.h>

/*
 * Steps down a path until the rest of it is short enough for one call: @dirfd and @path are
 * changed to a directory and what remains. Returns 0 or -errno; *@opened is a descriptor that the
 * caller closes after use, -1 for none. @resolve is openat2()'s.
 */
int path_shorten(int *dirfd, const char **path, uint64_t resolve, int *opened);

#endif
