/* SPDX-License-Identifier: MIT */
/*
 * calls: plain system calls, for work that is not handed to the ring. See calls.h.
 *
 * In a debug build the environment variable BATCHPROC_FAULTS, which the library takes for its
 * operations, is looked at for names that are ours:
 *
 *	call_short	a read, a write or copy_file_range() moves fewer bytes, a listing has fewer
 *			names
 *	call_eio	a call fails so, and nothing was done; a close is done, and says so
 *	call_enospc	likewise: what needs space
 *	call_edquot	likewise
 *	call_range	copy_file_range() is not to be had: one of its errors, or 0 before the end
 *
 * The numbers are percentages; seed=N is shared with the library.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/calls.h"
#include "base/array.h"
#include "base/path.h"

#define GETDENTS_SHORT 300u /* bytes: one name, however long it is */

enum fault {
	FAULT_SHORT,
	FAULT_EIO,
	FAULT_ENOSPC,
	FAULT_EDQUOT,
	FAULT_RANGE,
	FAULT_COUNT,
};

#ifdef BP_DEBUG
#include <pthread.h>

static unsigned int percent[FAULT_COUNT];
static _Atomic uint64_t random_state;

static void read_spec(void)
{
	static const char *const names[] = {
		"call_short=", "call_eio=", "call_enospc=", "call_edquot=", "call_range="};
	const char *spec = getenv("BATCHPROC_FAULTS"), *at;

	for (size_t i = 0; spec && i < ARRAY_SIZE(names); i++) {
		at = strstr(spec, names[i]);
		percent[i] = at ? (unsigned int)strtoul(at + strlen(names[i]), NULL, 10) : 0;
	}
	at = spec ? strstr(spec, "seed=") : NULL;
	atomic_store(&random_state, at ? strtoull(at + 5, NULL, 10) : 1);
}

static uint64_t roll(uint64_t n)
{
	uint64_t x = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15ull);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % n;
}

static bool happens(enum fault fault)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_spec);
	return percent[fault] && roll(100) < percent[fault];
}
#else
static inline uint64_t roll(uint64_t n)
{
	(void)n;
	return 0;
}

static inline bool happens(enum fault fault)
{
	(void)fault;
	return false;
}
#endif

static inline size_t shortened(size_t len)
{
	return len > 1 && happens(FAULT_SHORT) ? 1 + (size_t)roll(len - 1) : len;
}

/* What is said of something that needs space, or 0. */
static inline int no_space(void)
{
	if (happens(FAULT_ENOSPC))
		return -ENOSPC;
	return happens(FAULT_EDQUOT) ? -EDQUOT : 0;
}

/* What a call gives: itself, or -errno; again where a signal interrupted it. */
#define CALL(expression)                                                                           \
	({                                                                                         \
		ssize_t res_;                                                                      \
		do {                                                                               \
			res_ = (expression);                                                       \
		} while (res_ < 0 && errno == EINTR);                                              \
		res_ < 0 ? -errno : res_;                                                          \
	})

int call_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	int err = flags & O_CREAT ? no_space() : 0;

	if (happens(FAULT_EIO))
		return -EIO;
	if (err)
		return err;
	return (int)CALL(openat(dirfd, path, flags | O_CLOEXEC, mode));
}

static int open_plain(int dirfd, const char *name, int flags)
{
	return (int)CALL(openat(dirfd, name, flags));
}

static int open_beneath_plain(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	int fd = (int)CALL(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
	return path_openat2_refused(fd) ? path_open_by_name(dirfd, path, flags, open_plain) : fd;
}

int call_open_beneath(int dirfd, const char *path, int flags)
{
	return happens(FAULT_EIO) ? -EIO : path_open_parts(dirfd, path, flags, open_beneath_plain);
}

ssize_t call_read(int fd, void *buf, size_t len)
{
	if (happens(FAULT_EIO))
		return -EIO;
	return CALL(read(fd, buf, shortened(len)));
}

ssize_t call_pread(int fd, void *buf, size_t len, off_t offset)
{
	if (happens(FAULT_EIO))
		return -EIO;
	return CALL(pread(fd, buf, shortened(len), offset));
}

ssize_t call_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	int err = no_space();

	if (happens(FAULT_EIO))
		return -EIO;
	if (err)
		return err;
	return CALL(pwrite(fd, buf, shortened(len), offset));
}

/* Where a filter refuses the one call there is the other. */
static ssize_t put(int fd, const void *buf, size_t len)
{
	ssize_t n = write(fd, buf, len);

	if (n < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))
		n = writev(fd, &(struct iovec){(void *)buf, len}, 1);
	return n;
}

ssize_t call_write(int fd, const void *buf, size_t len)
{
	return happens(FAULT_EIO) ? -EIO : CALL(put(fd, buf, shortened(len)));
}

ssize_t call_copy_range(int from, int to, off_t offset, size_t len)
{
	static const int answers[] = {0, -EXDEV, -EINVAL, -EPERM, -EOPNOTSUPP, -ENOSYS};
	off_t in = offset, out = offset;
	int err = no_space();

	if (happens(FAULT_RANGE))
		return answers[roll(ARRAY_SIZE(answers))];
	if (happens(FAULT_EIO))
		return -EIO;
	if (err)
		return err;
	return CALL(copy_file_range(from, &in, to, &out, shortened(len), 0));
}

int call_clone(int to, int from)
{
	int err = no_space();

	return err ? err : (int)CALL(ioctl(to, FICLONE, from));
}

int call_ftruncate(int fd, off_t size)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(ftruncate(fd, size));
}

int call_fsync(int fd)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(fsync(fd));
}

int call_renameat(int dirfd, const char *from, const char *to)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(renameat(dirfd, from, dirfd, to));
}

int call_unlinkat(int dirfd, const char *path, int flags)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(unlinkat(dirfd, path, flags));
}

int call_rename_new(int dirfd, const char *from, const char *to)
{
	if (happens(FAULT_EIO))
		return -EIO;
	return (int)CALL(syscall(SYS_renameat2, dirfd, from, dirfd, to, RENAME_NOREPLACE));
}

int call_link_fd(int fd, int dirfd, const char *name)
{
	char path[32];
	int err = no_space();

	if (happens(FAULT_EIO))
		return -EIO;
	if (err)
		return err;
	err = (int)CALL(linkat(fd, "", dirfd, name, AT_EMPTY_PATH));
	/* Before Linux 6.10 that is not for everybody. */
	if (err != -ENOENT)
		return err;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return (int)CALL(linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW));
}

int call_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int err = no_space();

	return err ? err : (int)CALL(mkdirat(dirfd, path, mode));
}

int call_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(fstatat(dirfd, path, st, flags));
}

static int look_by_parts(const char *path, int flags, struct stat *st)
{
	int fd = path_open_parts(AT_FDCWD, path, O_PATH | flags, open_plain), err;

	if (fd < 0)
		return fd;
	err = (int)CALL(fstat(fd, st));
	close(fd);
	return err;
}

static bool is_too_long(int err, const char *path)
{
	return err == -ENAMETOOLONG && strlen(path) >= PATH_MAX;
}

int call_lstat(const char *path, struct stat *st)
{
	int err = happens(FAULT_EIO) ? -EIO : (int)CALL(lstat(path, st));

	return is_too_long(err, path) ? look_by_parts(path, O_NOFOLLOW, st) : err;
}

int call_stat(const char *path, struct stat *st)
{
	int err = (int)CALL(stat(path, st));

	return is_too_long(err, path) ? look_by_parts(path, 0, st) : err;
}

int call_fstat(int fd, struct stat *st)
{
	return happens(FAULT_EIO) ? -EIO : (int)CALL(fstat(fd, st));
}

int call_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	if (happens(FAULT_EIO))
		return -EIO;
	/* Not statx(): where the kernel has none, libc's own knows less and says EINVAL. */
	return (int)CALL(syscall(SYS_statx, dirfd, path, flags, mask, stx));
}

ssize_t call_getdents(int fd, void *buf, size_t len)
{
	if (happens(FAULT_EIO))
		return -EIO;
	if (len > GETDENTS_SHORT && happens(FAULT_SHORT))
		len = GETDENTS_SHORT;
	return CALL(syscall(SYS_getdents64, fd, buf, len));
}

ssize_t call_read_list(int fd, void *buf, size_t len)
{
	return CALL(read(fd, buf, shortened(len)));
}

int call_close(int fd)
{
	/* Whatever it says, it is closed, and must not be closed again. */
	int err = close(fd) && errno != EINTR ? -errno : 0;

	return happens(FAULT_EIO) ? -EIO : err;
}

int call_write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = put(fd, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			/* Somebody shares this open file and made it non-blocking. */
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}
