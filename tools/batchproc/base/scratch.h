/* SPDX-License-Identifier: MIT */
/*
 * scratch: files without a name, for tables that are too large for memory. Any thread.
 */
#ifndef BATCHPROC_SCRATCH_H
#define BATCHPROC_SCRATCH_H

/*
 * A new one, open for reading and writing: in the directory of the file @beside, or where that
 * takes none, or @beside is NULL, in that for temporary files. Returns its descriptor, or -errno.
 */
int scratch_file(const char *beside);

#endif
