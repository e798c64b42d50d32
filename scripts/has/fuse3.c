/* SPDX-License-Identifier: MIT */
/* libfuse 3.10: fuse_lowlevel_ops.lseek, and -EINTR of fuse_session_receive_buf(). */
#define FUSE_USE_VERSION 34
#include <fuse_lowlevel.h>

int main(void)
{
	struct fuse_lowlevel_ops ops = {.lseek = 0};

	return ops.lseek != 0 || fuse_version() < 310;
}
