/* SPDX-License-Identifier: MIT */
/*
 * attributes: extended attributes and ACLs. Plain calls, any thread.
 */
#ifndef BATCHPROC_ATTRIBUTES_H
#define BATCHPROC_ATTRIBUTES_H

#include <stdbool.h>
#include <sys/stat.h>

struct at_name;
struct copy_lost;
struct copy_settings;

/*
 * Which attributes of something its copy gets; which of a file that is replaced the new one keeps.
 */
typedef bool (*attributes_choice)(const struct copy_settings *set, const char *name);

bool attributes_wanted(const struct copy_settings *set, const char *name);
bool attributes_stay(const struct copy_settings *set, const char *name);

struct attributes_copy {
	const struct copy_settings *set;
	attributes_choice choose;
	int from, to; /* either may be open with O_PATH: then it has a name too */
	const struct at_name *from_at, *to_at; /* or NULL */
	bool is_file; /* a regular one, to be written by its owner before attributes can be */
	bool inherited; /* @to may have an ACL from the directory that it is in, or to be inherited */
	struct copy_lost *lost;
};

/*
 * Copies those that are chosen, each by itself: what cannot be kept is noted as lost. Without its
 * ACL the rights of the group in *@mode are those that the ACL gave the group.
 */
void attributes_copy(const struct attributes_copy *a, mode_t *mode);
/* Whether something has any that its copy is to get. */
bool attributes_any_wanted(const struct copy_settings *set, int fd);
/* Whether what is made in the directory inherits an ACL. */
bool attributes_inherit(int fd);

/*
 * A file that may be open with O_PATH, open for reading where it could not be asked otherwise; -1:
 * it can, or could not be opened.
 */
int attributes_open(const struct at_name *at, int fd);

/* chmod() of what is open with O_PATH, and no symbolic link. Returns 0 or -errno. */
int attributes_chmod(int fd, mode_t mode);

#endif
