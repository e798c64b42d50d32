/* SPDX-License-Identifier: MIT */
/*
 * meta: mode, owner, times and extended attributes, in the order in which one does not undo
 * the other: a new owner takes set-user-ID and capabilities away, attributes need write permission,
 * an ACL and the mode are two views of one thing. The mode is last, since it is what tells a later
 * run that all the rest is done.
 *
 * What cannot be kept because the user is not root is not an error: cp -a has it so. All else that
 * was to be kept is noted as lost, one by one, also where the file system says that it took it and
 * did not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verbs/copy/attributes.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/lost.h"
#include "base/alloc.h"

#define SPECIAL_BITS (S_ISUID | S_ISGID)

mode_t current_umask(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned int mask = 0;
	char line[256];
	bool found = false;

	/* umask() would change it for a moment, for all threads. */
	while (status && !found && fgets(line, sizeof(line), status))
		found = sscanf(line, "Umask: %o", &mask) == 1;
	if (status)
		fclose(status);
	if (!found) {
		mask = umask(022);
		umask(mask);
	}
	return mask;
}

mode_t meta_mode(const struct copy_settings *set, const struct stat *st, const struct stat *old)
{
	if (set->keep_mode)
		return st->st_mode & 07777;
	/*
	 * A write takes set-user-ID off an existing file, but for root; a new one does not get it.
	 */
	if (old)
		return old->st_mode & (geteuid() ? 01777 : 07777);
	return meta_source_mode(set, st) & 0777 & ~set->umask;
}

/* What only root may give is left out for others. */
static bool may_be_missed(int err)
{
	return geteuid() && (err == EPERM || err == EINVAL || err == EACCES);
}

/* What a server accepts it need not keep. */
static bool has_mode(int fd, mode_t mode)
{
	struct stat now;

	return !fstat(fd, &now) && (now.st_mode & 07777) == (mode & 07777);
}

static void keep_owner(const struct meta *m, mode_t *mode)
{
	const struct stat *st = m->st;
	struct stat now;
	int err = 0;

	if (fchown(m->to, st->st_uid, st->st_gid)) {
		err = errno;
		/* The group alone may be one's own. */
		(void)!fchown(m->to, (uid_t)-1, st->st_gid);
	}
	if (!fstat(m->to, &now) && now.st_uid == st->st_uid && now.st_gid == st->st_gid)
		return;
	/* What would be somebody else's rights must not become one's own. */
	if (*mode != (mode_t)-1)
		*mode &= ~(mode_t)SPECIAL_BITS;
	if (!may_be_missed(err))
		lost_add(m->lost, err ? -err : -EPERM, "owner");
}

static void times_of(const struct stat *st, struct timespec times[2])
{
	times[0] = st->st_atim;
	times[1] = st->st_mtim;
}

/*
 * The mode of what was marked has to be taken off it; where none can be set it has been made with
 * one, and only who is to keep the source's is told that this is another.
 */
static int set_mode(const struct meta *m, mode_t mode)
{
	int err = fchmod(m->to, mode & 07777) ? -errno : 0;

	if (m->marked)
		return err;
	if (!m->set->keep_mode)
		return 0;
	if (!err && !has_mode(m->to, mode))
		err = -EOPNOTSUPP;
	if (err)
		lost_add(m->lost, err, "mode");
	return 0;
}

int meta_set(const struct meta *m, mode_t mode)
{
	struct timespec times[2];

	times_of(m->st, times);
	if (m->set->keep_times && futimens(m->to, times))
		lost_add(m->lost, -errno, "times");
	if (m->set->keep_owner)
		keep_owner(m, &mode);
	if ((m->set->keep_mode || m->set->keep_xattrs) && (!m->bare || m->inherits))
		attributes_copy(
			&(struct attributes_copy){
				.set = m->set,
				.choose = attributes_wanted,
				.from = m->from,
				.to = m->to,
				.is_file = S_ISREG(m->st->st_mode),
				.inherited = m->inherits,
				.lost = m->lost,
			},
			&mode);
	return mode == (mode_t)-1 ? 0 : set_mode(m, mode);
}

void meta_set_above(const struct copy_settings *set, const char *path, int to)
{
	struct timespec times[2];
	size_t len = strlen(path);
	char above[PATH_MAX];
	struct stat st;

	while (len && path[len - 1] == '/')
		len--;
	while (len && path[len - 1] != '/')
		len--;
	if (!set->keep_times || len >= sizeof(above))
		return;
	memcpy(above, path, len);
	above[len] = '\0';
	if (stat(len ? above : ".", &st))
		return;
	times_of(&st, times);
	/* It is not what was to be copied: as good as can be. */
	futimens(to, times);
}

/* The owner and the group of what is replaced, or the group alone. */
static void stay_owned(const struct stat *old, int to, mode_t *mode)
{
	struct stat st;

	if (fstat(to, &st) || (st.st_uid == old->st_uid && st.st_gid == old->st_gid))
		return;
	if (!fchown(to, old->st_uid, old->st_gid) && !fstat(to, &st) && st.st_uid == old->st_uid &&
	    st.st_gid == old->st_gid)
		return;
	*mode &= ~(mode_t)SPECIAL_BITS;
	if (st.st_gid == old->st_gid || !fchown(to, (uid_t)-1, old->st_gid))
		return;
	/* The rights of one group are not another's, unless they are everybody's. */
	*mode &= ~(mode_t)S_IRWXG | (*mode & S_IRWXO) << 3;
}

void meta_keep(const struct meta *m, int old_fd, const struct at_name *at, const struct stat *old,
	       mode_t *mode)
{
	int opened;

	if (!m->set->keep_owner)
		stay_owned(old, m->to, mode);
	if (m->set->keep_xattrs)
		return;
	opened = attributes_open(at, old_fd);
	attributes_copy(
		&(struct attributes_copy){
			.set = m->set,
			.choose = attributes_stay,
			.from = opened >= 0 ? opened : old_fd,
			.from_at = at,
			.to = m->to,
			.is_file = S_ISREG(old->st_mode),
			.inherited = m->inherits,
			.lost = m->lost,
		},
		mode);
	if (opened >= 0)
		close(opened);
}

static void set_special_mode(const struct meta *m, const struct at_name *to, mode_t mode)
{
	int err = attributes_chmod(m->to, mode);

	/* Without /proc, and before Linux 6.6. */
	if ((err == -ENOSYS || err == -ENOENT) && !fchmodat(to->dirfd, to->name, mode, 0))
		err = 0;
	if (!err && !has_mode(m->to, mode))
		err = -EOPNOTSUPP;
	if (err)
		lost_add(m->lost, err, "mode");
}

static void keep_owner_special(const struct meta *m, mode_t *mode)
{
	const struct stat *st = m->st;
	struct stat now;
	int err = 0;

	if (fchownat(m->to, "", st->st_uid, st->st_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		err = errno;
	if (!fstat(m->to, &now) && now.st_uid == st->st_uid && now.st_gid == st->st_gid)
		return;
	*mode &= ~(mode_t)SPECIAL_BITS;
	if (!may_be_missed(err))
		lost_add(m->lost, err ? -err : -EPERM, "owner");
}

void meta_set_special(const struct meta *m, const struct at_name *to)
{
	const struct copy_settings *set = m->set;
	const struct stat *st = m->st;
	const bool is_link = S_ISLNK(st->st_mode);
	mode_t mode = st->st_mode & 07777;
	struct timespec times[2];

	if (set->keep_owner)
		keep_owner_special(m, &mode);
	if (set->keep_xattrs)
		attributes_copy(
			&(struct attributes_copy){
				.set = set,
				.choose = attributes_wanted,
				.from = m->from,
				.from_at = m->from_at,
				.to = m->to,
				.to_at = to,
				.lost = m->lost,
			},
			&mode);
	if (!set->keep_mode)
		mode = meta_mode(set, st, NULL);
	if (!is_link)
		set_special_mode(m, to, mode);
	times_of(st, times);
	if (set->keep_times && utimensat(to->dirfd, to->name, times, AT_SYMLINK_NOFOLLOW))
		lost_add(m->lost, -errno, "times");
}
