/* SPDX-License-Identifier: MIT */
/*
 * names: whether what is there under a name really has another one. Plain calls, any thread.
 */
#ifndef BATCHPROC_NAMES_H
#define BATCHPROC_NAMES_H

#include <stdbool.h>
#include <sys/stat.h>

struct dest;
struct job;

/*
 * Something, which is @st, was found as @name in a directory of the destination. Returns why an
 * item fails where the file system takes two names for one, it is there under another name, and
 * that is the source itself or the copy of another source of this run; else NULL. @source is the
 * source's state, @from the directory that it was found in, or -1.
 */
const char *names_meet(const struct job *job, struct dest *dest, int dirfd, const char *name,
		       const struct stat *st, const struct stat *source, int from);

/*
 * Whether what is @st under a name in the directory @dirfd, which that in @from has not, is there
 * under another name that @from has: where names that differ in case are one.
 */
bool names_copy_of(int dirfd, const char *name, const struct stat *st, int from);

/* Frees what is known of a directory. */
void names_forget(struct dest *dest);

#endif
