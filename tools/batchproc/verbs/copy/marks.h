/* SPDX-License-Identifier: MIT */
/*
 * marks: the modes by which a later run knows what was never finished. Plain calls, any thread.
 */
#ifndef BATCHPROC_MARKS_H
#define BATCHPROC_MARKS_H

#include <stdbool.h>
#include <sys/stat.h>

/* Of a file until it is whole. Not 0, which some give their secrets. */
#define MARK_FILE S_ISVTX
#define MARK_FILE_FUSE (S_ISVTX | S_IRUSR | S_IWUSR)
/*
 * Of a directory until all in it is done: with a bit that means nothing on one, so that no user has
 * chosen it. mkdir() leaves that out: until it is set there is another mode that nobody chooses, by
 * which it can be opened.
 */
#define MARK_DIRECTORY (S_ISUID | S_ISVTX | S_IRWXU)
#define MARK_DIRECTORY_MADE (S_ISVTX | S_IRUSR)

/* Instead of a file's mark: it is not known yet; or modes are not kept here. */
#define MARK_UNKNOWN 0u
#define MARK_NONE 07777u

bool mark_is_file(const struct stat *st);
/*
 * In a directory, where FUSE alone has a mark of its own: elsewhere a user may have given that
 * mode.
 */
bool mark_is_file_in(int dirfd, const struct stat *st);
bool mark_is_directory(const struct stat *st);

/* Which mark files in a directory have, where that can be found out before anything is made. */
mode_t mark_ask(int dirfd);
/*
 * The same, by what was just made and has the mode that it is to have: it is marked now, or nothing
 * in its directory can be.
 */
mode_t mark_try(int fd);

#endif
