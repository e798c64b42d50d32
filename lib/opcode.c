/* SPDX-License-Identifier: MIT */
/* Names of io_uring's operations; see opcode.h. */
#include "compat.h"
#include "opcode.h"

static const char *const opcode_names[] = {
	[IORING_OP_NOP] = "nop",
	[IORING_OP_READV] = "readv",
	[IORING_OP_WRITEV] = "writev",
	[IORING_OP_FSYNC] = "fsync",
	[IORING_OP_READ_FIXED] = "read_fixed",
	[IORING_OP_WRITE_FIXED] = "write_fixed",
	[IORING_OP_POLL_ADD] = "poll",
	[IORING_OP_SYNC_FILE_RANGE] = "sync_file_range",
	[IORING_OP_SENDMSG] = "sendmsg",
	[IORING_OP_RECVMSG] = "recvmsg",
	[IORING_OP_TIMEOUT] = "timeout",
	[IORING_OP_ACCEPT] = "accept",
	[IORING_OP_CONNECT] = "connect",
	[IORING_OP_FALLOCATE] = "fallocate",
	[IORING_OP_OPENAT] = "openat",
	[IORING_OP_CLOSE] = "close",
	[IORING_OP_STATX] = "statx",
	[IORING_OP_READ] = "read",
	[IORING_OP_WRITE] = "write",
	[IORING_OP_FADVISE] = "fadvise",
	[IORING_OP_MADVISE] = "madvise",
	[IORING_OP_SEND] = "send",
	[IORING_OP_RECV] = "recv",
	[IORING_OP_OPENAT2] = "openat2",
	[IORING_OP_EPOLL_CTL] = "epoll_ctl",
	[IORING_OP_SPLICE] = "splice",
	[IORING_OP_TEE] = "tee",
	[IORING_OP_SHUTDOWN] = "shutdown",
	[IORING_OP_RENAMEAT] = "renameat",
	[IORING_OP_UNLINKAT] = "unlinkat",
	[IORING_OP_MKDIRAT] = "mkdirat",
	[IORING_OP_SYMLINKAT] = "symlinkat",
	[IORING_OP_LINKAT] = "linkat",
	[IORING_OP_FSETXATTR] = "fsetxattr",
	[IORING_OP_SETXATTR] = "setxattr",
	[IORING_OP_FGETXATTR] = "fgetxattr",
	[IORING_OP_GETXATTR] = "getxattr",
	[IORING_OP_SOCKET] = "socket",
	[IORING_OP_SEND_ZC] = "send_zc",
	[IORING_OP_SENDMSG_ZC] = "sendmsg_zc",
	[IORING_OP_URING_CMD] = "uring_cmd",
	[BP_IORING_OP_WAITID] = "waitid",
	[BP_IORING_OP_FUTEX_WAIT] = "futex_wait",
	[BP_IORING_OP_FUTEX_WAKE] = "futex_wake",
	[BP_IORING_OP_FTRUNCATE] = "ftruncate",
	[BP_IORING_OP_BIND] = "bind",
	[BP_IORING_OP_LISTEN] = "listen",
	[BP_IORING_OP_EPOLL_WAIT] = "epoll_wait",
	[BP_IORING_OP_READV_FIXED] = "readv_fixed",
	[BP_IORING_OP_WRITEV_FIXED] = "writev_fixed",
	[BP_IORING_OP_PIPE] = "pipe",
};

const char *opcode_name(unsigned int opcode)
{
	if (opcode >= sizeof(opcode_names) / sizeof(opcode_names[0]) || !opcode_names[opcode])
		return "";
	return opcode_names[opcode];
}
