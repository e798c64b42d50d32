/* SPDX-License-Identifier: MIT */
/*
 * temp: the names under which copies are made before they get their own. Plain calls, any thread.
 *
 *	.batchproc-HASH-MACHINE
 *
 * HASH is of the file's own name, since some file systems take no long names, and that might be cut within
 * a character. MACHINE is of this boot of this machine: two machines that do the same never write into
 * one file, also where a cut-off node comes back while another one does its work, on a file system
 * without locks. On one machine the name is the same each time, so that a later run over the same
 * items finds what one that was killed has left. Who writes the file holds a lock on it: what nobody
 * holds is a leftover. What another machine has left is looked for once in a directory; since its lock
 * may not be seen here, it is one only when nothing has happened to it for a while. So it is
 * where there are no locks at all; what may be in use by another run then is left to it, and
 * MACHINE is a number of this process alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/calls.h"
#include "verbs/copy/copy.h"

#define BEGINNING ".batchproc-"
#define DIGITS 16
#define MACHINE_DIGITS 8
#define QUIET_SECONDS 120 /* without a change to what may be in use where its lock is not seen */
#define TEMP_BYTES (sizeof(BEGINNING) + DIGITS + 1 + MACHINE_DIGITS)

/* A directory of more entries is not looked through for what may be in it, only for what has to be. */
#define LOOK_MOST 65536u

struct temps {
	size_t count;
	char names[][TEMP_BYTES];
};

static uint32_t machine, process;

static struct temps too_many; /* entries, to look for any among them */

static void find_machine(void)
{
	struct utsname names;
	char id[64];
	int fd = call_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	ssize_t len = fd < 0 ? -1 : call_read(fd, id, sizeof(id));

	if (fd >= 0)
		close(fd);
	if (len > 0)
		machine = (uint32_t)XXH3_64bits(id, (size_t)len);
	else if (!uname(&names))
		machine = (uint32_t)XXH3_64bits(names.nodename, strlen(names.nodename));
	if (getrandom(&process, sizeof(process), GRND_NONBLOCK) != sizeof(process)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		process = (uint32_t)XXH3_64bits(&now, sizeof(now)) ^ (uint32_t)getpid();
	}
	process ^= machine;
}

static void make_name(const char *name, bool own, char temp[NAME_MAX + 1])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_machine);
	snprintf(temp, NAME_MAX + 1, BEGINNING "%0*llx-%0*x", DIGITS,
		 (unsigned long long)XXH3_64bits(name, strlen(name)), MACHINE_DIGITS,
		 own ? process : machine);
}

void temp_name(const char *name, char temp[NAME_MAX + 1])
{
	make_name(name, false, temp);
}

/* What stands behind the hash; NULL: it is no temporary name. Older versions had nothing there. */
static const char *behind_hash(const char *name)
{
	static const char hex[] = "0123456789abcdef";
	const char *hash = name + strlen(BEGINNING), *behind = hash + DIGITS;

	if (strncmp(name, BEGINNING, strlen(BEGINNING)) || strspn(hash, hex) != DIGITS)
		return NULL;
	if (*behind && (*behind != '-' || strspn(behind + 1, hex) != MACHINE_DIGITS ||
			behind[1 + MACHINE_DIGITS]))
		return NULL;
	return behind;
}

bool temp_is_one(const char *name)
{
	return behind_hash(name);
}

/* Whether the name is one that this machine gives, or that no machine is named by. */
static bool is_of_here(const char *temp)
{
	const char *behind = behind_hash(temp);
	char ours[NAME_MAX + 1];

	make_name("", false, ours);
	return !behind || !*behind || !strcmp(behind, behind_hash(ours));
}

enum lock {
	LOCK_OURS,
	LOCK_THEIRS,
	LOCK_UNKNOWN, /* there are no locks here */
};

static enum lock lock(int fd)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return LOCK_OURS;
	return errno == EWOULDBLOCK ? LOCK_THEIRS : LOCK_UNKNOWN;
}

/* Whether something has happened to it lately, or is to happen. */
static bool is_quiet(const struct stat *st)
{
	return time(NULL) - st->st_ctim.tv_sec > QUIET_SECONDS;
}

bool temp_is_left(const char *temp, int fd)
{
	const enum lock locked = lock(fd);
	struct stat st;

	if (locked == LOCK_THEIRS || fstat(fd, &st))
		return false;
	return (locked == LOCK_OURS && is_of_here(temp)) || is_quiet(&st);
}

/* A file of this name is there: is it a leftover? Then it is removed. */
static int remove_leftover(int dirfd, const char *temp)
{
	struct stat named;
	int fd, err = 0;

	if (fstatat(dirfd, temp, &named, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	/* Links and the like take no time to make: nobody is at it, unless that was just now elsewhere. */
	fd = S_ISREG(named.st_mode) ?
		     call_openat(dirfd, temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0) :
		     -EACCES;
	/*
	 * Who may not read it cannot ask for the lock, but may remove it: somebody may be at another's
	 * file. A FIFO or a link is made in a moment, and may have got its owner before it was left.
	 */
	if (fd == -EACCES) {
		const bool others = S_ISREG(named.st_mode) && named.st_uid != geteuid();

		if ((!is_of_here(temp) || others) && !is_quiet(&named))
			return -EBUSY;
		return unlinkat(dirfd, temp, 0) && errno != ENOENT ? -errno : 0;
	}
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (!temp_is_left(temp, fd))
		err = -EBUSY;
	else if (dest_is_named(dirfd, temp, fd) && unlinkat(dirfd, temp, 0) && errno != ENOENT)
		err = -errno;
	close(fd);
	return err;
}

int temp_give_way(int dirfd, const char *temp)
{
	return remove_leftover(dirfd, temp);
}

int temp_any(int dirfd, unsigned int most)
{
	struct temps *temps = temps_read(dirfd, most);
	int any = temps ? temps->count > 0 : -1;

	free(temps);
	return any;
}

/* ---- what a directory has of them */

struct temps *temps_read(int dirfd, unsigned int most)
{
	int fd = call_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	struct temps *temps = xcalloc(1, sizeof(*temps));
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry = NULL;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && most-- && (errno = 0, entry = readdir(dir))) {
		if (!temp_is_one(entry->d_name))
			continue;
		temps = xrealloc(temps, sizeof(*temps) + (temps->count + 1) * TEMP_BYTES);
		strcpy(temps->names[temps->count++], entry->d_name);
	}
	if (!dir || entry || errno) {
		free(temps);
		temps = NULL;
	}
	if (dir)
		closedir(dir);
	return temps;
}

const char *temps_next(const struct temps *temps, const char *name, size_t *at)
{
	char temp[NAME_MAX + 1];

	if (!temps || *at >= temps->count)
		return NULL;
	temp_name(name, temp);
	for (; *at < temps->count; (*at)++)
		if (!strncmp(temps->names[*at], temp, strlen(BEGINNING) + DIGITS))
			return temps->names[(*at)++];
	return NULL;
}

/* What a directory that this run did not make has of them is looked for once. */
static const struct temps *temps_of(struct dest *dest, int dirfd, bool all)
{
	static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
	struct temps *temps = atomic_load_explicit(&dest->temps, memory_order_acquire);

	if (dest->fresh || (temps && !(all && temps == &too_many)))
		return temps;
	pthread_mutex_lock(&reading);
	temps = atomic_load_explicit(&dest->temps, memory_order_relaxed);
	if (!temps || (all && temps == &too_many)) {
		temps = temps_read(dirfd, all ? UINT_MAX : LOOK_MOST);
		if (!temps)
			temps = all ? xcalloc(1, sizeof(*temps)) : &too_many;
		atomic_store_explicit(&dest->temps, temps, memory_order_release);
	}
	pthread_mutex_unlock(&reading);
	return temps;
}

void temps_forget(struct dest *dest)
{
	struct temps *temps = atomic_load_explicit(&dest->temps, memory_order_relaxed);

	if (temps != &too_many)
		free(temps);
}

static void remove_listed(const struct temps *temps, int dirfd, const char *name)
{
	const char *temp;
	size_t at = 0;

	while ((temp = temps_next(temps, name, &at)))
		remove_leftover(dirfd, temp);
}

void temp_remove(struct dest *dest, int dirfd, const char *name)
{
	const struct temps *temps = temps_of(dest, dirfd, false);
	char temp[NAME_MAX + 1];

	if (temps == &too_many) {
		temp_name(name, temp);
		remove_leftover(dirfd, temp);
	}
	remove_listed(temps, dirfd, name);
}

void temp_remove_of_skipped(struct dest *dest, int dirfd, const char *name)
{
	remove_listed(temps_of(dest, dirfd, true), dirfd, name);
}

/* ---- one */

/* Return: its descriptor, -EEXIST: it may be in use, or another error. */
static int create(int dirfd, const char *temp, int flags, mode_t mode)
{
	int fd = -EEXIST, err = 0;

	for (int tries = 0; fd == -EEXIST && !err && tries < 3; tries++) {
		fd = call_openat(dirfd, temp, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
		if (fd == -EEXIST)
			err = remove_leftover(dirfd, temp);
	}
	return err ? err : fd == -EEXIST ? -EBUSY : fd;
}

/* Whether a run on this machine is at it, which a lock shows. */
static bool is_held(int dirfd, const char *temp)
{
	int fd = call_openat(dirfd, temp, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	bool held = fd >= 0 && lock(fd) != LOCK_UNKNOWN;

	if (fd >= 0)
		close(fd);
	return held;
}

int temp_create(int dirfd, const char *name, char temp[NAME_MAX + 1], int flags, mode_t mode)
{
	int fd;

	temp_name(name, temp);
	fd = create(dirfd, temp, flags, mode);
	if (fd == -EBUSY && !is_held(dirfd, temp)) {
		make_name(name, true, temp);
		fd = create(dirfd, temp, flags, mode);
	}
	/* Another run may have been quicker with the lock: then it removes it, or has done so. */
	if (fd >= 0 && (lock(fd) == LOCK_THEIRS || !dest_is_named(dirfd, temp, fd))) {
		close(fd);
		return -EBUSY;
	}
	return fd;
}
