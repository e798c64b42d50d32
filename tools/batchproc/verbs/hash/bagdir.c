/* SPDX-License-Identifier: MIT */
/*
 * bagdir: what is in a directory that becomes a bag. See bagdir.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "cli/inputs.h"
#include "digest/bagline.h"
#include "digest/seen.h"
#include "verbs/hash/bagdir.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

bool bagdir_has(int dirfd, const char *name)
{
	struct stat st;

	return !call_fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
}

/* Name by name, so that it may be as deep as it likes, and through no symbolic link. */
static int open_below(int dirfd, const char *path)
{
	int fd = call_openat(dirfd, ".", DIRECTORY, 0);
	char name[NAME_MAX + 1];

	while (fd >= 0 && *path) {
		size_t len = strcspn(path, "/");
		int next;

		if (len > NAME_MAX) {
			call_close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		next = call_openat(fd, name, DIRECTORY, 0);
		call_close(fd);
		fd = next;
		path += len;
		path += strspn(path, "/");
	}
	return fd;
}

static int each_of(DIR *dir, int (*take)(void *ctx, const char *name), void *ctx)
{
	const struct dirent *entry;
	int err = 0;

	while (!err) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = take(ctx, entry->d_name);
	}
	return err;
}

int bagdir_each(int dirfd, const char *path, int (*take)(void *ctx, const char *name), void *ctx)
{
	int err, fd = open_below(dirfd, path);
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		call_close(fd);
		return -ENOMEM;
	}
	err = each_of(dir, take, ctx);
	closedir(dir);
	return err;
}

bool bagdir_is_manifest(const char *name, bool *tag, bool *part)
{
	const char *end = name + strlen(name);

	*tag = !strncmp(name, "tag", 3);
	name += *tag ? 3 : 0;
	if (strncmp(name, "manifest-", 9))
		return false;
	name += 9;
	*part = end - name > 5 && !strcmp(end - 5, ".part");
	end -= *part ? 5 : 0;
	return end - name > 4 && !memcmp(end - 4, ".txt", 4);
}

/* ---- the manifest */

struct compare {
	struct bagdir_wrong *wrong;
	struct seen *seen; /* LISTED, FOUND */
	struct buf manifest; /* its name */
	struct buf stack; /* directories that are still to be read, each with a NUL */
	struct buf path; /* the one that is read */
	size_t from; /* in paths, where the name below data/ begins */
	bool passes_stage;
	int top, fd;
};

enum {
	LISTED = 1,
	FOUND,
};

static int take_manifest(void *ctx, const char *name)
{
	struct compare *c = ctx;
	bool tag, part;

	if (!bagdir_is_manifest(name, &tag, &part) || tag || part)
		return 0;
	buf_add(&c->manifest, name, strlen(name) + 1);
	return 1;
}

static int is_wrong(struct compare *c, const char *name, size_t len, const char *why)
{
	struct buf *buf = &c->wrong->name;

	buf->len = 0;
	buf_add(buf, name, len);
	buf_char(buf, '\0');
	c->wrong->why = why;
	return 1;
}

/* Either takes the names in, or looks for one that was not found. */
static int read_manifest(struct compare *c, int dirfd, bool look)
{
	const char *name = c->manifest.data;
	const char *at = name + strlen("manifest-");
	const struct digest_alg *alg = digest_by_spelling(at, strlen(at) - strlen(".txt"));
	struct lines lines = {.name = name, .separator = '\n', .regular = true};
	struct sumline line;
	struct buf path = {0};
	char *text;
	size_t len;
	int err;

	lines.fd = call_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	err = lines.fd < 0 ? lines.fd : alg ? 0 : -EINVAL;
	while (!err && !c->wrong->why && lines_next(&lines, NULL, &text, &len)) {
		if (bagline_parse(&line, alg, text, len) != SUMLINE_ENTRY) {
			is_wrong(c, name, strlen(name), "has lines that are none of a manifest");
			break;
		}
		path.len = 0;
		bagline_decode(&path, line.name, line.len);
		if (!look)
			*seen_add(c->seen, path.data, path.len) = LISTED;
		else if (*seen_add(c->seen, path.data, path.len) != FOUND)
			is_wrong(c, path.data, path.len, "is no longer there");
	}
	if (!err)
		err = lines.err;
	if (err)
		is_wrong(c, name, strlen(name), NULL);
	lines_close(&lines);
	buf_free(&path);
	return err;
}

/* ---- the files */

static int take_file(struct compare *c, const char *path, size_t len, mode_t mode)
{
	struct buf name = {0};
	uint32_t *number;
	const char *why = NULL;

	buf_str(&name, BAG_DATA "/");
	buf_add(&name, path, len);
	number = seen_add(c->seen, name.data, name.len);
	if (!*number)
		why = "is in no manifest: it came while the bag was made";
	else if (!S_ISREG(mode))
		why = "is no longer a regular file";
	else if (*number == FOUND)
		why = "is there twice";
	*number = FOUND;
	if (why)
		is_wrong(c, name.data, name.len, why);
	buf_free(&name);
	return why ? 1 : 0;
}

static int take_name(void *ctx, const char *name)
{
	struct compare *c = ctx;
	const size_t dir_len = c->path.len;
	struct stat st;
	int err;

	if (c->passes_stage && !dir_len && !strcmp(name, BAG_STAGE))
		return 0;
	buf_str(&c->path, name);
	err = call_fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (err) {
		is_wrong(c, c->path.data, c->path.len, NULL);
	} else if (S_ISDIR(st.st_mode)) {
		buf_add(&c->stack, c->path.data, c->path.len);
		buf_add(&c->stack, "/", 2);
	} else {
		err = take_file(c, c->path.data + c->from, c->path.len - c->from, st.st_mode);
	}
	c->path.len = dir_len;
	return err;
}

/* Takes the last directory off the stack. */
static void pop(struct compare *c)
{
	size_t at = c->stack.len - 1;

	while (at && c->stack.data[at - 1])
		at--;
	c->path.len = 0;
	buf_add(&c->path, c->stack.data + at, c->stack.len - 1 - at);
	c->stack.len = at;
}

/* All below @top, which is a directory of DIR, or "" for DIR itself. */
static int take_tree(struct compare *c, int dirfd, const char *top)
{
	int err = 0;

	c->from = strlen(top);
	c->passes_stage = !*top;
	buf_add(&c->stack, top, strlen(top) + 1);
	while (!err && c->stack.len) {
		pop(c);
		buf_char(&c->path, '\0');
		c->fd = open_below(dirfd, c->path.data);
		c->path.len--;
		err = c->fd < 0 ? c->fd : bagdir_each(c->fd, "", take_name, c);
		if (err < 0 && !c->wrong->name.len)
			is_wrong(c, c->path.data, c->path.len, NULL);
		if (c->fd >= 0)
			call_close(c->fd);
	}
	return err;
}

static int take_trees(struct compare *c, int dirfd, int stage, bool moved)
{
	int err = 0;

	if (!bagdir_has(stage, BAG_DATA))
		return take_tree(c, dirfd, BAG_DATA "/");
	if (!moved)
		err = take_tree(c, dirfd, "");
	return err ? err : take_tree(c, dirfd, BAG_STAGE "/" BAG_DATA "/");
}

int bagdir_compare(int dirfd, int stage, bool moved, struct bagdir_wrong *wrong)
{
	struct compare c = {.wrong = wrong, .seen = seen_new()};
	int in = stage, err = bagdir_each(stage, "", take_manifest, &c);

	wrong->why = NULL;
	wrong->name.len = 0;
	if (!err) {
		in = dirfd;
		err = bagdir_each(dirfd, "", take_manifest, &c);
	}
	if (!err)
		err = -ENOENT;
	if (err > 0)
		err = read_manifest(&c, in, false);
	if (!err && !wrong->why)
		err = take_trees(&c, dirfd, stage, moved);
	if (!err && !wrong->why)
		err = read_manifest(&c, in, true);
	if (err < 0 && !wrong->name.len)
		is_wrong(&c, "manifest-*.txt", strlen("manifest-*.txt"), NULL);
	seen_free(c.seen);
	buf_free(&c.manifest);
	buf_free(&c.stack);
	buf_free(&c.path);
	return err < 0 ? err : 0;
}
