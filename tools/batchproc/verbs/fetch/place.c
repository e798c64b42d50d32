/* SPDX-License-Identifier: MIT */
/*
 * place: the file that a body becomes.
 *
 * Below -P no step of a path goes through a symbolic link, and a file takes the place of a link,
 * never of what that names. What a partial file is part of stands in an attribute of the file:
 * where the file system has none, a run that was killed begins such a file anew. Plain calls, in a
 * task or on a helper thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

#define PARTIAL_ATTR "user.batchproc.partial" /* VALIDATOR NUL URL */
#define ETAG_ATTR "user.batchproc.etag"

struct places {
	struct claims *claims;
	atomic_uint_fast64_t claimants; /* how many there have been */
	pthread_mutex_t lock; /* covers what follows */
	struct base {
		const char *dir;
		int fd;
		struct stat st;
	} * bases;
	size_t count;
};

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
	struct base base;
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
	} else {
		err = find_base(p->item->job->fetch->places, set->dir ? set->dir : ".", &base);
		if (!err && slash)
			err = open_steps(base.fd, path, &p->dirfd);
		if (err)
			return err;
		p->dev = base.st.st_dev;
		p->ino = base.st.st_ino;
		if (!slash) {
			p->dirfd = base.fd;
			return 0;
		}
	}
	p->own_dirfd = true;
	if (fstat(p->dirfd, &st))
		return -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
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

int place_find(struct place *p, struct item *item, const struct url *url, const char *wanted)
{
	struct buf path = {0};
	const char *name;
	int err;

	*p = (struct place){.item = item, .dirfd = -1, .fd = -1};
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

/* ---- the temporary file */

/* TOTAL FROM-TO ... of a file in segments. False: it makes no sense. */
static bool take_parts(struct place *p, const char *text, uint64_t size)
{
	unsigned long long total, from, to, before = 0;
	int len;

	if (sscanf(text, "%llu%n", &total, &len) != 1 || total != size)
		return false;
	p->total = total;
	for (text += len; *text; text += len) {
		if (p->part_count == SEGMENTS_MOST ||
		    sscanf(text, " %llu-%llu%n", &from, &to, &len) != 2 || from < before ||
		    to <= from || to > total)
			return false;
		p->parts[p->part_count++] = (struct part){from, to};
		before = to;
	}
	return true;
}

/* Which of the item's mirrors the partial file says that it is of; false: none. */
static bool find_mirror(struct place *p)
{
	size_t count = line_mirrors(p->item);
	bool same = false;

	for (size_t i = 0; i < count && !same; i++) {
		struct buf text = {0};
		struct url url;

		if (line_url(p->item, i, &url))
			continue;
		url_text(&url, &text);
		buf_char(&text, '\0');
		same = !strcmp(text.data, p->url);
		p->mirror = i;
		buf_free(&text);
		url_free(&url);
	}
	return same;
}

/* Whether the attribute says that the file is a part; then what it says is noted. */
static bool is_part(struct place *p, uint64_t size)
{
	char attr[sizeof(p->validator) + sizeof(p->url) + 1024];
	ssize_t len = fgetxattr(p->fd, PARTIAL_ATTR, attr, sizeof(attr) - 1);
	const char *its_url, *parts;

	if (len <= 0)
		return false;
	attr[len] = '\0';
	its_url = attr + strlen(attr) + 1;
	if (its_url >= attr + len || its_url - attr > (ptrdiff_t)sizeof(p->validator))
		return false;
	parts = its_url + strlen(its_url) + 1;
	if (parts - its_url > (ptrdiff_t)sizeof(p->url))
		return false;
	strcpy(p->validator, attr);
	strcpy(p->url, its_url);
	p->total = p->part_count = 0;
	return find_mirror(p) && (parts >= attr + len || take_parts(p, parts, size));
}

int place_reopen(struct place *p)
{
	struct stat st;
	int err = -ENOENT;

	p->fd = call_openat(p->dirfd, p->temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (p->fd < 0)
		return p->fd;
	if (!fstat(p->fd, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1) {
		if (flock(p->fd, LOCK_EX | LOCK_NB))
			err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		else if (st.st_size > 0 && dest_is_named(p->dirfd, p->temp, p->fd) &&
			 is_part(p, (uint64_t)st.st_size))
			err = 0;
	}
	if (!err) {
		p->offset = (uint64_t)st.st_size;
		return 0;
	}
	close(p->fd);
	p->fd = -1;
	p->validator[0] = '\0';
	p->total = p->part_count = 0;
	return err;
}

void place_forget(struct place *p)
{
	p->offset = p->total = p->part_count = 0;
	p->validator[0] = '\0';
}

int place_create(struct place *p)
{
	place_forget(p);
	if (p->fd >= 0) {
		fremovexattr(p->fd, PARTIAL_ATTR);
		return call_ftruncate(p->fd, 0);
	}
	p->fd = temp_create(p->dirfd, p->temp, O_RDWR, p->replaces ? 0600 : 0666);
	return p->fd < 0 ? p->fd : 0;
}

void place_note(struct place *p, const struct url *url, const char *validator)
{
	struct buf attr = {0}, text = {0};

	if (url) {
		url_text(url, &text);
		buf_char(&text, '\0');
		if (strlen(validator) < sizeof(p->validator) && text.len <= sizeof(p->url)) {
			strcpy(p->validator, validator);
			memcpy(p->url, text.data, text.len);
		}
		buf_free(&text);
	}
	if (!p->validator[0])
		return;
	buf_add(&attr, p->validator, strlen(p->validator) + 1);
	buf_str(&attr, p->url);
	if (p->total) {
		buf_printf(&attr, "%c%llu", 0, (unsigned long long)p->total);
		for (size_t i = 0; i < p->part_count; i++)
			buf_printf(&attr, " %llu-%llu", (unsigned long long)p->parts[i].from,
				   (unsigned long long)p->parts[i].to);
	}
	if (fsetxattr(p->fd, PARTIAL_ATTR, attr.data, attr.len, 0))
		p->unnoted = true;
	buf_free(&attr);
}

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

int place_commit(struct place *p, const struct finish *finish)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = finish->mtime}};
	int err = 0;

	if (finish->data) {
		err = place_create(p);
		if (!err)
			err = write_all(p->fd, finish->data, finish->len);
	}
	/* It takes the place of a file, and keeps its mode; where there are none it has none. */
	if (!err && p->replaces)
		fchmod(p->fd, p->mode);
	if (!err && p->validator[0])
		fremovexattr(p->fd, PARTIAL_ATTR);
	if (!err && finish->etag)
		fsetxattr(p->fd, ETAG_ATTR, finish->etag, strlen(finish->etag), 0);
	if (!err && finish->mtime != INT64_MIN && futimens(p->fd, times))
		err = -errno;
	/* Some file systems tell only at a close that they could not write; the lock has to stay. */
	if (!err) {
		int fd = dup(p->fd);

		err = fd < 0 ? -errno : call_close(fd);
	}
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

void place_give_way(const struct place *p)
{
	temp_give_way(p->dirfd, p->temp);
}

void place_discard(struct item *item)
{
	struct place p;
	struct url url;
	int err = -EIO;

	if (line_url(item, 0, &url))
		return;
	/* Nobody comes after this who could remove it. It may be empty, and so no part of anything. */
	for (int tries = 0; err && tries < 3; tries++) {
		err = place_find(&p, item, &url, NULL);
		if (!err)
			err = temp_give_way(p.dirfd, p.temp);
		place_close(&p, true);
	}
	url_free(&url);
}
