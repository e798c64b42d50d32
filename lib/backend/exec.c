/* SPDX-License-Identifier: MIT */
/*
 * The table of operations, and those that are one system call; see exec.h.
 *
 * What is known not to wait is called at once. What only walks directories and inodes is expected
 * to compute, and what goes to the disk to wait: that is how the pool of helper threads is told
 * apart how many of them are worth having at a time. docs/backends.md lists the whole table.
 */
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backend/exec.h"
#include "compat.h"

/* ---------------------------------------------------------------- one call each */

static int do_nop(const struct io_uring_sqe *sqe)
{
	return sqe->rw_flags ? -EOPNOTSUPP : 0;
}

static int do_close(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(close(sqe->fd));
}

static int do_socket(const struct io_uring_sqe *sqe)
{
	if (sqe->rw_flags)
		return -EINVAL;
	return (int)exec_sys(socket(sqe->fd, (int)sqe->off, (int)sqe->len));
}

static int do_bind(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(bind(sqe->fd, exec_addr(sqe->addr), (socklen_t)sqe->addr2));
}

static int do_listen(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(listen(sqe->fd, (int)sqe->len));
}

static int do_shutdown(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(shutdown(sqe->fd, (int)sqe->len));
}

static int do_pipe(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(pipe2(exec_addr(sqe->addr), (int)sqe->rw_flags));
}

/* Of the commands to devices and sockets those that have a call of their own. */
static int do_uring_cmd(const struct io_uring_sqe *sqe)
{
	const struct sock_cmd cmd = sock_cmd_of(sqe);
	socklen_t len = cmd.optlen;

	if (sqe->__pad1 || sqe->uring_cmd_flags)
		return -EINVAL;
	switch (sqe->cmd_op) {
	case BP_SOCKET_URING_OP_SETSOCKOPT:
		return (int)exec_sys(
			setsockopt(sqe->fd, cmd.level, cmd.optname, exec_addr(sqe->addr3), len));
	case BP_SOCKET_URING_OP_GETSOCKOPT:
		if (getsockopt(sqe->fd, cmd.level, cmd.optname, exec_addr(sqe->addr3), &len))
			return -errno;
		return (int)len;
	default:
		return -EOPNOTSUPP;
	}
}

static int do_epoll_ctl(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(
		epoll_ctl(sqe->fd, (int)sqe->len, (int)sqe->off, exec_addr(sqe->addr)));
}

static int do_fsync(const struct io_uring_sqe *sqe)
{
	if (sqe->fsync_flags & ~IORING_FSYNC_DATASYNC)
		return -EINVAL;
	if (sqe->fsync_flags & IORING_FSYNC_DATASYNC)
		return (int)exec_sys(fdatasync(sqe->fd));
	return (int)exec_sys(fsync(sqe->fd));
}

static int do_sync_file_range(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(
		sync_file_range(sqe->fd, (off_t)sqe->off, sqe->len, sqe->sync_range_flags));
}

static int do_fallocate(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr));
}

static int do_ftruncate(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(ftruncate(sqe->fd, (off_t)sqe->off));
}

/* Since Linux 6.11 a length of 64 bits has a field of its own; 0 there means the old one. */
static int do_fadvise(const struct io_uring_sqe *sqe)
{
	off_t len = sqe->addr ? (off_t)sqe->addr : (off_t)sqe->len;

	return -posix_fadvise(sqe->fd, (off_t)sqe->off, len, (int)sqe->fadvise_advice);
}

static int do_madvise(const struct io_uring_sqe *sqe)
{
	size_t len = sqe->off ? sqe->off : sqe->len;

	return (int)exec_sys(madvise(exec_addr(sqe->addr), len, (int)sqe->fadvise_advice));
}

static int do_unlinkat(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(unlinkat(sqe->fd, exec_addr(sqe->addr), (int)sqe->unlink_flags));
}

static int do_renameat(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(renameat2(sqe->fd, exec_addr(sqe->addr), (int)sqe->len,
				       exec_addr(sqe->addr2), sqe->rename_flags));
}

static int do_linkat(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(linkat(sqe->fd, exec_addr(sqe->addr), (int)sqe->len,
				    exec_addr(sqe->addr2), (int)sqe->hardlink_flags));
}

static int do_symlinkat(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(symlinkat(exec_addr(sqe->addr), sqe->fd, exec_addr(sqe->addr2)));
}

static int do_mkdirat(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(mkdirat(sqe->fd, exec_addr(sqe->addr), (mode_t)sqe->len));
}

static int do_fgetxattr(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(
		fgetxattr(sqe->fd, exec_addr(sqe->addr), exec_addr(sqe->addr2), sqe->len));
}

static int do_getxattr(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(getxattr(exec_addr(sqe->addr3), exec_addr(sqe->addr),
				      exec_addr(sqe->addr2), sqe->len));
}

static int do_fsetxattr(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(fsetxattr(sqe->fd, exec_addr(sqe->addr), exec_addr(sqe->addr2),
				       sqe->len, (int)sqe->xattr_flags));
}

static int do_setxattr(const struct io_uring_sqe *sqe)
{
	return (int)exec_sys(setxattr(exec_addr(sqe->addr3), exec_addr(sqe->addr),
				      exec_addr(sqe->addr2), sqe->len, (int)sqe->xattr_flags));
}

/* ---------------------------------------------------------------- statx */

static int do_statx(const struct io_uring_sqe *sqe)
{
	/* Not through libc, which promises the compiler that there is a path. */
	return (int)exec_sys(syscall(SYS_statx, sqe->fd, exec_addr(sqe->addr), sqe->statx_flags,
				     sqe->len, exec_addr(sqe->off)));
}

/* By descriptor, from the inode in memory: nothing to wait for. */
static enum exec_verdict statx_try(struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	const unsigned int here = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	const char *path = exec_addr(sqe->addr);

	if ((sqe->statx_flags & here) != here || sqe->fd < 0 || (path && *path))
		return EXEC_BRIEF;
	return exec_done(x, do_statx(sqe));
}

static enum exec_verdict statx_block(struct exec *x)
{
	return exec_done(x, do_statx(&x->sqe));
}

/* ---------------------------------------------------------------- open */

/* openat2() is missing or forbidden: kernels before 5.6, older seccomp profiles. */
static _Atomic bool no_openat2;

static bool is_openat2(const struct exec *x)
{
	return x->sqe.opcode == IORING_OP_OPENAT2;
}

static struct open_how how_of(const struct exec *x)
{
	const struct io_uring_sqe *sqe = &x->sqe;

	if (is_openat2(x))
		return *(const struct open_how *)exec_addr(sqe->addr2);
	return (struct open_how){.flags = sqe->open_flags};
}

/** Gives back an opened descriptor in the mode that was asked for. */
static enum exec_verdict opened(struct exec *x, int fd, uint64_t flags, bool clear_nonblock)
{
	int off = 0;

	if (clear_nonblock)
		ioctl(fd, FIONBIO, &off);
	x->plain = !(flags & (O_DIRECT | O_DSYNC | O_SYNC | O_PATH));
	return exec_done(x, fd);
}

/*
 * O_NONBLOCK during the call: the open of a FIFO or a terminal does not wait for its other end. It
 * is what io_uring does too, where it opens without a worker.
 */
static bool add_nonblock(uint64_t flags)
{
	return !(flags & (O_NONBLOCK | O_PATH | O_DIRECTORY));
}

/* What the directory cache knows is opened at once; all else is for a helper thread to find out. */
static enum exec_verdict open_try(struct exec *x)
{
	struct open_how how = how_of(x);
	bool cached_only = how.resolve & RESOLVE_CACHED, clear = add_nonblock(how.flags);
	const uint64_t flags = how.flags;
	long fd;

	if (is_openat2(x) && x->sqe.len != sizeof(how))
		return EXEC_BRIEF;
	if (!cached_only && (flags & (O_CREAT | O_TRUNC | O_TMPFILE) & ~(uint64_t)O_DIRECTORY))
		return EXEC_BRIEF;
	if (atomic_load_explicit(&no_openat2, memory_order_relaxed))
		return EXEC_LONG;
	how.flags |= clear ? O_NONBLOCK : 0;
	how.resolve |= RESOLVE_CACHED;
	fd = exec_sys(syscall(SYS_openat2, x->sqe.fd, exec_addr(x->sqe.addr), &how, sizeof(how)));
	if (likely(fd >= 0))
		return opened(x, (int)fd, flags, clear);
	if (fd == -ENOENT || cached_only)
		return exec_done(x, fd);
	if (fd == -ENOSYS)
		atomic_store_explicit(&no_openat2, true, memory_order_relaxed);
	return EXEC_LONG;
}

static long open_once(const struct exec *x, const struct open_how *how)
{
	const struct io_uring_sqe *sqe = &x->sqe;
	size_t size = sqe->len;

	if (!is_openat2(x))
		return exec_sys(
			openat(sqe->fd, exec_addr(sqe->addr), (int)how->flags, (mode_t)sqe->len));
	/* A struct of another size is the kernel's to judge. */
	return exec_sys(syscall(SYS_openat2, sqe->fd, exec_addr(sqe->addr),
				size == sizeof(*how) ? how : exec_addr(sqe->addr2), size));
}

static enum exec_verdict open_block(struct exec *x)
{
	struct open_how how = how_of(x);
	bool clear = add_nonblock(how.flags) && (!is_openat2(x) || x->sqe.len == sizeof(how));
	const uint64_t flags = how.flags;
	long fd;

	how.flags |= clear ? O_NONBLOCK : 0;
	fd = open_once(x, &how);
	if (fd == -EWOULDBLOCK && clear) {
		/* A lease is being broken, which takes its holder a while. */
		how.flags = flags;
		clear = false;
		fd = open_once(x, &how);
	}
	return fd < 0 ? exec_done(x, fd) : opened(x, (int)fd, flags, clear);
}

/* ---------------------------------------------------------------- the table */

/* clang-format off */
static const struct exec_op table[UINT8_MAX + 1] = {
	[IORING_OP_NOP] = {.call = do_nop},
	[IORING_OP_CLOSE] = {.call = do_close, .no_file_index = true},
	[IORING_OP_SOCKET] = {.call = do_socket, .no_file_index = true},
	[BP_IORING_OP_BIND] = {.call = do_bind},
	[BP_IORING_OP_LISTEN] = {.call = do_listen},
	[IORING_OP_SHUTDOWN] = {.call = do_shutdown},
	[BP_IORING_OP_PIPE] = {.call = do_pipe, .no_file_index = true},
	[IORING_OP_EPOLL_CTL] = {.call = do_epoll_ctl},
	[IORING_OP_URING_CMD] = {.call = do_uring_cmd},

	[IORING_OP_READ] = {.try = exec_read_try, .block = exec_read_block, .any_ioprio = true},
	[IORING_OP_READV] = {.try = exec_read_try, .block = exec_read_block, .any_ioprio = true},
	[IORING_OP_WRITE] = {.try = exec_write_try, .block = exec_write_block, .any_ioprio = true},
	[IORING_OP_WRITEV] = {.try = exec_write_try, .block = exec_write_block, .any_ioprio = true},
	[IORING_OP_SPLICE] = {.block = exec_splice_block, .where = EXEC_LONG},
	[IORING_OP_TEE] = {.block = exec_splice_block, .where = EXEC_LONG},

	[IORING_OP_RECV] = {.try = exec_recv_try, .select = true,
			    .ioprio = IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT},
	[IORING_OP_RECVMSG] = {.try = exec_recv_try, .ioprio = IORING_RECVSEND_POLL_FIRST,
			       .addr = true},
	[IORING_OP_SEND] = {.try = exec_send_try, .ioprio = IORING_RECVSEND_POLL_FIRST},
	[IORING_OP_SENDMSG] = {.try = exec_send_try, .ioprio = IORING_RECVSEND_POLL_FIRST,
			       .addr = true},
	[IORING_OP_SEND_ZC] = {.try = exec_send_try,
			       .ioprio = IORING_RECVSEND_POLL_FIRST | IORING_SEND_ZC_REPORT_USAGE},
	[IORING_OP_SENDMSG_ZC] = {.try = exec_send_try,
				  .ioprio = IORING_RECVSEND_POLL_FIRST | IORING_SEND_ZC_REPORT_USAGE,
				  .addr = true},
	[IORING_OP_ACCEPT] = {.try = exec_accept_try, .no_file_index = true,
			      .ioprio = IORING_ACCEPT_MULTISHOT},
	[IORING_OP_CONNECT] = {.try = exec_connect_try},
	[IORING_OP_POLL_ADD] = {.try = exec_poll_try},
	[BP_IORING_OP_EPOLL_WAIT] = {.try = exec_epoll_wait_try},
	[IORING_OP_TIMEOUT] = {.try = exec_timeout_try, .addr = true},

	[IORING_OP_OPENAT] = {.try = open_try, .block = open_block, .no_file_index = true,
			      .addr = true},
	[IORING_OP_OPENAT2] = {.try = open_try, .block = open_block, .no_file_index = true,
			       .addr = true, .addr2 = true},
	[IORING_OP_STATX] = {.try = statx_try, .block = statx_block},

	[IORING_OP_FSYNC] = {.call = do_fsync, .where = EXEC_LONG},
	[IORING_OP_SYNC_FILE_RANGE] = {.call = do_sync_file_range, .where = EXEC_LONG},
	[IORING_OP_FADVISE] = {.call = do_fadvise, .where = EXEC_LONG},
	[IORING_OP_MADVISE] = {.call = do_madvise, .where = EXEC_LONG},
	[IORING_OP_FALLOCATE] = {.call = do_fallocate, .where = EXEC_BRIEF},
	[BP_IORING_OP_FTRUNCATE] = {.call = do_ftruncate, .where = EXEC_BRIEF},
	[IORING_OP_UNLINKAT] = {.call = do_unlinkat, .where = EXEC_BRIEF, .addr = true},
	[IORING_OP_RENAMEAT] = {.call = do_renameat, .where = EXEC_BRIEF,
				.addr = true, .addr2 = true},
	[IORING_OP_LINKAT] = {.call = do_linkat, .where = EXEC_BRIEF, .addr = true, .addr2 = true},
	[IORING_OP_SYMLINKAT] = {.call = do_symlinkat, .where = EXEC_BRIEF,
				 .addr = true, .addr2 = true},
	[IORING_OP_MKDIRAT] = {.call = do_mkdirat, .where = EXEC_BRIEF, .addr = true},
	[IORING_OP_FGETXATTR] = {.call = do_fgetxattr, .where = EXEC_BRIEF},
	[IORING_OP_GETXATTR] = {.call = do_getxattr, .where = EXEC_BRIEF},
	[IORING_OP_FSETXATTR] = {.call = do_fsetxattr, .where = EXEC_BRIEF},
	[IORING_OP_SETXATTR] = {.call = do_setxattr, .where = EXEC_BRIEF},
};
/* clang-format on */

bool exec_knows(unsigned int opcode)
{
	const struct exec_op *row = &table[opcode & UINT8_MAX];

	return row->call || row->try || row->block;
}

/** Why an SQE is not carried out: 0, -EINVAL or -EFAULT as any kernel, -EOPNOTSUPP for this one. */
static int refused(const struct io_uring_sqe *sqe)
{
	const struct exec_op *row;
	unsigned int known;

	if (unlikely(sqe->opcode > BP_IORING_OP_PIPE))
		return -EINVAL;
	row = &table[sqe->opcode];
	if (unlikely(!exec_knows(sqe->opcode)))
		return -EOPNOTSUPP;
	known = IOSQE_ASYNC | (row->select ? IOSQE_BUFFER_SELECT : 0);
	if (unlikely((sqe->flags & ~known) || sqe->personality ||
		     (sqe->ioprio & ~row->ioprio && !row->any_ioprio) ||
		     (row->no_file_index && sqe->file_index)))
		return -EOPNOTSUPP;
	if (unlikely((row->addr && !sqe->addr) || (row->addr2 && !sqe->addr2)))
		return -EFAULT;
	return 0;
}

bool exec_closes(const struct exec *x)
{
	return x->sqe.opcode == IORING_OP_CLOSE && !refused(&x->sqe);
}

bool exec_can_block(const struct exec *x)
{
	return table[x->sqe.opcode].block;
}

enum exec_verdict exec_try(struct exec *x)
{
	const struct exec_op *row = &table[x->sqe.opcode];
	int err = refused(&x->sqe);

	if (unlikely(err))
		return exec_done(x, err);
	if (row->call && row->where == EXEC_DONE)
		return exec_done(x, row->call(&x->sqe));
	if (row->try && (!(x->sqe.flags & IOSQE_ASYNC) || !row->block || x->ready))
		return row->try(x);
	return row->try ? EXEC_LONG : row->where;
}

enum exec_verdict exec_block(struct exec *x)
{
	const struct exec_op *row = &table[x->sqe.opcode];

	return row->block ? row->block(x) : exec_done(x, row->call(&x->sqe));
}
