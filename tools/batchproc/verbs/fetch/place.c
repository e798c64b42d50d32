/* SPDX-License-Identifier: MIT */
/*
 * place: the file that a body becomes.
 *
 * Below -P no step of a path goes through a symbolic link, and a file takes the place of a link,
 * never of what that names. Plain calls, in a task or on a helper thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/calls.h"
#include "run/job.h"
#include "run/ownfiles.h"
#include "verbs/copy/claims.h"
#include "verbs/copy/copy.h"
#include "verbs/fetch/fetch.h"

#define ETAG_ATTR "user.batchproc.etag"

/* Of a directory of -P, to see whether there are leftovers; where there are more it is not said. */
#define LOOK_MOST 4096u

struct places {
	struct claims *claims;
	atomic_uint_fast64_t claimants; /* how many there have been */
	atomic_uint_fast64_t
		named_only; /* a device that has no files without a name; 0: none known */
	pthread_mutex_t lock; /* covers what follows */
	struct base {
		const char *dir;
		int fd;
		bool has_leftovers; /* or may have */
		struct stat st;
	} * bases;
	size_t count;
	void *seen; /* tree of struct seen */
};

/* A directory, and what was in it of temporary files when a first item came to it. */
struct seen {
	dev_t dev;
	ino_t ino;
	struct temps *temps;
};

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static void free_seen(void *seen)
{
	free(((struct seen *)seen)->temps);
	free(seen);
}

/* What is in the directory of a place, looked for once. */
static const struct temps *find_temps(struct places *places, const struct place *p)
{
	struct seen key = {.dev = p->dev, .ino = p->ino}, *seen, **found;

	pthread_mutex_lock(&places->lock);
	found = tfind(&key, &places->seen, compare_seen);
	if (found) {
		seen = *found;
	} else {
		seen = xcalloc(1, sizeof(*seen));
		*seen = key;
		seen->temps = temps_read(p->dirfd, UINT_MAX);
		if (!tsearch(seen, &places->seen, compare_seen))
			out_of_memory();
	}
	pthread_mutex_unlock(&places->lock);
	return seen->temps;
}

/* Makes the directory of -P, and those above it, where they are missing. */
static int make_base(const char *dir)
{
	char *path = xstrdup(dir);
	int err = 0;

	for (char *at = path + 1; *at && !err; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0777) && errno != EEXIST)
			err = -errno;
		*at = '/';
	}
	if (!err && mkdir(path, 0777) && errno != EEXIST)
		err = -errno;
	free(path);
	return err;
}

static int open_base(struct base *base, const char *dir)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;

	base->dir = dir;
	base->fd = open(dir, flags);
	if (base->fd < 0 && errno == ENOENT) {
		int err = make_base(dir);

		if (err)
			return err;
		base->fd = open(dir, flags);
	}
	if (base->fd < 0)
		return -errno;
	if (fstat(base->fd, &base->st)) {
		close(base->fd);
		return -errno;
	}
	base->has_leftovers = temp_any(base->fd, LOOK_MOST) != 0;
	return 0;
}

/* The directory @dir, as opened before. */
static int find_base(struct places *places, const char *dir, struct base *found)
{
	struct base base;
	int err = 0;

	pthread_mutex_lock(&places->lock);
	for (size_t i = 0; i < places->count; i++)
		if (!strcmp(places->bases[i].dir, dir)) {
			*found = places->bases[i];
			goto out;
		}
	err = open_base(&base, dir);
	if (err)
		goto out;
	base.dir = xstrdup(dir);
	places->bases = xrealloc(places->bases, (places->count + 1) * sizeof(*places->bases));
	places->bases[places->count++] = base;
	*found = base;
out:
	pthread_mutex_unlock(&places->lock);
	return err;
}

struct places *places_new(void)
{
	struct places *places = xcalloc(1, sizeof(*places));
	char temp[NAME_MAX + 1];

	/* What names need is found, or found to be missing, before the run begins. */
	temp_name("", temp);
	places->claims = claims_new();
	pthread_mutex_init(&places->lock, NULL);
	return places;
}

void places_free(struct places *places)
{
	for (size_t i = 0; i < places->count; i++) {
		close(places->bases[i].fd);
		free((char *)places->bases[i].dir);
	}
	free(places->bases);
	tdestroy(places->seen, free_seen);
	claims_free(places->claims);
	pthread_mutex_destroy(&places->lock);
	free(places);
}

/* ---- names */

/* The last step of an URL's path, as a name that stays where it is put. */
static void name_of_url(const struct url *url, struct buf *name)
{
	const char *end = url->target + url->path_len, *start = end;

	while (start[-1] != '/')
		start--;
	url_decode(name, start, (size_t)(end - start));
}

static void clean_name(struct buf *name)
{
	for (size_t i = 0; i < name->len; i++)
		if ((unsigned char)name->data[i] < 0x20 || name->data[i] == '/' ||
		    name->data[i] == 0x7f)
			name->data[i] = '_';
	buf_char(name, '\0');
	if (!strcmp(name->data, "") || !strcmp(name->data, ".") || !strcmp(name->data, "..")) {
		name->len = 0;
		buf_str(name, "index.html");
		buf_char(name, '\0');
	} else if (temp_is_one(name->data)) {
		name->data[0] = '_';
	}
}

/* The path below the directory of -P. */
static void find_path(const struct item *item, const struct url *url, const char *wanted,
		      struct buf *path)
{
	const struct fetch_item *own = item_priv_const(item);
	const struct fetch_settings *set = item->settings;

	if (set->output || own->path) {
		buf_str(path, set->output ? set->output : own->path);
		buf_char(path, '\0');
		return;
	}
	if (wanted)
		buf_str(path, wanted);
	else
		name_of_url(url, path);
	clean_name(path);
}

static void note_dst(struct item *item, const char *path)
{
	struct fetch_item *own = item_priv(item);
	const struct fetch_settings *set = item->settings;
	struct buf dst = {0};

	if (set->dir && *path != '/') {
		buf_str(&dst, set->dir);
		if (dst.data[dst.len - 1] != '/')
			buf_char(&dst, '/');
	}
	buf_add(&dst, path, strlen(path) + 1);
	free(own->dst);
	own->dst = dst.data;
}

/* ---- directories */

/* Opens the directories of a path below @fd one after the other, making those that are missing. */
static int open_steps(int fd, char *path, int *opened)
{
	int dirfd = fd, next;

	for (char *step = path, *slash; (slash = strchr(step, '/')); step = slash + 1) {
		*slash = '\0';
		if (mkdirat(dirfd, step, 0777) && errno != EEXIST)
			next = -errno;
		else
			next = call_open_beneath(dirfd, step, O_PATH | O_DIRECTORY);
		*slash = '/';
		if (dirfd != fd)
			close(dirfd);
		if (next < 0)
			return next;
		dirfd = next;
	}
	*opened = dirfd;
	return 0;
}

static int find_directory(struct place *p, char *path)
{
	const struct fetch_settings *set = p->item->settings;
	char *slash = strrchr(path, '/');
	struct base base = {0};
	struct stat st;
	int err;

	/* -o is the user's own word, wherever it leads. */
	if (set->output && slash) {
		*slash = '\0';
		p->dirfd =
			call_openat(AT_FDCWD, slash == path ? "/" : path, O_PATH | O_DIRECTORY, 0);
		*slash = '/';
		if (p->dirfd < 0)
			return p->dirfd;
		p->has_leftover = true;
	} else {
		err = find_base(p->item->job->fetch->places, set->dir ? set->dir : ".", &base);
		if (!err && slash)
			err = open_steps(base.fd, path, &p->dirfd);
		if (err)
			return err;
		p->dev = base.st.st_dev;
		p->ino = base.st.st_ino;
		p->has_leftover = slash || base.has_leftovers;
		if (!slash) {
			p->dirfd = base.fd;
			p->on_base = true;
			return 0;
		}
	}
	p->own_dirfd = true;
	if (fstat(p->dirfd, &st))
		return -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	p->on_base = !set->output && st.st_dev == base.st.st_dev;
	return 0;
}

/* Two items with one path: that is an error of the second. */
static int claim(struct place *p)
{
	struct fetch_item *own = item_priv(p->item);
	const struct fetch_settings *set = p->item->settings;
	struct places *places = p->item->job->fetch->places;
	struct stat source = {0};
	int claimed;

	/* In an earlier attempt; but a server may say another name by now. */
	if (own->claimed && !set->by_disposition)
		return 0;
	if (!own->claimant)
		own->claimant = atomic_fetch_add(&places->claimants, 1) + 1;
	source.st_ino = (ino_t)own->claimant;
	claimed = claims_take(places->claims, p->dev, p->ino, p->name, &source, 0);
	if (claimed < 0)
		return claimed;
	if (claimed == CLAIM_OTHER) {
		p->item->why = "another item of this run has this path";
		return -EEXIST;
	}
	own->claimed = true;
	return 0;
}

/*
 * Neither a device, a FIFO or a socket is to become a file, nor what this run writes itself. Of -o
 * also one that a link names.
 */
static int check_existing(struct place *p)
{
	const struct fetch_settings *set = p->item->settings;
	struct stat st;

	if (fstatat(p->dirfd, p->name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	/* Not set-user-ID and its like: that was given to another content. */
	p->replaces = S_ISREG(st.st_mode);
	p->mode = st.st_mode & 0777;
	if (set->output && S_ISLNK(st.st_mode) && fstatat(p->dirfd, p->name, &st, 0))
		return 0;
	p->item->why = own_file_as_destination(p->item->job->own, &st);
	if (!p->item->why && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode))
		p->item->why = "what is there is no regular file";
	return p->item->why ? -EEXIST : 0;
}

void place_init(struct place *p, struct item *item)
{
	memset(p, 0, offsetof(struct place, name));
	p->item = item;
	p->dirfd = p->fd = -1;
	p->name[0] = p->temp[0] = p->validator[0] = p->url[0] = '\0';
}

int place_find(struct place *p, struct item *item, const struct url *url, const char *wanted)
{
	struct buf path = {0};
	const char *name;
	int err;

	place_init(p, item);
	find_path(item, url, wanted, &path);
	note_dst(item, path.data);
	name = strrchr(path.data, '/');
	name = name ? name + 1 : path.data;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		err = -EISDIR;
	else if (strlen(name) > NAME_MAX)
		err = -ENAMETOOLONG;
	else
		err = find_directory(p, path.data);
	if (!err) {
		strcpy(p->name, name);
		temp_name(name, p->temp);
		if (p->has_leftover)
			p->temps = find_temps(item->job->fetch->places, p);
		err = check_existing(p);
	}
	if (!err)
		err = claim(p);
	buf_free(&path);
	return err;
}

bool place_existing(const struct place *p, struct stat *st, char *etag, size_t etag_size)
{
	char path[64];
	ssize_t len = -1;
	int fd;

	etag[0] = '\0';
	if (fstatat(p->dirfd, p->name, st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st->st_mode))
		return false;
	fd = call_openat(p->dirfd, p->name, O_PATH | O_NOFOLLOW, 0);
	if (fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = getxattr(path, ETAG_ATTR, etag, etag_size - 1);
		close(fd);
	}
	etag[len > 0 ? len : 0] = '\0';
	return true;
}

/* ---- the file */

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (size_t at = 0; at < len; at += (size_t)n) {
		n = call_pwrite(fd, data + at, len - at, (off_t)at);
		if (n < 0)
			return (int)n;
	}
	return 0;
}

/* What it has beside its content. */
static int dress(int fd, const struct finish *finish)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = finish->mtime}};

	if (finish->etag)
		fsetxattr(fd, ETAG_ATTR, finish->etag, strlen(finish->etag), 0);
	return finish->mtime != INT64_MIN && futimens(fd, times) ? -errno : 0;
}

/* Some file systems tell only at a close that they could not write; what holds a lock has to stay. */
static int close_early(int fd)
{
	int copy = dup(fd);

	return copy < 0 ? -errno : call_close(copy);
}

/* Whether a file may come to be without a temporary name: nothing is there, under either name. */
static bool may_be_nameless(const struct place *p)
{
	const struct fetch_item *own = item_priv_const(p->item);
	struct stat st;
	size_t at = 0;

	if (p->fd >= 0 || p->replaces || own->repeats ||
	    atomic_load_explicit(&p->item->job->fetch->places->named_only, memory_order_relaxed) ==
		    p->dev)
		return false;
	return !p->has_leftover ||
	       (!temps_next(p->temps, p->name, &at) &&
		fstatat(p->dirfd, p->temp, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT);
}

/*
 * Makes the file without a name, and gives it its own. On ext4 that takes two thirds of the time of
 * a temporary name and a rename, and less of the directory's lock; and who is killed leaves
 * nothing. Where anything goes wrong nothing has happened.
 */
static bool commit_nameless(struct place *p, const struct finish *finish)
{
	struct places *places = p->item->job->fetch->places;
	int fd = call_openat(p->dirfd, ".", O_WRONLY | O_TMPFILE, 0666), err;

	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
		atomic_store_explicit(&places->named_only, p->dev, memory_order_relaxed);
	if (fd < 0)
		return false;
	err = write_all(fd, finish->data, finish->len);
	if (!err)
		err = dress(fd, finish);
	/* Of the trusted ones NFS alone tells at a close, and that has no files without a name. */
	if (!err && !p->trusted)
		err = close_early(fd);
	if (!err)
		err = call_link_fd(fd, p->dirfd, p->name);
	close(fd);
	return !err;
}

int place_commit(struct place *p, const struct finish *finish)
{
	int err = 0;

	if (finish->data && may_be_nameless(p) && commit_nameless(p, finish))
		return 0;
	if (finish->data) {
		err = place_create(p);
		if (!err)
			err = write_all(p->fd, finish->data, finish->len);
	}
	/* It takes the place of a file, and keeps its mode; where there are none it has none. */
	if (!err && p->replaces)
		fchmod(p->fd, p->mode);
	if (!err && p->validator[0])
		place_unnote(p);
	if (!err)
		err = dress(p->fd, finish);
	if (!err)
		err = close_early(p->fd);
	/* One that was made here was looked at when it was locked, a moment ago. */
	if (!err && !finish->data && !dest_is_named(p->dirfd, p->temp, p->fd))
		err = -ESTALE;
	if (!err)
		err = call_renameat(p->dirfd, p->temp, p->name);
	if (!err) {
		close(p->fd);
		p->fd = -1;
	}
	return err;
}

void place_close(struct place *p, bool keep)
{
	if (p->fd >= 0) {
		if (!keep && dest_is_named(p->dirfd, p->temp, p->fd))
			unlinkat(p->dirfd, p->temp, 0);
		close(p->fd);
		p->fd = -1;
	}
	if (p->own_dirfd)
		close(p->dirfd);
	p->own_dirfd = false;
	p->dirfd = -1;
}
