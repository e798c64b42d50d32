/* SPDX-License-Identifier: MIT */
/*
 * copyodd: what is copied by its name: symbolic links, FIFOs, sockets, devices, and the further
 * names of a file that has several.
 *
 * A link is made under its own name where nothing is there. Where something is, and always for what
 * has a mode to be set, it is made under a temporary name, which it then changes for its own: so
 * what has that is finished. (A symbolic link is not, for a moment, where its owner and times are
 * kept; it would cost a rename for each.)
 *
 * A file with several names is copied once; its further names become links to that copy. An item
 * that finds another one at it waits for its end, which it can: that one runs. The table stands
 * under its lock; an entry goes when all names of its file have been seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/file.h"
#include "verbs/copy/hardlinks.h"
#include "verbs/copy/names.h"
#include "verbs/copy/replace.h"
#include "run/job.h"
#include "run/steer.h"
#include "run/ownfiles.h"
#include "walk/tree.h"
#include "base/alloc.h"
#include "base/device.h"

/* ---- making one */

struct making {
	struct item *item;
	const struct copy_settings *set;
	struct at_name from, to, link;
	struct dest *dest; /* of @to */
	struct stat st;
	const char *name; /* that it is made under */
	char target[PATH_MAX];
	int fd; /* of the source, with O_PATH; -1: not yet open */
	int flags; /* of linkat() */
	bool instead; /* it is a link to the source, not a copy of it: -l, -s */
	bool first_link; /* other names of it wait for this copy */
	bool made;
};

/* Some servers make a file where they cannot make anything else, and fail then. */
static void remove_instead(const struct making *m)
{
	struct stat st;

	if (!fstatat(m->to.dirfd, m->name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
	    !st.st_size)
		unlinkat(m->to.dirfd, m->name, 0);
}

static int make_named(struct making *m)
{
	int err;

	if (m->link.name)
		err = linkat(m->link.dirfd, m->link.name, m->to.dirfd, m->name, m->flags);
	else if (S_ISLNK(m->st.st_mode))
		err = symlinkat(m->target, m->to.dirfd, m->name);
	else
		/* Nobody else uses it before it has its owner. */
		err = mknodat(m->to.dirfd, m->name, (m->st.st_mode & S_IFMT) | S_IRUSR | S_IWUSR,
			      m->st.st_rdev);
	m->made = !err;
	if (!err)
		return 0;
	err = -errno;
	if (err != -EEXIST && !m->link.name && !S_ISLNK(m->st.st_mode))
		remove_instead(m);
	return err;
}

/* What was made under @name gets all else that its source has. */
static void set_metadata(const struct making *m, const char *name)
{
	struct meta meta = {
		.set = m->set,
		.from = m->fd,
		.from_at = &m->from,
		.st = &m->st,
		.lost = &((struct copy_item *)item_priv(m->item))->lost,
	};

	if (m->link.name || m->instead)
		return;
	meta.to = openat(m->to.dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (meta.to < 0) {
		lost_add(meta.lost, -errno, "owner, mode and times");
		return;
	}
	meta_set_special(&meta, &(struct at_name){m->to.dirfd, name});
	close(meta.to);
}

/* Under a temporary name; one of this name is a leftover, unless another run makes a file there. */
static int make_beside(struct making *m, const char *temp)
{
	int err;

	m->name = temp;
	err = make_named(m);
	if (err != -EEXIST)
		return err;
	err = temp_give_way(m->to.dirfd, temp);
	if (!err)
		err = make_named(m);
	if (err == -EBUSY)
		m->item->why = "another run is writing it";
	return err;
}

static bool is_link_already(const struct making *m, const struct stat *old)
{
	return m->link.name && old->st_dev == m->st.st_dev && old->st_ino == m->st.st_ino;
}

static int replace(struct making *m, const struct stat *old)
{
	char temp[NAME_MAX + 1];
	int err;

	if (is_link_already(m, old)) {
		temp_remove(m->dest, m->to.dirfd, m->to.name);
		return 0;
	}
	temp_remove(m->dest, m->to.dirfd, m->to.name);
	temp_name(m->to.name, temp);
	err = make_beside(m, temp);
	if (!err)
		set_metadata(m, temp);
	if (!err && old->st_ino && m->set->backup)
		err = backup_make(m->item, &m->st, &m->to);
	if (!err) {
		err = call_renameat(m->to.dirfd, temp, m->to.name);
		if (err && ((struct copy_item *)item_priv(m->item))->backup)
			backup_undo(m->item, &m->to);
	}
	/* Of two names of one file neither goes by a rename. */
	if (!err && m->link.name)
		unlinkat(m->to.dirfd, temp, 0);
	if (err && m->made)
		unlinkat(m->to.dirfd, temp, 0);
	return err;
}

/* A symbolic link would take the place of the file that it leads to. */
static bool leads_to(const struct making *m, const struct stat *old)
{
	const struct at_name *at = m->link.name ? &m->link : &m->from;
	struct stat st;

	return S_ISLNK(m->st.st_mode) && !fstatat(at->dirfd, at->name, &st, 0) &&
	       st.st_dev == old->st_dev && st.st_ino == old->st_ino;
}

/*
 * With --update, a name that is there as it should be, but by itself, becomes one of the copy's: as
 * with cp and rsync.
 */
static bool joins(const struct making *m, const struct stat *old)
{
	return m->link.name && m->set->update && !m->set->ignore_existing &&
	       replace_like(&m->st, old) &&
	       (old->st_ino != m->st.st_ino || old->st_dev != m->st.st_dev);
}

/* With -au, a symbolic link that leads elsewhere: whichever of both is newer, it is not the copy. */
static bool leads_elsewhere(const struct making *m, const struct stat *old)
{
	char target[PATH_MAX];
	ssize_t len;

	if (!replace_renews(m->item) || !S_ISLNK(m->st.st_mode) || !S_ISLNK(old->st_mode))
		return false;
	len = readlinkat(m->to.dirfd, m->to.name, target, sizeof(target));
	return len >= 0 &&
	       ((size_t)len != strlen(m->target) || memcmp(target, m->target, (size_t)len));
}

static bool meets_other(const struct making *m, const struct stat *old)
{
	const char *why = names_meet(m->item->job, m->dest, m->to.dirfd, m->to.name, old, &m->st,
				     m->item->dir ? dirnode_fd(m->item->dir) : -1);

	if (why)
		m->item->why = why;
	return why;
}

/* What a killed run began of what is to be a link now: see is_beginning() in make.c. */
static bool is_beginning(const struct making *m, const struct stat *old)
{
	int fd = -1;
	bool is;

	if (m->set->ignore_existing && m->link.name && replace_unfinished(&m->to, old, &m->st))
		fd = call_openat(m->link.dirfd, m->link.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
				 0);
	is = fd >= 0 && replace_is_beginning(fd, &m->to, old);
	if (fd >= 0)
		close(fd);
	return is;
}

/* @m->st is the source's, or the first copy's where a link to that is made. */
static int make(struct making *m)
{
	bool in_place = !m->set->atomic && (m->link.name || S_ISLNK(m->st.st_mode));
	const struct copy_item *own = item_priv_const(m->item);
	struct stat old;
	int err = -EEXIST;

	if (own->into_fd) {
		m->item->why = "what is no file cannot be written to what is open already";
		return -EINVAL;
	}
	if (in_place) {
		m->name = m->to.name;
		err = make_named(m);
		if (!err) {
			set_metadata(m, m->name);
			temp_remove(m->dest, m->to.dirfd, m->to.name);
		}
	}
	if (err != -EEXIST)
		return err;
	if (fstatat(m->to.dirfd, m->to.name, &old, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return -errno;
		old = (struct stat){.st_mode = S_IFREG};
	} else if (is_link_already(m, &old)) {
		return replace(m, &old);
	} else if (meets_other(m, &old)) {
		return -EEXIST;
	} else if (leads_to(m, &old)) {
		m->item->why = replace_same_text;
		return -EINVAL;
	} else if (!m->link.name || !S_ISREG(old.st_mode) ||
		   own_file_as_destination(m->item->job->own, &old)) {
		err = replace_allowed(m->item, &m->st, &old);
		if (err)
			return err;
	}
	if (old.st_ino && m->instead && !m->set->force && !copy_anew(m->set) && !m->set->update &&
	    !m->set->ignore_existing) {
		m->item->why = "the destination is there (-f replaces it)";
		return -EEXIST;
	}
	if (old.st_ino && !joins(m, &old) && !leads_elsewhere(m, &old) && !is_beginning(m, &old) &&
	    replace_needless(m->item, &m->st, &m->to, &old)) {
		temp_remove_of_skipped(m->dest, m->to.dirfd, m->to.name);
		return 0;
	}
	return replace(m, &old);
}

/* In a tree, the directory is synced when all in it is done. */
static int make_lasting(struct making *m)
{
	int err = make(m);

	return !err && m->set->sync && !m->item->dir ? dest_sync(m->to.dirfd) : err;
}

/* ---- links, FIFOs, devices */

static int open_by_name(void *arg)
{
	struct making *m = arg;
	ssize_t len;
	int err;

	m->fd = call_openat(m->from.dirfd, m->from.name,
			    O_PATH | (copy_follows(m->set, !m->item->dir) ? 0 : O_NOFOLLOW), 0);
	if (m->fd < 0)
		return m->fd;
	err = fstat(m->fd, &m->st) ? -errno : 0;
	if (!err && (S_ISREG(m->st.st_mode) || S_ISDIR(m->st.st_mode))) {
		m->item->why = "has become something else meanwhile";
		err = -EINVAL;
	}
	if (!err && S_ISLNK(m->st.st_mode)) {
		len = readlinkat(m->fd, "", m->target, sizeof(m->target) - 1);
		if (len < 0)
			err = -errno;
		else
			m->target[len] = '\0';
	}
	return err;
}

static int copy_by_name(void *arg)
{
	struct making *m = arg;
	bool skip = false;
	int err = m->fd >= 0 ? 0 : open_by_name(m);

	if (!err)
		err = copy_claim(m->item, &m->st, &skip);
	if (err || skip)
		return err;
	if (copy_is_linked(m->set, &m->st) && !m->first_link)
		return COPY_LINKED;
	return make_lasting(m);
}

static enum device_kind kind_of(const struct making *m)
{
	return copy_kind(m->item, m->dest, m->to.dirfd);
}

static int run_by_name(struct making *m)
{
	unsigned int tries = 0;
	int err;

	do {
		err = bp_cancelled() ? bp_yield() : device_call(kind_of(m), copy_by_name, m);
	} while (steer_await_descriptor(m->item->job, err, &tries));
	return err;
}

/* It is one of many names of what it is. */
static int copy_linked(struct making *m)
{
	struct hardlink_copy copy = {0};
	bool there;
	int err = hardlink_await(m->item, &m->st, &copy, &there);

	if (err)
		return err;
	if (there) {
		err = special_link(m->item, &copy, &m->to, m->dest);
		hardlink_copy_free(&copy);
		if (!err)
			hardlink_done(m->item, &m->st, HARDLINK_JOINED, NULL);
		return err;
	}
	m->first_link = true;
	err = run_by_name(m);
	hardlink_done(m->item, &m->st,
		      err			   ? HARDLINK_FAILED :
		      m->item->status == STATUS_OK ? HARDLINK_MADE :
						     HARDLINK_PASSED,
		      NULL);
	return err;
}

static struct making *making_new(struct item *item, const struct at_name *from,
				 const struct at_name *to, struct dest *dest)
{
	struct making *m = xcalloc(1, sizeof(*m));

	item->source.kind = ORIGIN_NAME;
	m->item = item;
	m->set = item->settings;
	m->from = *from;
	m->to = *to;
	m->dest = dest;
	m->fd = -1;
	return m;
}

int special_copy(struct item *item, const struct at_name *from, const struct at_name *to,
		 struct dest *dest)
{
	struct making *m = making_new(item, from, to, dest);
	int err;

	err = run_by_name(m);
	if (err == COPY_LINKED)
		err = copy_linked(m);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
	return err;
}

/* ---- links instead of copies */

/* Whether a name that does not begin at the root leads there from where the link is. */
static bool leads_from(const char *path, int dirfd)
{
	struct stat here, there;

	return *path == '/' || (!stat(".", &here) && !fstat(dirfd, &there) &&
				here.st_dev == there.st_dev && here.st_ino == there.st_ino);
}

static int aim(struct making *m)
{
	struct buf path = {0};
	int err = 0;

	item_path(m->item, &path);
	buf_char(&path, '\0');
	if (path.len > sizeof(m->target)) {
		err = -ENAMETOOLONG;
	} else if (!leads_from(path.data, m->to.dirfd)) {
		m->item->why =
			"a symbolic link to it leads nowhere from there: only in the working "
			"directory can a name be linked to that does not begin with a /";
		err = -EINVAL;
	} else {
		memcpy(m->target, path.data, path.len);
		m->st.st_mode = S_IFLNK;
	}
	buf_free(&path);
	return err;
}

static int make_instead(void *arg)
{
	struct making *m = arg;
	const bool follows = copy_follows(m->set, !m->item->dir);
	bool skip = false;
	int err = call_fstatat(m->from.dirfd, m->from.name, &m->st,
			       follows ? 0 : AT_SYMLINK_NOFOLLOW);

	if (!err)
		err = copy_claim(m->item, &m->st, &skip);
	if (err || skip)
		return err;
	if (m->set->makes == MAKES_LINKS) {
		m->link = m->from;
		m->flags = follows ? AT_SYMLINK_FOLLOW : 0;
	} else {
		err = aim(m);
	}
	return err ? err : make_lasting(m);
}

int special_instead(struct item *item, const struct at_name *from, const struct at_name *to,
		    struct dest *dest)
{
	struct making *m = making_new(item, from, to, dest);
	int err;

	m->instead = true;
	err = device_call(kind_of(m), make_instead, m);
	free(m);
	return err;
}

/* ---- hard links */

static int make_link(void *arg)
{
	struct making *m = arg;

	if (fstatat(m->link.dirfd, m->link.name, &m->st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return make_lasting(m);
}

int special_link(struct item *item, const struct hardlink_copy *copy, const struct at_name *to,
		 struct dest *dest)
{
	struct making *m = xcalloc(1, sizeof(*m));
	int err = dirnode_open(copy->dir);

	m->item = item;
	m->set = item->settings;
	m->to = *to;
	m->dest = dest;
	if (!err) {
		m->link = (struct at_name){dirnode_fd(copy->dir), copy->name};
		err = device_call(kind_of(m), make_link, m);
		dirnode_put_open(copy->dir);
	}
	free(m);
	return err;
}
