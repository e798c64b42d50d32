/* SPDX-License-Identifier: MIT */
/*
 * ownfiles: the files that a run writes besides its output: those of --failed-to and --journal.
 * None of them may be what the run reads, makes or removes.
 *
 * What the options say is compared before anything is opened; what a list, a manifest or a walk
 * comes upon is when the item is done. Main thread, but for what is said to be for any.
 */
#ifndef BATCHPROC_OWNFILES_H
#define BATCHPROC_OWNFILES_H

#include <stdbool.h>
#include <sys/stat.h>

struct item;
struct job;
struct options;
struct own_files;

/* ---- before the run. False: *@status is the exit status, and it is said why */

/*
 * They are not one file, none of the lists and arguments, and not what standard output or error is
 * written to, unless that is what --failed-to is called.
 */
bool own_files_check(const struct options *opt, int *status);
/* None of them is @path, which is @what: "the destination". */
bool own_files_apart(const struct options *opt, const char *path, const char *what, int *status);
/* None of them is in the directory @path, or below it, which @what: "is to be removed". */
bool own_files_outside(const struct options *opt, const char *path, const char *what, int *status);

/* The standard descriptor that this is the name of: /dev/stdout and the like; -1: of none. */
int own_file_standard(const char *path);

/* ---- during the run */

enum own_file {
	OWN_FAILED_TO,
	OWN_JOURNAL,
	OWN_FILES,
};

/* None yet: those of a run. Never NULL. */
struct own_files *own_files_new(void);
void own_files_free(struct own_files *own);
/*
 * The mode that a new one is made with, before the umask: nobody else reads what URLs and lines of
 * manifests may have in them, such as passwords.
 */
mode_t own_file_mode(const struct job *job);
/* It is open now, by this name. */
void own_file_opened(struct own_files *own, enum own_file which, int fd, const char *name);

/* Whether a file may be one of them, by the last part of its path; a quick look. Any thread. */
bool own_file_called(const struct own_files *own, const char *path);
/* Why the destination @st must not be replaced; NULL: it is none of them. Any thread. */
const char *own_file_as_destination(const struct own_files *own, const struct stat *st);
/* Likewise, why something must not be removed. Any thread. */
const char *own_file_as_source(const struct own_files *own, const struct stat *st);
/* Why a directory must not be removed with all that is in it; NULL: none of them is. */
const char *own_file_within(const struct own_files *own, const struct stat *dir);
/* Whether the source of an item is one of them; then the item is skipped. Any thread. */
bool own_file_skips(struct item *item, const struct stat *st);

#endif
