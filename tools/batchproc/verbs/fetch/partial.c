/* SPDX-License-Identifier: MIT */
/*
 * partial: the temporary file of a body, which a later attempt or run may go on with.
 *
 * What it is part of stands in an attribute of the file: where the file system has none, a run
 * that was killed begins such a file anew. Plain calls, in a task or on a helper thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/calls.h"
#include "run/job.h"
#include "verbs/copy/copy.h"
#include "verbs/fetch/fetch.h"

#define PARTIAL_ATTR "user.batchproc.partial" /* VALIDATOR NUL URL, and NUL PARTS */

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

/* What an earlier run on another machine, or of an older version, has left of it. */
static void sweep(const struct place *p)
{
	const char *temp;
	size_t at = 0;

	while ((temp = temps_next(p->temps, p->name, &at)))
		temp_give_way(p->dirfd, temp);
}

/* The bytes of a file, without what its owner may still be about to write. */
static int copy_bytes(int from, int to)
{
	char bytes[8192];
	off_t at = 0;
	ssize_t n;

	while ((n = call_copy_range(from, to, at, 1u << 30)) > 0)
		at += n;
	while ((n = call_pread(from, bytes, sizeof(bytes), at)) > 0) {
		for (ssize_t done = 0, wrote; done < n; done += wrote) {
			wrote = call_pwrite(to, bytes + done, (size_t)(n - done), at + done);
			if (wrote <= 0)
				return wrote ? (int)wrote : -EIO;
		}
		at += n;
	}
	return (int)n;
}

/*
 * What another machine has left becomes a file of this one: not by another name for it, since that
 * machine may come back and go on. The note of what it is comes last.
 */
static int adopt(struct place *p, const char *temp)
{
	char attr[sizeof(p->validator) + sizeof(p->url) + 1024], own[NAME_MAX + 1];
	int from = call_openat(p->dirfd, temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), to = -1, err;
	struct stat st;
	ssize_t len;

	if (from < 0)
		return from;
	err = !fstat(from, &st) && S_ISREG(st.st_mode) && temp_is_left(temp, from) ? 0 : -EBUSY;
	len = err ? 0 : fgetxattr(from, PARTIAL_ATTR, attr, sizeof(attr));
	if (len <= 0)
		goto out;
	to = temp_create(p->dirfd, p->name, own, O_RDWR, 0600);
	err = to < 0 ? to : strcmp(own, p->temp) ? -EBUSY : copy_bytes(from, to);
	if (!err && !p->replaces)
		err = fchmod(to, st.st_mode & 0777) ? -errno : 0;
	if (!err)
		err = fsetxattr(to, PARTIAL_ATTR, attr, (size_t)len, 0) ? -errno : 0;
	if (err && to >= 0)
		unlinkat(p->dirfd, own, 0);
out:
	if (to >= 0)
		close(to);
	close(from);
	return err;
}

static void adopt_any(struct place *p)
{
	struct stat st;
	const char *temp;
	size_t at = 0;

	while ((temp = temps_next(p->temps, p->name, &at))) {
		if (!strcmp(temp, p->temp) || !fstatat(p->dirfd, p->temp, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (!adopt(p, temp))
			temp_give_way(p->dirfd, temp);
	}
}

int place_reopen(struct place *p)
{
	struct stat st;
	int err = -ENOENT;

	adopt_any(p);
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

void place_unnote(const struct place *p)
{
	fremovexattr(p->fd, PARTIAL_ATTR);
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
		place_unnote(p);
		return call_ftruncate(p->fd, 0);
	}
	sweep(p);
	p->fd = temp_create(p->dirfd, p->name, p->temp, O_RDWR, p->replaces ? 0600 : 0666);
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

void place_give_way(const struct place *p)
{
	temp_give_way(p->dirfd, p->temp);
	sweep(p);
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
		if (!err) {
			err = temp_give_way(p.dirfd, p.temp);
			sweep(&p);
		}
		place_close(&p, true);
	}
	url_free(&url);
}
