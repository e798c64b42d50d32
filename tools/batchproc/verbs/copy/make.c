/* SPDX-License-Identifier: MIT */
/*
 * make: what the copy of a regular file is written into: a new file with a mark, one with a
 * temporary name, or with --inplace what is there already. Plain calls; see file.c for who makes
 * them where.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/calls.h"
#include "run/job.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/file.h"
#include "verbs/copy/marks.h"
#include "verbs/copy/names.h"

void copy_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What was there when it was looked for: may it be replaced, or is it *@needless to do so? */
enum old {
	OLD_GONE, /* nothing is there, now at last */
	OLD_REPLACED,
	OLD_NEEDLESS,
};

/*
 * It holds space that its successor needs; a small one is at most being written now, by another
 * run.
 */
static bool give_way(struct copying *c)
{
	return !c->beaten && c->old.st_blocks * 512 >= (off_t)SMALL_BYTES &&
	       dest_is_named(c->to.dirfd, c->to.name, c->old_fd) &&
	       !unlinkat(c->to.dirfd, c->to.name, 0);
}

bool copy_meets_other(struct copying *c, const struct stat *st)
{
	const char *why = names_meet(c->item->job, c->dest, c->to.dirfd, c->to.name, st, &c->st,
				     c->item->dir ? c->from.dirfd : -1);

	if (why)
		c->item->why = why;
	return why;
}

/*
 * What a run that was killed may have left: it is the beginning of the source, so that nothing is
 * lost when it is replaced. It is asked where a run is gone on with, and could not be marked; and
 * where nothing that is there may be touched, since somebody may have chosen that mode.
 */
static bool is_beginning(struct copying *c)
{
	if (c->set->ignore_existing)
		return replace_unfinished(&c->to, &c->old, &c->st) &&
		       replace_is_beginning(c->src, &c->to, &c->old);
	return c->item->maybe_done && c->set->update && S_ISREG(c->old.st_mode) &&
	       c->old.st_size < c->st.st_size && replace_is_beginning(c->src, &c->to, &c->old);
}

/* Return: enum old, or -errno. */
static int look_at_old(struct copying *c)
{
	int err;

	c->old_fd = call_openat(c->to.dirfd, c->to.name, O_PATH | O_NOFOLLOW, 0);
	if (c->old_fd == -ENOENT)
		return OLD_GONE;
	if (c->old_fd < 0)
		return c->old_fd;
	if (fstat(c->old_fd, &c->old))
		return -errno;
	err = replace_allowed(c->item, &c->st, &c->old);
	if (err)
		return err;
	if (copy_meets_other(c, &c->old))
		return -EEXIST;
	if (!is_beginning(c) && replace_needless(c->item, &c->st, &c->to, &c->old)) {
		c->is_there = !c->set->ignore_existing && replace_like(&c->st, &c->old);
		return OLD_NEEDLESS;
	}
	/* It has nothing to keep. */
	if (replace_unfinished(&c->to, &c->old, &c->st)) {
		const bool gone = give_way(c);

		copy_close(&c->old_fd);
		return gone ? OLD_GONE : OLD_REPLACED;
	}
	c->anew = copy_anew(c->set) || S_ISLNK(c->old.st_mode);
	/* What may not be written is not replaced either, as with cp. */
	if (!c->anew && faccessat(c->old_fd, "", W_OK, AT_EMPTY_PATH | AT_EACCESS) &&
	    errno != EINVAL && errno != ENOSYS) {
		if (!c->set->force)
			return -errno;
		c->anew = true;
	}
	return OLD_REPLACED;
}

static int destination_flags(const struct copying *c)
{
	return c->set->verify || c->set->alg ? O_RDWR : O_WRONLY;
}

/* In a directory with an ACL to inherit a new file gets its mode when it is made, and keeps it. */
bool copy_inherits_mode(const struct copying *c)
{
	return c->dest->default_acl && (c->old_fd < 0 || c->anew) && !c->set->keep_mode;
}

void copy_tell_of_inplace(struct copying *c, int err)
{
	if (err == -EBUSY || err == -EPERM || err == -EACCES || err == -EROFS)
		c->item->why = "the destination may be written, but not be replaced by a new file "
			       "(--inplace writes into it)";
}

static int make_temporary(struct copying *c)
{
	mode_t mode = S_IRUSR | S_IWUSR;

	c->mark = dest_mark(c->dest, c->to.dirfd);
	/* An ACL to inherit is worked out from the mode, and stands in for the umask. */
	if (copy_inherits_mode(c))
		mode = meta_source_mode(c->set, &c->st) & 0777;
	/* No other one could be set, or nobody knows. */
	else if (c->mark == MARK_NONE || c->mark == MARK_UNKNOWN)
		mode = (c->old_fd >= 0 && !c->anew ? c->old.st_mode :
						     meta_source_mode(c->set, &c->st)) &
		       0777;

	temp_remove(c->dest, c->to.dirfd, c->to.name);
	c->dst = temp_create(c->to.dirfd, c->to.name, c->temp, destination_flags(c), mode);
	if (c->dst == -EBUSY)
		return copy_fail(c, c->dst, "another run is writing it");
	if (c->old_fd >= 0)
		copy_tell_of_inplace(c, c->dst);
	if (c->dst < 0)
		return c->dst;
	if (c->mark == MARK_UNKNOWN && !copy_inherits_mode(c)) {
		c->mark = mark_try(c->dst);
		atomic_store_explicit(&c->dest->mark, c->mark, memory_order_relaxed);
	}
	return 0;
}

/*
 * A file by whatever name is written into once; and what has other names may be a source that is
 * still to be read, which nobody knows before all are: unless nothing else is copied.
 */
static int claim_inode(struct copying *c, const struct stat *st)
{
	const struct copy_item *own = item_priv_const(c->item);
	int found;

	if (own->alone)
		return 0;
	if (st->st_nlink > 1)
		return copy_fail(c, -EMLINK,
				 "the destination has other names (hard links), which may be in "
				 "this run too; --inplace writes into it if it is copied alone");
	found = claims_take(c->item->job->copy->claims, st->st_dev, st->st_ino, ".", &c->st,
			    c->set->way);
	if (found == CLAIM_OTHER)
		return copy_fail(c, -EEXIST, copy_claimed);
	return found < 0 ? found : 0;
}

/*
 * What is there is cut to nothing and written anew; what is no file takes the bytes as they come.
 */
/*
 * Whether what is there may be the source by another path: a server of FUSE may give each spelling of a
 * directory's name inodes of its own, and then all else is alike.
 */
static bool may_be_source(const struct copying *c, const struct stat *st)
{
	const char *slash = strrchr(c->from.name, '/');
	struct statfs fs;

	return st->st_dev == c->st.st_dev && st->st_size == c->st.st_size &&
	       st->st_mtim.tv_sec == c->st.st_mtim.tv_sec &&
	       st->st_mtim.tv_nsec == c->st.st_mtim.tv_nsec &&
	       st->st_ctim.tv_sec == c->st.st_ctim.tv_sec &&
	       st->st_ctim.tv_nsec == c->st.st_ctim.tv_nsec &&
	       !strcasecmp(slash ? slash + 1 : c->from.name, c->to.name) && !fstatfs(c->dst, &fs) &&
	       (unsigned long)fs.f_type == 0x65735546ul; /* FUSE_SUPER_MAGIC */
}

static int open_over(struct copying *c)
{
	struct stat st;
	int err;

	c->dst = call_openat(c->to.dirfd, c->to.name,
			     destination_flags(c) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (c->dst == -ENXIO)
		return copy_fail(c, c->dst, "nobody reads from the FIFO");
	if (c->dst < 0)
		return c->dst;
	c->over = true;
	if (fstat(c->dst, &st))
		return -errno;
	if (st.st_ino != c->old.st_ino || st.st_dev != c->old.st_dev)
		return copy_fail(c, -ESTALE, "the destination has become another file meanwhile");
	if (c->set->attributes_only)
		return 0;
	if (S_ISREG(st.st_mode) && may_be_source(c, &st))
		return copy_fail(c, -EINVAL, "the destination may be the source by another name");
	if (S_ISREG(st.st_mode)) {
		err = claim_inode(c, &st);
		return err ? err : call_ftruncate(c->dst, 0);
	}
	c->into_stream = true;
	return fcntl(c->dst, F_SETFL, 0) ? -errno : 0;
}

/*
 * It is closed before it is removed where a server may bring back at a close what was removed while it
 * was open.
 */
int copy_abandon(void *arg)
{
	struct copying *c = arg;
	const char *name = c->temp[0] ? c->temp : c->to.name;
	/* Another run may have put its own copy there meanwhile. */
	bool ours = c->dst < 0 || dest_is_named(c->to.dirfd, name, c->dst);

	if (c->mark != MARK_FILE)
		copy_close(&c->dst);
	if (ours)
		unlinkat(c->to.dirfd, name, 0);
	copy_close(&c->dst);
	c->made = false;
	return 0;
}

/* No descriptor was left in the middle of it: as if it had not begun, but for the source. */
void copy_start_over(struct copying *c)
{
	if (c->made)
		copy_abandon(c);
	copy_close(&c->dst);
	copy_close(&c->old_fd);
	c->temp[0] = '\0';
}

/* A mark shows that it is not whole yet: it can have its name at once. */
static bool can_be_marked(struct copying *c)
{
	struct stat st;

	if (c->set->atomic || c->beaten || c->dest->default_acl || c->attributes)
		return false;
	/* What is there is replaced, or stays: nothing has to be tried out for that. */
	if (atomic_load_explicit(&c->dest->mark, memory_order_relaxed) == MARK_UNKNOWN &&
	    !fstatat(c->to.dirfd, c->to.name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	c->mark = dest_mark(c->dest, c->to.dirfd);
	return c->mark != MARK_NONE && c->mark != MARK_UNKNOWN;
}

/* Return: 0, -EEXIST or another error. */
static int make_in_place(struct copying *c)
{
	struct stat st;

	c->dst = call_openat(c->to.dirfd, c->to.name,
			     destination_flags(c) | O_CREAT | O_EXCL | O_NOFOLLOW, c->mark);
	if (c->dst < 0)
		return c->dst;
	c->made = true;
	/* Several file systems may lie behind one of FUSE. */
	if (c->mark == MARK_FILE_FUSE && !fstat(c->dst, &st) && !mark_is_file(&st)) {
		atomic_store_explicit(&c->dest->mark, MARK_NONE, memory_order_relaxed);
		copy_start_over(c);
		return -EEXIST;
	}
	temp_remove(c->dest, c->to.dirfd, c->to.name);
	return 0;
}

int copy_make(struct copying *c, bool *needless)
{
	const struct copy_item *own = item_priv_const(c->item);
	int found = OLD_GONE, err;

	if (own->into_fd) {
		c->dst = fcntl(own->fd, F_DUPFD_CLOEXEC, 0);
		c->over = c->into_stream = true;
		return c->dst < 0 ? -errno : 0;
	}
	for (int tries = 0; found == OLD_GONE && tries < 3; tries++) {
		if (can_be_marked(c)) {
			err = make_in_place(c);
			if (err != -EEXIST)
				return err;
		}
		found = look_at_old(c);
		if (found < 0)
			return found;
		if (found == OLD_NEEDLESS) {
			temp_remove_of_skipped(c->dest, c->to.dirfd, c->to.name);
			*needless = true;
			return 0;
		}
	}
	if ((c->set->inplace || c->set->attributes_only) && c->old_fd >= 0 && !c->anew)
		return open_over(c);
	err = make_temporary(c);
	c->made = !err;
	return err;
}
