/* SPDX-License-Identifier: MIT */
/*
 * badfs_nodes - the files that the kernel knows, what badfs claims of them, and how each call
 * begins
 *
 * One lock guards the table of nodes. A node's name is read without it, so old ones are not freed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "support/badfs_nodes.h"

enum {
	BUCKETS = 1024,
	PAGE = 4096
};

struct node root = {.fd = -1, .name = "/", .lost_dir = -1};
static struct node *table[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

int dir_of(fuse_ino_t ino)
{
	return node_of(ino)->fd;
}

static bool was_interrupted(void *req)
{
	return fuse_req_interrupted(req);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	(void)req;
	(void)data;
	wake_hung();
}

bool begin(fuse_req_t req, enum call call, const char *name, const char *other)
{
	int err;

	if (switches.interrupts)
		fuse_req_interrupt_func(req, on_interrupt, NULL);
	err = enter(call, name, other, was_interrupted, req);
	if (switches.interrupts)
		fuse_req_interrupt_func(req, NULL, NULL);
	if (!err && name && switches.names && strlen(name) > switches.names)
		err = ENAMETOOLONG;
	if (err)
		fuse_reply_err(req, err);
	return !err;
}

bool begin_at(fuse_req_t req, enum call call, fuse_ino_t ino)
{
	return begin(req, call, NULL, node_of(ino)->name);
}

void reply(fuse_req_t req, long res)
{
	fuse_reply_err(req, res < 0 ? errno : 0);
}

const char *through(int fd, char path[64])
{
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return path;
}

/* As FAT has them, of the first file of that kind. False: it is short itself. */
static bool is_alias(const char *alias, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t base = dot ? (size_t)(dot - name) : strlen(name);
	char made[16];

	if (base <= 8 && (!dot || strlen(dot) <= 4))
		return false;
	snprintf(made, sizeof(made), "%.*s~1%.4s", base < 6 ? (int)base : 6, name, dot ? dot : "");
	return !strcasecmp(made, alias);
}

static bool is_same_name(const char *name, const char *other)
{
	return (switches.fold && !strcasecmp(name, other)) ||
	       (switches.aliases && is_alias(other, name));
}

const char *spelled(int dir, const char *name, char found[NAME_MAX + 1])
{
	struct dirent *entry;
	DIR *all;

	if (!(switches.fold || switches.aliases) ||
	    !faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return name;
	all = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	found[0] = '\0';
	while (all && !found[0] && (entry = readdir(all)))
		if (is_same_name(entry->d_name, name))
			snprintf(found, NAME_MAX + 1, "%s", entry->d_name);
	if (all)
		closedir(all);
	return found[0] ? found : name;
}

/* ---------------------------------------------------------------- what it claims */

static void coarsen(struct timespec *time)
{
	uint64_t ns = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;

	ns -= ns % switches.times;
	*time = (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

static void twist(struct stat *st)
{
	static atomic_uint looks;

	if (S_ISREG(st->st_mode)) {
		if (switches.size == SIZES_ZERO || switches.size == SIZES_UNKNOWN)
			st->st_size = 0;
		else if (switches.size == SIZES_HALF)
			st->st_size /= 2;
		else if (switches.size == SIZES_ROUNDED)
			st->st_size = (st->st_size + PAGE - 1) / PAGE * PAGE;
	}
	if (switches.modes == MODES_777 && !S_ISLNK(st->st_mode))
		st->st_mode = (st->st_mode & S_IFMT) | 0777;
	if (switches.inodes_change && S_ISDIR(st->st_mode))
		st->st_ino = 1000000 + atomic_fetch_add(&looks, 1);
	if (switches.times) {
		coarsen(&st->st_atim);
		coarsen(&st->st_mtim);
		coarsen(&st->st_ctim);
	}
}

bool is_closed(int fd)
{
	struct stat st;

	return switches.closed && !fstatat(fd, "", &st, AT_EMPTY_PATH) && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0600) != 0600;
}

void send_attr(fuse_req_t req, fuse_ino_t ino)
{
	struct stat st;

	if (fstatat(dir_of(ino), "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
		reply(req, -1);
		return;
	}
	twist(&st);
	fuse_reply_attr(req, &st, switches.cache);
}

/* ---------------------------------------------------------------- nodes */

struct node *look_up(int dir, const char *name, struct fuse_entry_param *entry)
{
	char found[NAME_MAX + 1];
	struct node *node, **bucket;
	struct stat *st = &entry->attr;
	int fd = openat(dir, spelled(dir, name, found), O_PATH | O_NOFOLLOW | O_CLOEXEC);

	*entry = (struct fuse_entry_param){.attr_timeout = switches.cache,
					   .entry_timeout = switches.cache};
	if (fd < 0)
		return NULL;
	fstatat(fd, "", st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	pthread_mutex_lock(&lock);
	bucket = &table[st->st_ino % BUCKETS];
	for (node = *bucket; node; node = node->next)
		if (node->ino == st->st_ino && node->dev == st->st_dev)
			break;
	if (node) {
		close(fd);
	} else {
		node = calloc(1, sizeof(*node));
		if (!node)
			abort();
		*node = (struct node){*bucket, fd, st->st_dev, st->st_ino, .lost_dir = -1};
		*bucket = node;
	}
	node->lookups++;
	/* Names stay, for they are read without the lock. */
	if (!node->name || strcmp(node->name, name))
		node->name = strdup(name);
	pthread_mutex_unlock(&lock);
	twist(st);
	entry->ino = (fuse_ino_t)(uintptr_t)node;
	return node;
}

static void forget(struct node *node, uint64_t lookups)
{
	struct node **at;

	if (node == &root)
		return;
	pthread_mutex_lock(&lock);
	node->lookups -= lookups;
	if (!node->lookups) {
		at = &table[node->ino % BUCKETS];
		while (*at != node)
			at = &(*at)->next;
		*at = node->next;
		close(node->fd);
		if (node->lost_dir >= 0)
			close(node->lost_dir);
		free(node);
	}
	pthread_mutex_unlock(&lock);
}

void bad_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	forget(node_of(ino), lookups);
	fuse_reply_none(req);
}

void bad_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	for (size_t i = 0; i < count; i++)
		forget(node_of(all[i].ino), all[i].nlookup);
	fuse_reply_none(req);
}

void send_entry(fuse_req_t req, int dir, const char *name)
{
	struct fuse_entry_param entry;

	if (look_up(dir, name, &entry))
		fuse_reply_entry(req, &entry);
	else
		reply(req, -1);
}

/* What was made belongs to who asked for it. */
void send_made(fuse_req_t req, int res, int dir, const char *name)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);

	if (res < 0) {
		reply(req, res);
		return;
	}
	if (who->uid != geteuid())
		fchownat(dir, name, who->uid, who->gid, AT_SYMLINK_NOFOLLOW);
	send_entry(req, dir, name);
}

/* ---------------------------------------------------------------- what comes back */

void node_opened(struct node *node)
{
	pthread_mutex_lock(&lock);
	node->opens++;
	pthread_mutex_unlock(&lock);
}

void node_removed(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	pthread_mutex_lock(&lock);
	for (struct node *n = table[st.st_ino % BUCKETS]; n; n = n->next)
		if (n->ino == st.st_ino && n->dev == st.st_dev && n->opens && n->lost_dir < 0)
			n->lost_dir = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&lock);
}

/*
 * Brings back what was removed while it was open, under its last name, whole as soon as it is
 * there.
 */
static void revive(const struct node *node, int from)
{
	static const char half[] = ".revived";
	int to = openat(node->lost_dir, half, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	off_t offset = 0;

	while (to >= 0 && sendfile(to, from, &offset, 1 << 20) > 0)
		;
	if (to < 0)
		return;
	close(to);
	renameat(node->lost_dir, half, node->lost_dir, node->name);
}

void node_closed(struct node *node, int fd)
{
	pthread_mutex_lock(&lock);
	if (!--node->opens && node->lost_dir >= 0) {
		revive(node, fd);
		close(node->lost_dir);
		node->lost_dir = -1;
	}
	pthread_mutex_unlock(&lock);
}
