/* SPDX-License-Identifier: MIT */
/*
 * copyodd: what is copied by its name: symbolic links, FIFOs, sockets, devices, and the further
 * names of a file that has several.
 *
 * A link is made under its own name where nothing is there. Where something is, and always for what has
 * a mode to be set, it is made under a temporary name, which it then changes for its own: so what has
 * that is finished. (A symbolic link is not, for a moment, where its owner and times are kept; it would
 * cost a rename for each.)
 *
 * A file with several names is copied once; its further names become links to that copy. An item
 * that finds another one at it waits for its end, which it can: that one runs. The table stands
 * under its lock; an entry goes when all names of its file have been seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batchproc.h"
#include "blocking.h"
#include "calls.h"
#include "copy.h"
#include "job.h"
#include "tree.h"
#include "util.h"

#define TABLE_LEAST 256u

struct linked {
	struct linked *next;
	dev_t dev;
	ino_t ino;
	nlink_t left; /* names that have not been seen yet */
	bool there;
	struct dirnode *dir;
	char *name;
	unsigned char digest[DIGEST_SIZE_MAX];
};

static struct {
	pthread_mutex_t lock;
	struct linked **heads;
	size_t size; /* a power of two */
	size_t count;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- making one */

struct making {
	struct item *item;
	const struct copy_settings *set;
	struct spot from, to, link;
	struct stat st;
	const char *name; /* that it is made under */
	char target[PATH_MAX];
	int fd; /* of the source, with O_PATH */
	int link_dir;
	bool made;
};

static int make_named(struct making *m)
{
	int err;

	if (m->link.name)
		err = linkat(m->link.dirfd, m->link.name, m->to.dirfd, m->name, 0);
	else if (S_ISLNK(m->st.st_mode))
		err = symlinkat(m->target, m->to.dirfd, m->name);
	else
		/* Nobody else uses it before it has its owner. */
		err = mknodat(m->to.dirfd, m->name, (m->st.st_mode & S_IFMT) | S_IRUSR | S_IWUSR,
			      m->st.st_rdev);
	m->made = !err;
	return err ? -errno : 0;
}

/* Under a temporary name; one of this name is a leftover of a run that was killed. */
static int make_beside(struct making *m, const char *temp)
{
	int err;

	m->name = temp;
	err = make_named(m);
	if (err == -EEXIST && !unlinkat(m->to.dirfd, temp, 0))
		err = make_named(m);
	return err;
}

static int replace(struct making *m, const struct stat *old)
{
	char temp[NAME_MAX + 1];
	int err;

	if (m->link.name && old->st_dev == m->st.st_dev && old->st_ino == m->st.st_ino) {
		temp_remove(m->item->job, m->to.dirfd, m->to.name);
		return 0;
	}
	temp_name(m->to.name, temp);
	err = make_beside(m, temp);
	if (!err && !m->link.name)
		err = meta_set_odd(m->set, m->fd, &m->st, &(struct spot){m->to.dirfd, temp});
	if (!err)
		err = call_renameat(m->to.dirfd, temp, m->to.name);
	if (err && m->made)
		unlinkat(m->to.dirfd, temp, 0);
	return err;
}

/* A symbolic link would take the place of the file that it leads to. */
static bool leads_to(const struct making *m, const struct stat *old)
{
	struct stat st;

	return S_ISLNK(m->st.st_mode) && !fstatat(m->from.dirfd, m->from.name, &st, 0) &&
	       st.st_dev == old->st_dev && st.st_ino == old->st_ino;
}

/* @m->st is the source's, or the first copy's where a link to that is made. */
static int make(struct making *m)
{
	bool in_place = !m->set->atomic && (m->link.name || S_ISLNK(m->st.st_mode));
	struct stat old;
	int err = -EEXIST;

	if (in_place) {
		m->name = m->to.name;
		err = make_named(m);
		if (!err && !m->link.name)
			err = meta_set_odd(m->set, m->fd, &m->st, &m->to);
		if (err && m->made)
			unlinkat(m->to.dirfd, m->to.name, 0);
		if (!err)
			temp_remove(m->item->job, m->to.dirfd, m->to.name);
	}
	if (err != -EEXIST)
		return err;
	if (fstatat(m->to.dirfd, m->to.name, &old, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return -errno;
		old = (struct stat){.st_mode = S_IFREG};
	} else if (!m->link.name || !S_ISREG(old.st_mode)) {
		if (leads_to(m, &old)) {
			m->item->why = copy_same;
			return -EINVAL;
		}
		err = copy_may_replace(m->item, &m->st, &old);
		if (err)
			return err;
	}
	if (old.st_ino && copy_needless(m->item, &m->st, &old))
		return 0;
	return replace(m, &old);
}

/* In a tree, the directory is synced when all in it is done. */
static int make_lasting(struct making *m)
{
	int err = make(m);

	return !err && m->set->sync && !m->item->dir ? call_fsync(m->to.dirfd) : err;
}

/* ---- links, FIFOs, devices */

static int copy_by_name(void *arg)
{
	struct making *m = arg;
	ssize_t len;
	int err;

	m->fd = call_openat(m->from.dirfd, m->from.name, O_PATH | O_NOFOLLOW, 0);
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
	if (!err)
		err = make_lasting(m);
	close(m->fd);
	return err;
}

int copy_odd(struct item *item, const struct spot *from, const struct spot *to)
{
	struct making *m = xcalloc(1, sizeof(*m));
	unsigned int tries = 0;
	int err;

	item->source.kind = SOURCE_NAME;
	m->item = item;
	m->set = item->settings;
	m->from = *from;
	m->to = *to;
	do {
		err = bp_cancelled() ? bp_yield() : blocking(copy_by_name, m);
	} while ((err == -EMFILE || err == -ENFILE) && job_await_descriptor(item->job, &tries));
	free(m);
	return err;
}

/* ---- hard links */

static struct linked **find(dev_t dev, ino_t ino)
{
	struct linked **at =
		&table.heads[(ino * 0x9e3779b97f4a7c15ull >> 20 ^ dev) & (table.size - 1)];

	while (*at && ((*at)->ino != ino || (*at)->dev != dev))
		at = &(*at)->next;
	return at;
}

static void resize(size_t size)
{
	struct linked **old = table.heads, *entry;
	size_t old_size = table.size;

	table.heads = xcalloc(size, sizeof(struct linked *));
	table.size = size;
	for (size_t i = 0; i < old_size; i++) {
		while ((entry = old[i])) {
			struct linked **at = find(entry->dev, entry->ino);

			old[i] = entry->next;
			entry->next = *at;
			*at = entry;
		}
	}
	free(old);
}

/* One name more has been seen. */
static void seen(struct linked **at)
{
	struct linked *entry = *at;

	if (--entry->left)
		return;
	*at = entry->next;
	table.count--;
	if (entry->dir)
		dirnode_put(entry->dir);
	free(entry->name);
	free(entry);
}

enum link_turn link_turn(const struct stat *st)
{
	enum link_turn turn = LINK_FIRST;
	struct linked **at;

	pthread_mutex_lock(&table.lock);
	if (table.count >= table.size)
		resize(table.size ? 2 * table.size : TABLE_LEAST);
	at = find(st->st_dev, st->st_ino);
	if (*at) {
		turn = (*at)->there ? LINK_THERE : LINK_LATER;
	} else {
		*at = xcalloc(1, sizeof(**at));
		(*at)->dev = st->st_dev;
		(*at)->ino = st->st_ino;
		(*at)->left = st->st_nlink;
		table.count++;
	}
	pthread_mutex_unlock(&table.lock);
	return turn;
}

void link_done(const struct stat *st, struct dirnode *dir, const char *name, bool ok,
	       const unsigned char *digest)
{
	struct linked **at;

	pthread_mutex_lock(&table.lock);
	at = find(st->st_dev, st->st_ino);
	(*at)->there = ok;
	if (ok) {
		(*at)->dir = dirnode_get(dir);
		(*at)->name = xstrdup(name);
		memcpy((*at)->digest, digest, DIGEST_SIZE_MAX);
	} else {
		/* The next one to come is the first. */
		(*at)->left = 1;
	}
	seen(at);
	pthread_mutex_unlock(&table.lock);
}

bool link_restore(const struct item *item, const struct stat *st, const unsigned char *digest)
{
	struct dirnode *dir;
	const char *name;

	if (link_turn(st) != LINK_FIRST)
		return false;
	dir = copy_place(item, &name);
	link_done(st, dir, name, true, digest);
	return true;
}

static int make_link(void *arg)
{
	struct making *m = arg;

	if (fstatat(m->link.dirfd, m->link.name, &m->st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return make_lasting(m);
}

/* The copy that @st has got, held; its name is the caller's to free. */
static struct dirnode *take_copy(const struct stat *st, char **name, unsigned char *digest)
{
	struct dirnode *dir = NULL;
	struct linked **at;

	pthread_mutex_lock(&table.lock);
	at = find(st->st_dev, st->st_ino);
	if (*at) {
		dir = dirnode_get((*at)->dir);
		*name = xstrdup((*at)->name);
		memcpy(digest, (*at)->digest, DIGEST_SIZE_MAX);
		seen(at);
	}
	pthread_mutex_unlock(&table.lock);
	return dir;
}

int link_to(struct item *item, const struct stat *st, const struct spot *to, unsigned char *digest)
{
	struct making *m = xcalloc(1, sizeof(*m));
	char *name = NULL;
	struct dirnode *dir = take_copy(st, &name, digest);
	int err = dir ? dirnode_open(dir) : -ESTALE;

	m->item = item;
	m->set = item->settings;
	m->to = *to;
	if (!err) {
		m->link = (struct spot){dirnode_fd(dir), name};
		err = blocking(make_link, m);
		dirnode_put_open(dir);
	}
	if (dir)
		dirnode_put(dir);
	free(name);
	free(m);
	return err;
}

void links_cleanup(void)
{
	pthread_mutex_lock(&table.lock);
	for (size_t i = 0; i < table.size; i++) {
		while (table.heads[i]) {
			table.heads[i]->left = 1;
			seen(&table.heads[i]);
		}
	}
	free(table.heads);
	table.heads = NULL;
	table.size = table.count = 0;
	pthread_mutex_unlock(&table.lock);
}
