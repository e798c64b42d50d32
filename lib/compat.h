/* SPDX-License-Identifier: MIT */
/*
 * What the oldest supported headers lack: liburing 2.3 and kernel headers 6.1 (Debian 12).
 *
 * Opcodes are enums, which the preprocessor cannot ask for, so constants of our own stand here
 * beside the name that newer headers give them. Flags are macros.
 */
#ifndef BP_COMPAT_H
#define BP_COMPAT_H

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* include/uapi/asm-generic/mman-common.h, Linux 6.13 */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Linux 5.10; a process's own memory by the number of include/uapi/linux/pidfd.h since 6.14 */
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#define BP_PIDFD_SELF (-10000)

/* include/uapi/linux/openat2.h, Linux 5.12 */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

/* include/uapi/linux/io_uring.h, Linux 6.7 to 6.16 */
#define BP_IORING_OP_WAITID 50
#define BP_IORING_OP_FUTEX_WAIT 51
#define BP_IORING_OP_FUTEX_WAKE 52
#define BP_IORING_OP_FTRUNCATE 55
#define BP_IORING_OP_BIND 56
#define BP_IORING_OP_LISTEN 57
#define BP_IORING_OP_EPOLL_WAIT 59
#define BP_IORING_OP_READV_FIXED 60
#define BP_IORING_OP_WRITEV_FIXED 61
#define BP_IORING_OP_PIPE 62

#ifndef IORING_RECV_MULTISHOT
#define IORING_RECV_MULTISHOT (1U << 1)
#endif
#ifndef IORING_ACCEPT_MULTISHOT
#define IORING_ACCEPT_MULTISHOT (1U << 0)
#endif

/* include/uapi/linux/io_uring.h, Linux 6.2 */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

/* The same, Linux 6.7: commands to sockets, and where their SQE has the arguments. */
#define BP_SOCKET_URING_OP_GETSOCKOPT 2
#define BP_SOCKET_URING_OP_SETSOCKOPT 3

struct sock_cmd {
	int level, optname;
	unsigned int optlen;
};

static inline struct sock_cmd sock_cmd_of(const struct io_uring_sqe *sqe)
{
	struct sock_cmd cmd;

	memcpy(&cmd.level, &sqe->addr, sizeof(cmd.level));
	memcpy(&cmd.optname, (const char *)&sqe->addr + sizeof(cmd.level), sizeof(cmd.optname));
	cmd.optlen = sqe->file_index;
	return cmd;
}

static inline void prep_sock_cmd(struct io_uring_sqe *sqe, unsigned int op, int fd,
				 struct sock_cmd cmd, void *optval)
{
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy(&sqe->addr, &cmd.level, sizeof(cmd.level));
	memcpy((char *)&sqe->addr + sizeof(cmd.level), &cmd.optname, sizeof(cmd.optname));
	sqe->file_index = cmd.optlen;
	sqe->addr3 = (uintptr_t)optval;
}

/* What musl lacks: before 1.2.4 the struct, before 1.2.5 the calls. */
#ifndef __GLIBC__
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#endif
#define strerrordesc_np(err) strerror(err)
#define renameat2(...) (int)syscall(SYS_renameat2, __VA_ARGS__)
#define epoll_pwait2(...) (int)syscall(SYS_epoll_pwait2, __VA_ARGS__, 8)
/* On 64 bits the second half of the offset counts for nothing. */
#define preadv2(fd, iov, count, off, flags)                                                        \
	syscall(SYS_preadv2, fd, iov, count, (long)(off), (long)((off) >> 31 >> 1), flags)
#define pwritev2(fd, iov, count, off, flags)                                                       \
	syscall(SYS_pwritev2, fd, iov, count, (long)(off), (long)((off) >> 31 >> 1), flags)
#endif

/* The SQE's layout is ABI; the library copies whole SQEs and reads these fields back. */
_Static_assert(sizeof(struct io_uring_sqe) == 64, "an SQE is 64 bytes");
_Static_assert(offsetof(struct io_uring_sqe, fd) == 4, "sqe->fd");
_Static_assert(offsetof(struct io_uring_sqe, rw_flags) == 28, "sqe->rw_flags");
_Static_assert(offsetof(struct io_uring_sqe, user_data) == 32, "sqe->user_data");
_Static_assert(offsetof(struct io_uring_sqe, file_index) == 44, "sqe->file_index");
_Static_assert(offsetof(struct io_uring_sqe, addr3) == 48, "sqe->addr3");

#endif /* BP_COMPAT_H */
