/* SPDX-License-Identifier: MIT */
/*
 * Further operations of tasks on files and memory: sizes, advice, extended attributes, and what io_uring
 * has no operation for and a helper thread calls.
 */
#include <sys/syscall.h>

#include "compat.h"
#include "op.h"

int bp_ftruncate(int fd, off_t len)
{
	struct bp_task *task = task_need(__func__);

	if (len < 0)
		return -EINVAL;
	io_uring_prep_rw(BP_IORING_OP_FTRUNCATE, &task->sqe, fd, NULL, 0, (uint64_t)len);
	return op_call_new(task, 0);
}

/* Before Linux 6.11 these two have 32 bits for a length; more than that goes to a helper thread. */

int bp_fadvise(int fd, off_t offset, off_t len, int advice)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(IORING_OP_FADVISE, &task->sqe, fd, NULL, 0, (uint64_t)offset);
	task->sqe.fadvise_advice = (uint32_t)advice;
	if (len >= 0 && len <= UINT32_MAX) {
		task->sqe.len = (uint32_t)len;
		return op_call_new(task, 0);
	}
	task->sqe.addr = (uint64_t)len;
	return task->op.loop_->backend->kernel_files ? op_by_calls(task) : op_call(task, 0);
}

int bp_madvise(void *addr, size_t len, int advice)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_rw(IORING_OP_MADVISE, &task->sqe, -1, addr, 0, 0);
	task->sqe.fadvise_advice = (uint32_t)advice;
	if (len <= UINT32_MAX) {
		task->sqe.len = (uint32_t)len;
		return op_call_new(task, 0);
	}
	task->sqe.off = len;
	return task->op.loop_->backend->kernel_files ? op_by_calls(task) : op_call(task, 0);
}

/* ---------------------------------------------------------------- extended attributes */

/* No attribute is so large; the kernel says so itself. */
static unsigned int size32(size_t size)
{
	return size < UINT32_MAX ? (unsigned int)size : UINT32_MAX;
}

ssize_t bp_getxattr(const char *path, const char *name, void *value, size_t size)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_getxattr(&task->sqe, name, value, path, size32(size));
	return op_call_new(task, 0);
}

ssize_t bp_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_fgetxattr(&task->sqe, fd, name, value, size32(size));
	return op_call_new(task, 0);
}

int bp_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_setxattr(&task->sqe, name, value, path, flags, size32(size));
	return op_call_new(task, 0);
}

int bp_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	struct bp_task *task = task_need(__func__);

	io_uring_prep_fsetxattr(&task->sqe, fd, name, value, flags, size32(size));
	return op_call_new(task, 0);
}

ssize_t bp_listxattr(const char *path, char *list, size_t size)
{
	const long args[6] = {(long)path, (long)list, (long)size};

	return op_by_helper(task_need(__func__), SYS_listxattr, args);
}

ssize_t bp_flistxattr(int fd, char *list, size_t size)
{
	const long args[6] = {fd, (long)list, (long)size};

	return op_by_helper(task_need(__func__), SYS_flistxattr, args);
}

int bp_removexattr(const char *path, const char *name)
{
	const long args[6] = {(long)path, (long)name};

	return (int)op_by_helper(task_need(__func__), SYS_removexattr, args);
}

int bp_fremovexattr(int fd, const char *name)
{
	const long args[6] = {fd, (long)name};

	return (int)op_by_helper(task_need(__func__), SYS_fremovexattr, args);
}

/* ---------------------------------------------------------------- by helper threads alone */

ssize_t bp_copy_file_range(int fd_in, off_t off_in, int fd_out, off_t off_out, size_t len,
			   unsigned int flags)
{
	int64_t in = off_in, out = off_out;
	const long args[6] = {fd_in,
			      off_in == -1 ? 0 : (long)&in,
			      fd_out,
			      off_out == -1 ? 0 : (long)&out,
			      (long)(len < BP_COPY_MAX ? len : BP_COPY_MAX),
			      (long)flags};

	return op_by_helper(task_need(__func__), SYS_copy_file_range, args);
}

ssize_t bp_getdents(int fd, void *buf, size_t len)
{
	const long args[6] = {fd, (long)buf, (long)(len < INT32_MAX ? len : INT32_MAX)};

	return op_by_helper(task_need(__func__), SYS_getdents64, args);
}
