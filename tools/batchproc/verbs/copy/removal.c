/* SPDX-License-Identifier: MIT */
/*
 * removal: what --delete removes: one thing, with all that is in it.
 *
 * No link is followed, nothing entered that is mounted there, and no source of the run removed. The
 * directory that it was in gets its time again, as its copy has it. Who is not root makes a
 * directory of his own one that may be written, for as long as that takes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/blocking.h"
#include "base/buf.h"
#include "base/calls.h"
#include "base/device.h"
#include "base/message.h"
#include "cli/filter.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "run/steer.h"
#include "verbs/copy/copy.h"
#include "verbs/copy/mirror.h"

const char mirror_is_source_text[] = "not removed: it is a source of this run, or holds one";

bool mirror_crosses(int fd, dev_t dev)
{
	struct device_file file;

	return device_look(fd, &file) || file.mounted || file.dev != dev;
}

struct removing {
	struct item *item;
	struct buf below; /* its path below the root, for filters */
	struct buf place; /* where the directory is that it is in, */
	size_t from; /* which is where this begins in below */
	dev_t dev;
};

static bool is_place(struct removing *r)
{
	const size_t len = r->place.len;
	bool is;

	if (!len)
		return false;
	buf_str(&r->place, r->below.data + r->from);
	buf_char(&r->place, '\0');
	is = mirror_is_place(r->item->job->copy->mirror, r->place.data);
	r->place.len = len;
	return is;
}

static bool is_spared(struct removing *r, const char *name, const struct stat *st)
{
	const struct job *job = r->item->job;
	size_t depth = 1;

	if (mirror_is_source(job->copy->mirror, st) || is_place(r)) {
		r->item->why = mirror_is_source_text;
		return true;
	}
	for (const char *at = r->below.data; (at = strchr(at, '/')); at++)
		depth++;
	if (filter_by_name(&job->opt->filter, r->below.data, depth, S_ISDIR(st->st_mode))) {
		r->item->why = "not removed: something in it is excluded";
		return true;
	}
	if (!own_file_called(job->own, name))
		return false;
	r->item->why = own_file_as_source(job->own, st);
	return r->item->why;
}

static bool may_not_be_written(mode_t mode, uid_t owner)
{
	return !(mode & S_IWUSR) && geteuid() && owner == geteuid();
}

static int remove_inside(struct removing *r, int fd);

static int remove_directory(struct removing *r, int dirfd, const char *name)
{
	int fd = call_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), again = -1, err;
	struct stat st;

	if (fd < 0)
		return fd;
	err = fstat(fd, &st) ? -errno : 0;
	if (!err && mirror_crosses(fd, r->dev)) {
		r->item->why = "not removed: another file system is mounted in it";
		err = -EXDEV;
	}
	if (err) {
		close(fd);
		return err;
	}
	if (may_not_be_written(st.st_mode, st.st_uid)) {
		again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (again >= 0 && fchmod(again, (st.st_mode & 07777) | S_IWUSR)) {
			close(again);
			again = -1;
		}
	}
	err = remove_inside(r, fd);
	if (!err)
		err = call_unlinkat(dirfd, name, AT_REMOVEDIR);
	if (again >= 0) {
		if (err && fchmod(again, st.st_mode & 07777))
			r->item->why = "not removed, and its mode is another one now";
		close(again);
	}
	return err;
}

static int remove_one(struct removing *r, int dirfd, const char *name)
{
	struct stat st;

	if (steer_stopped(r->item->job))
		return -ECANCELED;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (is_spared(r, name, &st))
		return -ENOTEMPTY;
	return S_ISDIR(st.st_mode) ? remove_directory(r, dirfd, name) :
				     call_unlinkat(dirfd, name, 0);
}

/* Closes @fd. The first error is the one that is told; all else is removed. */
static int remove_inside(struct removing *r, int fd)
{
	const size_t len = r->below.len;
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int first = 0;

	if (!dir) {
		first = -errno;
		close(fd);
		return first;
	}
	while ((errno = 0, entry = readdir(dir))) {
		int err;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r->below.len = len - 1;
		buf_char(&r->below, '/');
		buf_add(&r->below, entry->d_name, strlen(entry->d_name) + 1);
		err = remove_one(r, dirfd(dir), entry->d_name);
		first = first ? first : err;
	}
	if (errno && !first)
		first = -errno;
	closedir(dir);
	r->below.len = len;
	r->below.data[len - 1] = '\0';
	return first;
}

/* What is not there any more, or has become something else, is no error. */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

/* How many things there are, itself included, as far as @most; more, where that is not known. */
static uint64_t count_of(int dirfd_, const char *name, uint64_t most)
{
	int fd = call_openat(dirfd_, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t count = 1;

	if (!dir && fd >= 0)
		close(fd);
	if (!dir)
		return fd < 0 && is_gone(fd) ? 1 : most + 1;
	while (count <= most && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			count += count_of(dirfd(dir), entry->d_name, most - count);
	if (count <= most && errno)
		count = most + 1;
	closedir(dir);
	return count;
}

/* Whether so many more may go; as a whole, or not at all. */
static bool reserve(struct item *item, const struct at_name *at)
{
	const struct copy_settings *set = item->settings;
	struct mirror *m = item->job->copy->mirror;
	uint64_t count, before = atomic_load(&m->removed);

	if (!set->has_max_delete)
		return true;
	count = count_of(at->dirfd, at->name, set->max_delete);
	do {
		if (before + count > set->max_delete) {
			item->why = "not removed: more would go than --max-delete allows";
			return false;
		}
	} while (!atomic_compare_exchange_weak(&m->removed, &before, before + count));
	return true;
}

/* Whatever else goes in the directory, the last one to do this leaves the right time. */
static int keep_time(const struct delete_item *own)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, own->mtime};

	if (own->mtime.tv_nsec == UTIME_OMIT)
		return 0;
	return futimens(own->fd, times) ? -errno : 0;
}

static int remove_from(struct removing *r, const struct delete_item *own)
{
	const struct at_name at = {own->fd, own->name + own->below};
	int err = remove_one(r, at.dirfd, at.name), kept = keep_time(own);

	return err ? err : kept;
}

/* One at a time: the next one would take the mode for what it is to be. */
static int remove_where_not_written(struct removing *r, const struct delete_item *own)
{
	pthread_mutex_t *lock = &r->item->job->copy->mirror->modes;
	int err;

	pthread_mutex_lock(lock);
	if (fchmod(own->fd, (own->mode & 07777) | S_IWUSR)) {
		err = -errno;
	} else {
		err = remove_from(r, own);
		if (fchmod(own->fd, own->mode & 07777) && !err)
			err = -errno;
	}
	pthread_mutex_unlock(lock);
	return err;
}

/* What is passed over without a failure is said all the same: the copy is no mirror. */
static void tell_source(const struct item *item)
{
	const struct options *opt = item->job->opt;
	struct buf path = {0}, text = {0};

	if (opt->verbose || opt->quiet || item->why != mirror_is_source_text)
		return;
	item_path(item, &path);
	buf_visible(&text, path.data, path.len);
	buf_char(&text, '\0');
	message("%s: %s", text.data, item->why);
	buf_free(&text);
	buf_free(&path);
}

static int remove_item(void *arg)
{
	struct item *item = arg;
	const struct delete_item *own = item_priv_const(item);
	const struct at_name at = {own->fd, own->name + own->below};
	struct removing r = {.item = item, .from = own->below};
	struct stat st;
	int err;

	if (fstat(own->fd, &st))
		return -errno;
	r.dev = st.st_dev;
	if (!reserve(item, &at))
		return -EDQUOT;
	buf_add(&r.below, own->name, strlen(own->name) + 1);
	mirror_place(&r.place, own->fd);
	err = may_not_be_written(own->mode, own->owner) ? remove_where_not_written(&r, own) :
							  remove_from(&r, own);
	buf_free(&r.below);
	buf_free(&r.place);
	/* It stays as it was to. */
	if (err == -ENOTEMPTY && item->why) {
		item->status = STATUS_SKIPPED;
		tell_source(item);
		return 0;
	}
	return err;
}

static int delete_work(struct item *item)
{
	return blocking_long(remove_item, item);
}

static bool delete_permanent(const struct item *item, int err)
{
	return item->why || err == -EDQUOT;
}

static void delete_text(const struct item *item, struct buf *buf)
{
	struct buf path = {0};

	if (item->status != STATUS_OK || !item->job->opt->verbose)
		return;
	item_path(item, &path);
	buf_str(buf, "deleted '");
	buf_visible(buf, path.data, path.len);
	buf_str(buf, "'\n");
	buf_free(&path);
}

static void delete_release(struct item *item)
{
	struct delete_item *own = item_priv(item);

	if (own->name)
		close(own->fd);
	free(own->name);
	own->name = NULL;
}

static bool delete_always(const struct item *item)
{
	(void)item;
	return true;
}

_Static_assert(sizeof(struct delete_item) <= sizeof(struct copy_item), "see job->priv_size");

const struct item_ops delete_items = {
	.op = "delete",
	.priv_size = sizeof(struct delete_item),
	.descriptors = 3,
	.list_path = mirror_add_root,
	.work = delete_work,
	.permanent = delete_permanent,
	.text = delete_text,
	.release = delete_release,
	.journal_always = delete_always,
};
