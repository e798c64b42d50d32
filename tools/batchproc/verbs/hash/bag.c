/* SPDX-License-Identifier: MIT */
/*
 * hash --bag: makes a bag of BagIt (RFC 8493) of a directory, in place.
 *
 *	DIR/.batchproc-bag/	the stage, until the bag is whole
 *		manifest-ALG.txt.part	while files are read, where they are
 *		data/, bagit.txt, ...	made when all were read; the tag manifest last
 *	then what is in DIR goes into the stage's data/, name by name; data/ itself and the tag files
 *	go to where they belong, bagit.txt last, and the stage goes.
 *
 * All of that is renaming, so that nothing is lost whenever it ends, and DIR is taken for a bag only
 * once it is one. Which of the steps were done is seen from what is there: a run over the same
 * directory goes on. What cannot be read leaves DIR as it was. So does what has come or gone while
 * files were read: before anything is moved, and again when the payload was, what is there is
 * compared with the manifest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "batchproc.h"
#include "base/alloc.h"
#include "base/calls.h"
#include "base/device.h"
#include "base/message.h"
#include "digest/bagline.h"
#include "digest/hasher.h"
#include "run/feed.h"
#include "run/job.h"
#include "verbs/hash/bagdir.h"
#include "verbs/hash/hash.h"
#include "walk/tree.h"
#include "walk/walk.h"

#define BAGIT "bagit.txt"
#define INFO "bag-info.txt"
#define WRITE_AT 65536u

struct bag_run {
	const struct digest_alg *alg;
	char *dir;
	int dirfd, stage; /* -1: not open */
	int part; /* the manifest, while files are read */
	bool read; /* an earlier run has read all files */
	pthread_mutex_t lock; /* covers what follows */
	struct buf lines;
	uint64_t bytes, count;
	int err; /* why the manifest could not be written */
	/* Main thread: */
	struct bagdir_wrong wrong;
	struct buf why;
};

struct bag_run *hash_bag_new(const struct digest_alg *alg)
{
	struct bag_run *bag = xcalloc(1, sizeof(*bag));

	bag->alg = alg;
	bag->dirfd = bag->stage = bag->part = -1;
	pthread_mutex_init(&bag->lock, NULL);
	return bag;
}

void hash_bag_free(struct bag_run *bag)
{
	if (!bag)
		return;
	if (bag->part >= 0)
		call_close(bag->part);
	if (bag->stage >= 0)
		call_close(bag->stage);
	if (bag->dirfd >= 0)
		call_close(bag->dirfd);
	pthread_mutex_destroy(&bag->lock);
	buf_free(&bag->lines);
	buf_free(&bag->wrong.name);
	buf_free(&bag->why);
	free(bag->dir);
	free(bag);
}

/* "manifest-sha256.txt" and the like, with a NUL. */
static const char *manifest_name(const struct bag_run *bag, struct buf *buf, const char *before,
				 const char *after)
{
	buf->len = 0;
	buf_str(buf, before);
	buf_str(buf, "manifest-");
	bagline_add_name(buf, bag->alg);
	buf_str(buf, after);
	buf_char(buf, '\0');
	return buf->data;
}

/* ---- files are read */

static int flush(struct bag_run *bag)
{
	if (!bag->err)
		bag->err = call_write_all(bag->part, bag->lines.data, bag->lines.len);
	bag->lines.len = 0;
	return bag->err;
}

static bool is_plain(unsigned char type)
{
	return type == DT_REG || type == DT_UNKNOWN;
}

const char *hash_bag_refuses(const struct item *item)
{
	struct buf path = {0};
	bool good;

	if (item->type == DT_LNK)
		return "is a symbolic link, which a bag cannot hold";
	if (!is_plain(item->type))
		return "is not a regular file, and a bag holds nothing else";
	item_path(item, &path);
	good = utf8_valid(path.data, path.len);
	buf_free(&path);
	return good ? NULL : "has a name that is not UTF-8, as those of a manifest are";
}

int hash_bag_add(struct bag_run *bag, const struct item *item, const unsigned char *digest,
		 uint64_t size)
{
	struct buf name = {0};
	int err;

	buf_str(&name, BAG_DATA "/");
	if (item->dir)
		dirnode_path_below(item->dir, &name);
	buf_add(&name, item->name.data, item->name.len);
	pthread_mutex_lock(&bag->lock);
	bagline_add(&bag->lines, bag->alg, digest, name.data, name.len);
	bag->bytes += size;
	bag->count++;
	err = bag->lines.len < WRITE_AT ? 0 : flush(bag);
	pthread_mutex_unlock(&bag->lock);
	buf_free(&name);
	return err;
}

/* The stage is no part of what is to be in the bag. */
static int enter(struct dirnode *dir)
{
	if (!dir->parent || dir->parent->parent || strcmp(dir->name, BAG_STAGE))
		return 0;
	dir->why = "is where the bag is made";
	return WALK_PASS;
}

/* ---- the stage */

struct clearing {
	struct bag_run *bag;
	bool tags; /* only the tag manifests: without them nothing was read */
	bool removed;
};

/* Says what is in the way. */
static int is_in_the_way(struct bag_run *bag, const char *name, int err)
{
	bag->why.len = 0;
	buf_printf(&bag->why, "%s/" BAG_STAGE "/%s is in the way: ", bag->dir, name);
	buf_printf(&bag->why, "%s%c", err == -ENOTEMPTY ? "no run has left it" : error_text(err),
		   '\0');
	return err;
}

static int clear_name(void *ctx, const char *name)
{
	struct clearing *c = ctx;
	bool tag = false, part, manifest = bagdir_is_manifest(name, &tag, &part);
	int err;

	if (c->tags ? !manifest || !tag : !strcmp(name, BAG_DATA))
		return 0;
	if (!manifest && strcmp(name, BAGIT) && strcmp(name, INFO))
		return is_in_the_way(c->bag, name, -ENOTEMPTY);
	err = call_unlinkat(c->bag->stage, name, 0);
	c->removed |= !err;
	return err && err != -ENOENT ? is_in_the_way(c->bag, name, err) : 0;
}

/* What a run left that was ended before anything was moved, in whatever algorithm. */
static int clear_stage(struct bag_run *bag)
{
	struct clearing c = {.bag = bag};
	int err = 0;

	bag->why.len = 0;
	for (int pass = 0; pass < 2; pass++) {
		c.tags = !pass;
		/* Again, for what a directory that changes may not have shown. */
		do {
			c.removed = false;
			err = bagdir_each(bag->stage, "", clear_name, &c);
		} while (!err && c.removed);
		if (err)
			return err;
	}
	err = call_unlinkat(bag->stage, BAG_DATA, AT_REMOVEDIR);
	if (err && err != -ENOENT)
		return is_in_the_way(bag, BAG_DATA, err);
	return call_unlinkat(bag->dirfd, BAG_STAGE, AT_REMOVEDIR);
}

static int take_tag_manifest(void *ctx, const char *name)
{
	bool tag, part;

	(void)ctx;
	return bagdir_is_manifest(name, &tag, &part) && tag && !part;
}

static int take_any(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

/* Whether an earlier run was done with reading, in whatever algorithm. 1, 0 or -errno. */
static int was_read(const struct bag_run *bag)
{
	const bool done = bagdir_has(bag->dirfd, BAGIT);
	int found = bagdir_each(bag->stage, "", take_tag_manifest, NULL);

	if (found)
		return found;
	if (!bagdir_has(bag->stage, BAG_DATA) && bagdir_has(bag->stage, BAGIT))
		return 1;
	/* Only the stage itself is left. */
	if (!done)
		return 0;
	found = bagdir_each(bag->stage, "", take_any, NULL);
	return found > 0 ? -EEXIST : found < 0 ? found : 1;
}

static int open_stage(struct bag_run *bag)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct buf name = {0};
	int err;

	bag->stage = call_openat(bag->dirfd, BAG_STAGE, flags, 0);
	if (bag->stage >= 0) {
		err = was_read(bag);
		bag->read = err > 0;
		if (bag->read)
			return 0;
		if (!err)
			err = clear_stage(bag);
		call_close(bag->stage);
		bag->stage = -1;
		if (err)
			return err;
	}
	err = call_mkdirat(bag->dirfd, BAG_STAGE, 0777);
	if (err)
		return err;
	bag->stage = call_openat(bag->dirfd, BAG_STAGE, flags, 0);
	if (bag->stage < 0)
		return bag->stage;
	bag->part = call_openat(bag->stage, manifest_name(bag, &name, "", ".txt.part"),
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	buf_free(&name);
	return bag->part < 0 ? bag->part : 0;
}

static void fault(struct job *job, const char *name, const char *why, int err)
{
	struct item *item = item_new_undivided(job, &job->class, NULL, name, strlen(name));

	item->why = why;
	item_finish(item, STATUS_FAILED, err);
}

void hash_bag_feed(struct job *job)
{
	static const struct tree_ops all = {
		.follows = true,
		.takes = 1u << DT_LNK | 1u << DT_FIFO | 1u << DT_SOCK | 1u << DT_CHR | 1u << DT_BLK,
		.enter = enter,
	};
	const struct settings *set = job->class.settings;
	struct bag_run *bag = set->bag_run;
	struct walk_root root = {.class = &job->class, .ops = &all};
	const char *name;
	struct stat st;
	size_t len;
	int err;

	job->empty_is_fine = true;
	if (!feed_next(job, &name, &len))
		return;
	bag->dir = xstrdup(name);
	bag->dirfd = call_openat(AT_FDCWD, bag->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	err = bag->dirfd < 0 ? bag->dirfd : call_fstat(bag->dirfd, &st);
	if (!err && bagdir_has(bag->dirfd, BAGIT) && !bagdir_has(bag->dirfd, BAG_STAGE)) {
		fault(job, bag->dir, "is a bag already (it has a " BAGIT ")", -EEXIST);
		return;
	}
	if (!err && !job->opt->dry_run)
		err = open_stage(bag);
	if (err) {
		fault(job, bag->dir,
		      bag->why.len   ? bag->why.data :
		      err == -EEXIST ? "is a bag already (it has a " BAGIT ")" :
				       NULL,
		      err);
		return;
	}
	if (bag->read) {
		if (!job->opt->quiet)
			message("%s: an earlier run has read all files; it is made a bag",
				bag->dir);
		return;
	}
	root.kind = device_kind_of_path(st.st_dev, bag->dir);
	walk_add(job->walk, &root, bag->dir, strlen(bag->dir));
}

/* ---- the tag files */

/* Written whole, or not at all. */
static int write_file(const struct bag_run *bag, const char *name, const struct buf *text)
{
	int fd = call_openat(bag->stage, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int err, closed;

	if (fd < 0)
		return fd;
	err = call_write_all(fd, text->data, text->len);
	if (!err)
		err = call_fsync(fd);
	closed = call_close(fd);
	return err ? err : closed;
}

static int write_declarations(const struct bag_run *bag)
{
	struct buf text = {0};
	time_t now = time(NULL);
	struct tm tm;
	int err;

	buf_str(&text, "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n");
	err = write_file(bag, BAGIT, &text);
	text.len = 0;
	gmtime_r(&now, &tm);
	buf_printf(&text, "Bag-Software-Agent: batchproc %s\nBagging-Date: %04d-%02d-%02d\n",
		   bp_version(), tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	buf_printf(&text, "Payload-Oxum: %llu.%llu\n", (unsigned long long)bag->bytes,
		   (unsigned long long)bag->count);
	if (!err)
		err = write_file(bag, INFO, &text);
	buf_free(&text);
	return err;
}

/* A line of the tag manifest. */
static int add_tag_file(const struct bag_run *bag, struct buf *lines, const char *name)
{
	struct hasher *hasher = hasher_get();
	unsigned char result[DIGEST_SIZE_MAX];
	int fd = call_openat(bag->stage, name, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? fd : 1;

	digest_begin(hasher->digest, bag->alg);
	while (fd >= 0 && (n = call_read(fd, hasher->buffer, HASHER_BYTES)) > 0)
		digest_update(hasher->digest, hasher->buffer, (size_t)n);
	digest_finish(hasher->digest, result);
	bagline_add(lines, bag->alg, result, name, strlen(name));
	hasher_put(hasher);
	if (fd >= 0)
		call_close(fd);
	return n < 0 ? (int)n : 0;
}

/* From here on it is known that all was read. */
static int write_tags(struct bag_run *bag)
{
	struct buf name = {0}, other = {0}, lines = {0};
	int err = flush(bag), closed;

	/* Before the declaration: without it, and with that, all has gone to its place. */
	if (!err)
		err = call_mkdirat(bag->stage, BAG_DATA, 0777);
	if (!err)
		err = call_fsync(bag->part);
	closed = call_close(bag->part);
	bag->part = -1;
	if (!err)
		err = closed;
	if (!err)
		err = call_renameat(bag->stage, manifest_name(bag, &name, "", ".txt.part"),
				    manifest_name(bag, &other, "", ".txt"));
	if (!err)
		err = write_declarations(bag);
	if (!err)
		err = add_tag_file(bag, &lines, BAGIT);
	if (!err)
		err = add_tag_file(bag, &lines, INFO);
	if (!err)
		err = add_tag_file(bag, &lines, other.data);
	if (!err)
		err = write_file(bag, manifest_name(bag, &name, "tag", ".txt.part"), &lines);
	if (!err)
		err = call_renameat(bag->stage, name.data,
				    manifest_name(bag, &other, "tag", ".txt"));
	if (!err)
		err = call_fsync(bag->stage);
	buf_free(&name);
	buf_free(&other);
	buf_free(&lines);
	return err;
}

/* ---- everything goes to its place */

/* As a rename that replaces nothing, also where there is none. */
static int rename_new(int dirfd, const char *from, const char *to)
{
	int err = call_rename_new(dirfd, from, to);

	if (err != -EINVAL)
		return err;
	return bagdir_has(dirfd, to) ? -EEXIST : call_renameat(dirfd, from, to);
}

struct moving {
	const struct bag_run *bag;
	const char *from, *to;
	bool (*wanted)(const char *name);
	bool moved;
};

static int move_name(void *ctx, const char *name)
{
	struct moving *m = ctx;
	struct buf old = {0}, new = {0};
	int err;

	if (!m->wanted(name))
		return 0;
	buf_printf(&old, "%s%s%c", m->from, name, '\0');
	buf_printf(&new, "%s%s%c", m->to, name, '\0');
	err = rename_new(m->bag->dirfd, old.data, new.data);
	m->moved = true;
	if (err)
		message("%s/%s: %s", m->bag->dir, old.data, error_text(err));
	buf_free(&old);
	buf_free(&new);
	return err;
}

/* Renames what is @wanted in one directory of DIR into another. */
static int move_all(const struct bag_run *bag, const char *from, const char *to,
		    bool (*wanted)(const char *name))
{
	struct moving m = {.bag = bag, .from = from, .to = to, .wanted = wanted};
	int err = 0;

	/* Again, for what a directory that changes meanwhile may not have shown. */
	do {
		m.moved = false;
		err = bagdir_each(bag->dirfd, from, move_name, &m);
	} while (!err && m.moved);
	return err;
}

static bool is_payload(const char *name)
{
	return strcmp(name, BAG_STAGE);
}

static bool is_tag(const char *name)
{
	return strcmp(name, BAG_DATA) && strcmp(name, BAGIT);
}

/* Whether the payload is what the manifest says: 0, 1 where it is not, or -errno. */
static int compare(struct bag_run *bag, bool moved)
{
	int err = bagdir_compare(bag->dirfd, bag->stage, moved, &bag->wrong);

	if (err)
		message("%s/%s: %s", bag->dir, bag->wrong.name.data, error_text(err));
	return err ? err : bag->wrong.why != NULL;
}

/* 0, 1 where compare() says so, or -errno. */
static int publish(struct bag_run *bag)
{
	const bool here = bagdir_has(bag->stage, BAG_DATA);
	int err = 0;

	/* What is published already has been compared. */
	if (here || !bagdir_has(bag->dirfd, BAGIT))
		err = compare(bag, false);
	if (!err && here)
		err = move_all(bag, "", BAG_STAGE "/" BAG_DATA "/", is_payload);
	if (!err && here)
		err = compare(bag, true);
	if (!err && here)
		err = rename_new(bag->dirfd, BAG_STAGE "/" BAG_DATA, BAG_DATA);
	if (!err)
		err = move_all(bag, BAG_STAGE "/", "", is_tag);
	if (!err && bagdir_has(bag->stage, BAGIT))
		err = rename_new(bag->dirfd, BAG_STAGE "/" BAGIT, BAGIT);
	if (!err)
		err = call_unlinkat(bag->dirfd, BAG_STAGE, AT_REMOVEDIR);
	if (!err)
		call_fsync(bag->dirfd);
	return err;
}

/* Whether nothing was moved: the stage's data/ is there and empty. */
static bool is_as_it_was(const struct bag_run *bag)
{
	return !bagdir_each(bag->stage, BAG_DATA, take_any, NULL);
}

/* Whether each file is in the manifest. */
static bool is_whole(const struct job *job, const struct bag_run *bag)
{
	const uint64_t *of = job->counts.of;
	const uint64_t done = of[STATUS_OK] + job->counts.restored;

	return job->counts.ended == of[STATUS_OK] + of[STATUS_SKIPPED] && bag->count == done &&
	       of[STATUS_SKIPPED] == job->counts.restored && !job->watch.cut &&
	       atomic_load(&job->stop) == STOP_NONE && !atomic_load(&job->signal);
}

bool hash_bag_finish(struct job *job)
{
	const struct settings *set = job->class.settings;
	struct bag_run *bag = set->bag_run;
	bool made_tags = bag->read;
	int err;

	if (job->opt->dry_run || bag->stage < 0)
		return false;
	if (!bag->read && !is_whole(job, bag)) {
		message("%s: no bag was made, since not all of it was read; it is as it was",
			bag->dir);
		clear_stage(bag);
		return true;
	}
	err = bag->read ? 0 : write_tags(bag);
	made_tags |= !err;
	if (!err)
		err = publish(bag);
	if (!err)
		return false;
	if (err > 0 && is_as_it_was(bag) && !clear_stage(bag)) {
		message("%s: no bag was made: %s %s; the directory is as it was", bag->dir,
			bag->wrong.name.data, bag->wrong.why);
		return true;
	}
	if (err > 0)
		message("%s: no bag was made: %s %s; when that is put right, "
			"the same command goes on with it",
			bag->dir, bag->wrong.name.data, bag->wrong.why);
	else
		message("%s: no bag was made: %s%s", bag->dir, error_text(err),
			made_tags ? "; the same command goes on with it" : "");
	if (!made_tags)
		clear_stage(bag);
	return true;
}
